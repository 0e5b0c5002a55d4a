"""The caller's end of the supervisor: jobs go out, each is answered once, and a lost supervisor is replaced."""

from __future__ import annotations

import os
import shutil
import site
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from proact.sandbox.inside.supervisor import ANSWER, JOB, LOST, SCRUBBED

START = Path(__file__).with_name("inside") / "start.py"
LENGTH = struct.Struct("<I")
PREFIX = "proact-sandbox-"


@dataclass(frozen=True)
class Answer:
    """What became of a job: `kind` is one of the supervisor's four."""

    kind: bytes
    payload: bytes


Callback = Callable[[Answer], None]


class Link:
    """A running supervisor. Safe to use from many threads."""

    def __init__(self, workers: int, isolation: str) -> None:
        self._folder = tempfile.mkdtemp(prefix=PREFIX)
        command = [sys.executable, "-I", str(START), "supervisor", _libraries(), self._folder, str(workers), isolation]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=SCRUBBED,
            start_new_session=True,
            bufsize=0,
        )
        self._lock = threading.Lock()
        self._waiting: dict[int, Callback] = {}
        self._next = 0
        self.alive = True
        self._reader = threading.Thread(target=self._read, name="proact-sandbox", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    def submit(self, payload: bytes, seconds: float, callback: Callback) -> bool:
        """Send a job; `callback` gets its answer on the reader's thread. False when the supervisor is gone."""
        assert self._process.stdin is not None
        with self._lock:
            if not self.alive:
                return False
            job = self._next = (self._next + 1) & 0xFFFFFFFF
            self._waiting[job] = callback
            body = JOB.pack(job, seconds) + payload
            data = memoryview(LENGTH.pack(len(body)) + body)
            try:
                while data:
                    data = data[self._process.stdin.write(data) or 0 :]
            except OSError:
                # The reader sees the end of the pipe too, and answers every waiting job, this one included.
                pass
            return True

    def close(self) -> None:
        """Hang up, wait for the end, and leave no file."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=20)
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> None:
        assert self._process.stdout is not None
        pipe: IO[bytes] = self._process.stdout
        while (head := _exactly(pipe, LENGTH.size)) is not None:
            body = _exactly(pipe, LENGTH.unpack(head)[0])
            if body is None:
                break
            job, kind = ANSWER.unpack_from(body)
            with self._lock:
                callback = self._waiting.pop(job)
            callback(Answer(kind, body[ANSWER.size :]))
        with self._lock:
            self.alive = False
            lost = list(self._waiting.values())
            self._waiting.clear()
        for callback in lost:
            callback(Answer(LOST, b"supervisor"))


def _libraries() -> str:
    """Where candidates may import from: this environment's installed packages, not the folders of its projects."""
    installed = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    return os.pathsep.join(
        entry for entry in dict.fromkeys([*site.getsitepackages(), *installed]) if os.path.isdir(entry)
    )


def _exactly(pipe: IO[bytes], size: int) -> bytes | None:
    """So many bytes, or None at the end of the pipe."""
    data = bytearray()
    while len(data) < size:
        try:
            piece = pipe.read(size - len(data))
        except (OSError, ValueError):
            return None
        if not piece:
            return None
        data += piece
    return bytes(data)
