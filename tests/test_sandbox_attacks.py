"""Hostile programs: none forges, leaks, kills the sandbox or stays; benign ones pass. As this user and as nobody."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import proact.sandbox
from proact.sandbox import Limits, Program, Sandbox
from proact.sandbox.audit import audit, exploits

NOBODY = 65534
LIMITS = Limits(cpu_seconds=1.0)


@pytest.fixture
def nothing_left(own_folder: Path, processes: Callable[[], list[str]]) -> Iterator[None]:
    """Fails when a process or a file is still there after the test."""
    places = ("/tmp", "/dev/shm", "/var/tmp")
    before = {name: set(os.listdir(name)) for name in places}
    yield
    assert processes() == []
    assert list(own_folder.iterdir()) == []
    for name in places:
        assert not [path for path in set(os.listdir(name)) - before[name] if path in ("LEFT", "proact-exploit")]
    strays = subprocess.run(["ps", "-e", "-o", "comm="], capture_output=True, text=True, check=True).stdout
    assert "STRAYPROC" not in strays


@pytest.fixture
def listeners() -> Iterator[None]:
    """What an escaping program would reach: a TCP port and an abstract socket of this machine."""
    tcp, abstract = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0proact-test-{secrets.token_hex(8)}")
    abstract.listen()
    threads = [threading.Thread(target=_serve, args=(end,), daemon=True) for end in (tcp, abstract)]
    for thread in threads:
        thread.start()
    yield
    for end, thread in zip((tcp, abstract), threads, strict=True):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        thread.join()
        end.close()


def _serve(end: socket.socket) -> None:
    while True:
        try:
            connection, _ = end.accept()
        except OSError:
            return
        # Whoever connected may be gone again.
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HELLO")


@pytest.mark.usefixtures("nothing_left")
def test_shipped_exploits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    assert len(exploits()) >= 35
    with Sandbox(2) as sandbox:
        rows = audit(sandbox)
    assert [row for row in rows if not row.ok] == []
    assert max(row.seconds for row in rows) < 30


def attacks(shared: Path) -> list[dict[str, Any]]:
    """The hostile programs of the data folder as rows of name, code, tests, setup and expected outcome."""
    rows = json.loads((shared / "data" / "attacks" / "attacks.json").read_text())
    for row in rows:
        code = (shared / "data" / "attacks" / row["file"]).read_bytes().decode("utf-8", "surrogateescape")
        row["code"] = code.replace('"a', '"' + "a" * 10_000_000, 1) if row.get("gen") == "x10mb" else code
        row["setup"] = ""
    return [row for row in rows if "numpy" not in row["name"] or find_spec("numpy")]


def wrong(rows: list[dict[str, Any]], statuses: dict[str, str]) -> list[tuple[str, str]]:
    """The programs that got another outcome than they must get."""
    assert statuses.keys() == {row["name"] for row in rows}
    return [
        (row["name"], statuses[row["name"]])
        for row in rows
        if statuses[row["name"]] == "infra" or (statuses[row["name"]] == "pass") != (row["expected"] == "pass")
    ]


@pytest.mark.shared
@pytest.mark.usefixtures("listeners", "nothing_left")
@pytest.mark.parametrize("lane", ["alone", "many"])
def test_attacks(shared: Path, monkeypatch: pytest.MonkeyPatch, lane: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    rows = attacks(shared)
    programs = [Program(id=r["name"], code=r["code"], tests=tuple(r["tests"]), limits=LIMITS) for r in rows]
    with Sandbox(2) as sandbox:
        results = sandbox.run_many(programs) if lane == "many" else map(sandbox.run, programs)
        statuses: dict[str, str] = {result.id: result.status for result in results}
    assert wrong(rows, statuses) == []


def interpreter(packages: Path) -> str | None:
    """A Python that nobody can start and that can import what proact needs."""
    for python in (sys.executable, "/usr/bin/python3"):
        check = f"import sys; sys.path.append({str(packages)!r}); import msgspec, platformdirs"
        done = (
            subprocess.run(
                [python, "-c", check], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False
            )
            if _startable(python)
            else None
        )
        if done is not None and done.returncode == 0:
            return python
    return None


def _startable(python: str) -> bool:
    """An interpreter in a home that others cannot enter cannot be started by them."""
    return all(parent.stat().st_mode & 1 for parent in Path(os.path.realpath(python)).parents)


@pytest.fixture
def as_nobody(own_folder: Path) -> Iterator[list[str]]:
    """The command that runs programs as a user without rights, from a copy of proact that this user can read."""
    if os.getuid() != 0:
        pytest.skip("hardware: only root can become somebody else")
    with tempfile.TemporaryDirectory(prefix="copy-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        top = Path(proact.sandbox.__file__).parents[1]
        shutil.copytree(top, Path(folder) / "proact", ignore=shutil.ignore_patterns("__pycache__"))
        packages = Path(folder) / "site-packages"
        packages.mkdir()
        for name in ("msgspec", "platformdirs"):
            spec = find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            shutil.copytree(Path(spec.origin).parent, packages / name)
        script = shutil.copy(Path(__file__).with_name("unprivileged_run.py"), folder)
        python = interpreter(packages)
        if python is None:
            pytest.skip("hardware: no interpreter here that a user without rights could start")
        temporary = f"TMPDIR={own_folder}"
        yield [
            "/usr/bin/env",
            temporary,
            f"PYTHONPATH={folder}:{packages}",
            "PYTHONDONTWRITEBYTECODE=1",
            python,
            str(script),
        ]


def _run_as_nobody(command: list[str], rows: list[dict[str, Any]]) -> dict[str, str]:
    done = subprocess.run(
        command,
        input=json.dumps(rows),
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    reply = json.loads(done.stdout)
    assert reply["user"] == NOBODY
    statuses: dict[str, str] = reply["statuses"]
    return statuses


@pytest.mark.shared
@pytest.mark.usefixtures("listeners", "nothing_left")
def test_attacks_as_nobody(shared: Path, as_nobody: list[str]) -> None:
    rows = [row for row in attacks(shared) if "numpy" not in row["name"]]
    assert wrong(rows, _run_as_nobody(as_nobody, rows)) == []


@pytest.mark.usefixtures("nothing_left")
def test_shipped_exploits_as_nobody(as_nobody: list[str]) -> None:
    rows = [
        {"name": e.name, "code": e.code, "tests": e.tests, "setup": e.setup, "expected": e.expected}
        for e in exploits()
        if not e.needs
    ]
    assert wrong(rows, _run_as_nobody(as_nobody, rows)) == []
