"""The one reader and the two writers of JSONL: append whole jobs, or replace a file at once."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import msgspec
import orjson

from proact import disk
from proact.errors import InputError, OutputError, UsageError
from proact.parsing import DEEPEST, deeper, parse, repaired
from proact.records import Record

R = TypeVar("R", bound=Record)
TEMPORARY = ".tmp"
BUSY = "another proact command is writing this file; wait for it or choose another"


class Line(NamedTuple):
    """One line of a file, undecoded: its number from 1, its byte offset, its bytes without the newline, where the next
    one begins, and whether it has its newline."""

    number: int
    offset: int
    raw: bytes
    end: int = 0
    whole: bool = True


def lines(path: Path, start: int = 0, end: int | None = None) -> Iterator[Line]:
    """The lines of a file that are not blank, from byte `start` on and beginning before byte `end`.

    Raises InputError when the file cannot be opened.
    """
    with _opened(path) as file:
        if not file.seekable():
            raise InputError(path, "is a pipe, and files are read more than once; write it to a file first")
        file.seek(start)
        offset = start
        for number, raw in enumerate(file, start=1):
            if end is not None and offset >= end:
                return
            after = offset + len(raw)
            if offset == 0:
                # Who reads the line again at its offset finds no byte order mark.
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.strip():
                yield Line(number, after - len(raw), raw.rstrip(b"\r\n"), after, raw.endswith(b"\n"))
            offset = after


def read(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a file. Raises InputError at the first line that is not a `kind`."""
    for line in lines(path):
        yield decode(line, kind, path)


def decode(line: Line, kind: type[R], path: Path, defaults: dict[str, Any] | None = None) -> R:
    """One line as a record, with `defaults` for fields it lacks. Raises InputError naming file, line and field."""
    fields = decode_object(line, path)
    return record({**defaults, **fields} if defaults else fields, kind, path, line.number)


def record(fields: dict[str, Any], kind: type[R], path: Path, number: int) -> R:
    """A record from the fields of a line. Raises InputError naming file, line and field."""
    try:
        return parse(fields, kind)
    except msgspec.ValidationError as error:
        message, field = _explain(error)
        raise InputError(path, message, line=number, field=field) from None


def decode_object(line: Line, path: Path) -> dict[str, Any]:
    """One line as a JSON object; lone surrogates become U+FFFD. Raises InputError for anything else."""
    try:
        value = orjson.loads(line.raw)
    except orjson.JSONDecodeError as error:
        value = repaired(line.raw)
        if value is None:
            reason = (
                "cut off in the middle"
                if error.pos >= len(line.raw)
                else error.msg.removesuffix(": surrogates not allowed")
            )
            raise InputError(path, f"not valid JSON ({reason})", line=line.number) from None
    if line.raw.count(b"[") + line.raw.count(b"{") > DEEPEST and deeper(value, DEEPEST):
        raise InputError(path, f"is nested more than {DEEPEST} levels deep", line=line.number)
    if not isinstance(value, dict):
        raise InputError(path, f"expected a JSON object, got {type(value).__name__}", line=line.number)
    return value


def writable(path: Path) -> Path:
    """The path, after its folder was made. Raises UsageError for data/external and for what is not a plain file."""
    for whole in (Path(os.path.abspath(path)), _target(path)):
        if ("data", "external") in pairwise(whole.parts):
            raise UsageError(f"{path}: data/external holds raw data sets and is never written; choose another file")
    with _disk(path):
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: is not a plain file")
        _target(path).parent.mkdir(parents=True, exist_ok=True)
    return path


def _target(path: Path) -> Path:
    # Unlike Path.resolve it takes a loop of symlinks, which opening the file then names.
    return Path(os.path.realpath(path))


def apart(*paths: Path) -> None:
    """Raises UsageError when two of these are one file, so that no output takes the place of an input."""
    seen: dict[str, Path] = {}
    for path in paths:
        if (other := seen.setdefault(os.path.realpath(path), path)) is not path:
            raise UsageError(f"{other} and {path} must be different files")


class Appender:
    """A locked file that grows by whole jobs; a write that fails leaves what was there before."""

    def __init__(self, path: Path) -> None:
        self.path = writable(path)
        with _disk(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _lock(self._fd, path)
        except OutputError:
            os.close(self._fd)
            raise
        self._size = os.fstat(self._fd).st_size
        self._dirty = False

    def write(self, data: bytes) -> None:
        """Append in one piece. Raises OutputError, after taking back a part that was written."""
        try:
            with _disk(self.path):
                written = 0
                while written < len(data):
                    written += os.write(self._fd, data[written:])
        except OutputError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        self._dirty = True

    def truncate(self, size: int) -> None:
        with _disk(self.path):
            os.ftruncate(self._fd, size)
        self._size = size

    def sync(self) -> None:
        if self._dirty:
            with _disk(self.path):
                os.fdatasync(self._fd)
            self._dirty = False

    def close(self, *, keep_empty: bool = True) -> None:
        try:
            self.sync()
            if not keep_empty and self._size == 0:
                self.path.unlink(missing_ok=True)
        finally:
            # Closed twice it would close what has been opened in its place since.
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)


@contextmanager
def replace(path: Path) -> Iterator[BinaryIO]:
    """A new content for a file, which appears whole when the block ends well and not at all otherwise."""
    # Through a symlink: its target is replaced, not the link.
    path = _target(writable(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    held = os.open(path, os.O_RDONLY) if path.exists() else None
    try:
        if held is not None:
            _lock(held, path)
        with _disk(path), open(temporary, "wb", opener=_locked) as file:
            _sweep(path, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _disk(path):
            temporary.replace(path)
    finally:
        if held is not None:
            os.close(held)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who was replacing the file while we opened it has left us with the old one.
        ours = os.path.samestat(os.fstat(fd), path.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise OutputError(f"{path}: {BUSY}")


def _locked(path: str, flags: int) -> int:
    """Opens a file of this process's own, which is locked as long as it is written."""
    while True:
        fd = os.open(path, flags & ~os.O_TRUNC, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                os.ftruncate(fd, 0)
                return fd
        os.close(fd)


def _sweep(path: Path, own: Path) -> None:
    """What nobody locks was left by a process that was killed while it replaced the file. Raises OutputError where one
    is at it: a file that is not there yet is locked by no one."""
    for left in {*path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY}")} - {own}:
        try:
            with left.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
        except BlockingIOError:
            raise OutputError(f"{path}: {BUSY}") from None
        except OSError:
            continue


def _disk(path: Path) -> AbstractContextManager[None]:
    return disk.writing(path, "; what was there before is intact")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
        file.peek(1)
    except OSError as error:
        reason = "no such file" if error.errno == errno.ENOENT else (error.strerror or str(error))
        raise InputError(path, reason) from None
    with file:
        yield file


def _explain(error: msgspec.ValidationError) -> tuple[str, str | None]:
    message, _, where = str(error).partition(" - at `$.")
    if not where and (missing := re.match(r"Object missing required field `(.+?)`", message)):
        return "is required and missing", missing.group(1)
    message = message.replace("`", "").replace("Expected", "expected", 1)
    if missing := re.match(r"Object missing required field (.+)", message):
        return "is required and missing", f"{where.rstrip('`')}.{missing.group(1)}"
    return message, where.rstrip("`") or None
