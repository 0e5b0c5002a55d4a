"""Results by the content of what was run, in one SQLite file; infra never enters it."""

from __future__ import annotations

import hashlib
import platform
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from proact.errors import OutputError
from proact.sandbox.program import Program, Result

RUNNER_VERSION = "3"
RECENT = 4096
"""Results kept in memory: branches and replicates give the same answers again and again."""
TABLE = "CREATE TABLE IF NOT EXISTS results (key BLOB PRIMARY KEY, result BLOB NOT NULL) WITHOUT ROWID"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Result)


def key(program: Program, isolation: str) -> bytes:
    """What a result depends on. The tier follows from tests, setup and runner version, so they stand for it."""
    code = (program.code or "").replace("\r\n", "\n")
    parts = (RUNNER_VERSION, platform.python_version(), isolation, program.limits, program.tests, program.setup, code)
    text = _encoder.encode([part if not isinstance(part, str) else _sound(part) for part in parts[:4]])
    text += _encoder.encode([[_sound(test) for test in program.tests], _sound(program.setup), _sound(code)])
    return hashlib.blake2b(text, digest_size=20).digest()


def _sound(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Cache:
    """A store of results that many threads and processes may share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._recent: dict[bytes, Result] = {}
        with self._named("keep"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._store = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
            self._store.execute("PRAGMA journal_mode=WAL")
            self._store.execute("PRAGMA synchronous=NORMAL")
            self._store.execute(TABLE)

    def recent(self, name: bytes) -> Result | None:
        """What `get` would give, if this process has met it of late; never waits."""
        return self._recent.get(name)

    def get(self, name: bytes) -> Result | None:
        """A stored result, without the id of the program that made it."""
        if found := self.recent(name):
            return found
        with self._lock, self._named("read"):
            row = self._store.execute("SELECT result FROM results WHERE key = ?", (name,)).fetchone()
            return None if row is None else self._remember(name, _decoder.decode(row[0]))

    def put(self, name: bytes, result: Result) -> None:
        """Keep a result."""
        result = msgspec.structs.replace(result, id="")
        with self._lock, self._named("write"):
            self._store.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (name, _encoder.encode(result)))
            self._remember(name, result)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Says which file it is that stands in the way."""
        try:
            yield
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
            raise OutputError(f"{self._path}: cannot {what} the sandbox's results: {error}") from error

    def _remember(self, name: bytes, result: Result) -> Result:
        self._recent[name] = result
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return result

    def close(self) -> None:
        """Write out what SQLite still holds."""
        with self._lock:
            self._store.close()
