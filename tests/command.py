"""The command line as its users meet it: a process of its own, in a folder and with a cache of its own."""

from __future__ import annotations

import atexit
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from support import Zygote

PROACT = [sys.executable, "-m", "proact"]
WAIT = 60.0
PROGRESS = re.compile(r"\w+: +\d+%\|")


class Command:
    """Runs `proact` with a cache in `folder`, and without the caller's own key or server."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PROACT_"))}
        self.largest_file: int | None = None
        self.environment = {**kept, "PROACT_CACHE_DIR": str(folder / "cache"), **environment}

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PROACT, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self.largest_file is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self.largest_file, self.largest_file))
        return process

    def run(self, *arguments: object) -> Ended:
        """Run to the end, as a fork of a process that has done the imports; see `start` for one that is signalled."""
        if self.largest_file is not None:
            return ended(self.start(*arguments))
        with chdir(self.folder):
            return Ended(*_zygote()(*arguments, **self.environment))

    def ok(self, *arguments: object) -> dict[str, Any]:
        """The summary of a command that must end well."""
        ended = self.run(*arguments, "--json")
        assert ended.code == 0, ended.stderr
        return ended.summary


class Ended(NamedTuple):
    """A process that has ended: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def complaint(self) -> str:
        """The one line that says what went wrong; a second one, or a traceback, fails the test."""
        notes = [line for line in self.stderr.splitlines() if line.strip() and not PROGRESS.match(line)]
        assert len(notes) == 1, self.stderr
        assert notes[0].startswith("proact: "), self.stderr
        return notes[0]


def ended(process: subprocess.Popen[str]) -> Ended:
    """What comes of a process that was started; it is killed when it takes too long."""
    with process:
        try:
            printed = process.communicate(timeout=WAIT)
        finally:
            process.kill()
    return Ended(process.returncode, *printed)


@cache
def _zygote() -> Zygote:
    running = Zygote(Path(tempfile.mkdtemp()))
    atexit.register(running.close)
    return running


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; empty when there is none."""
    return list(_rows(path)) if path.exists() else []


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        yield json.loads(line)


def sorted_bytes(path: Path) -> list[bytes]:
    return sorted(path.read_bytes().splitlines())
