"""The fork server of one worker: a confined interpreter that never sees a test and makes one child per order.

An order arrives from the judge with the child's end of a fresh socket. While the child lives, the judge may send
`kill` (the verdict is reached), `gone` (it hung up) or `idle` (no reply came for long); the child's end is reported
with its CPU time.
"""

from __future__ import annotations

import array
import ast
import gc
import json
import marshal
import math
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import Any

from . import child, jail, seccomp
from .folder import empty
from .frames import Closed, Frames

CHILD_FD = 3
MAX_OPEN_FILES = 128
MAX_DISK_MB = 256
MAX_FILES = 20_000
MAX_PATH = 1500
DISK_CHECK_SECONDS = 0.1
IDLE_FRACTION = 0.05
ENDING_SECONDS = 2.0
WARM = "bisect cmath collections copy datetime decimal fractions functools heapq itertools math operator re string"


class Zygote:
    """Forks, watches and buries children, one at a time."""

    def __init__(self, control: socket.socket, folder: str, isolation: str, address_space: int) -> None:
        self._control, self._folder = control, folder
        self._jailed, self._space = isolation != "rlimits", address_space
        self._frames = Frames(control.fileno())
        self._filter = seccomp.ChildFilter() if self._jailed else None
        self._candidate = child.Candidate()

    def serve(self) -> None:
        """Carry out orders until the judge hangs up."""
        while True:
            order, fd = self._order()
            pid = os.fork()
            if pid == 0:
                self._become_child(order, fd)
            os.close(fd)
            report = Watch(pid, order, self._frames, self._folder).until_the_end()
            if not self._jailed:
                _sweep()
            empty(self._folder)
            self._frames.write(json.dumps(report).encode())

    def _order(self) -> tuple[dict[str, Any], int]:
        """The next order; what was still said about the last child, which is dead by now, is dropped."""
        while True:
            data, ancillary, _, _ = self._control.recvmsg(4096, socket.CMSG_SPACE(4))
            if not data:
                raise Closed
            if ancillary:
                self._frames.buffered += data
                return json.loads(self._frames.read()), array.array("i", ancillary[0][2])[0]

    def _become_child(self, order: dict[str, Any], fd: int) -> None:
        try:
            jail.die_with_parent()
            os.setsid()
            os.dup2(fd, CHILD_FD)
            os.closerange(CHILD_FD + 1, 1 << 16)
            self._limit(order)
            if self._filter is not None:
                self._filter.install(os.getpid())
            gc.enable()
            child.serve(CHILD_FD, self._candidate, order["output"] * jail.MEGABYTE)
        finally:
            os._exit(70)

    def _limit(self, order: dict[str, Any]) -> None:
        cpu = math.ceil(order["cpu"]) + 1
        memory = self._space + order["memory"] * jail.MEGABYTE
        for kind, soft, hard in (
            (resource.RLIMIT_CPU, cpu, cpu + 1),
            (resource.RLIMIT_AS, memory, memory),
            (resource.RLIMIT_FSIZE, order["output"] * jail.MEGABYTE, order["output"] * jail.MEGABYTE),
        ):
            resource.setrlimit(kind, (soft, hard))


class Watch:
    """One child's life: its deadlines, and how it ended."""

    def __init__(self, pid: int, order: dict[str, Any], frames: Frames, folder: str) -> None:
        self._pid, self._frames, self._folder = pid, frames, folder
        self._cpu, self._wall = float(order["cpu"]), float(order["wall"])
        self._started = time.monotonic()
        self._clock = (~pid << 3) | 2
        self._seen_cpu = 0.0
        self._pidfd = os.pidfd_open(pid)

    def until_the_end(self) -> dict[str, Any]:
        """Wait, kill where a limit is passed or the judge says so, and report."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(self._frames.fd, select.POLLIN)
        reason = ""
        while not reason:
            ready = {fd for fd, _ in poll.poll(max(self._patience() * 1000, 1))}
            if self._pidfd in ready:
                break
            reason = self._said() if self._frames.fd in ready else self._passed_limit()
        os.close(self._pidfd)
        if reason:
            _kill_group(self._pid)
        _, status, usage = os.wait4(self._pid, 0)
        return {
            "reason": reason,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
            "cpu": usage.ru_utime + usage.ru_stime,
        }

    def _patience(self) -> float:
        lived = time.monotonic() - self._started
        left = min(self._wall - lived, self._cpu - self._used())
        return min(left, DISK_CHECK_SECONDS) if lived >= DISK_CHECK_SECONDS else min(left, DISK_CHECK_SECONDS - lived)

    def _used(self) -> float:
        try:
            return float(time.clock_gettime(self._clock))
        except OSError:
            return 0.0

    def _said(self) -> str:
        said = self._frames.read()
        if said == b"gone":
            # Its end may be near, and how it ends by itself tells a kill from outside from a program that hides.
            return "" if select.select([self._pidfd], [], [], ENDING_SECONDS)[0] else "mute"
        if said != b"idle":
            return "kill"
        used, before = self._used(), self._seen_cpu
        self._seen_cpu = used
        return "idle" if used - before < IDLE_FRACTION * self._cpu else ""

    def _passed_limit(self) -> str:
        if self._used() >= self._cpu:
            return "cpu"
        if time.monotonic() - self._started >= self._wall:
            return "wall"
        return "disk" if overfull(self._folder) else ""


def overfull(folder: str) -> bool:
    """Whether a program has written more than it may; looked at only while it runs for long."""
    size = count = 0
    for path, folders, names in os.walk(folder):
        count += len(folders)
        if len(path) > MAX_PATH:
            return True
        for name in names:
            try:
                size += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                continue
            count += 1
            if size > MAX_DISK_MB * jail.MEGABYTE or count > MAX_FILES:
                return True
    return False


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _sweep() -> None:
    """Kill what a program without seccomp left behind; orphans have become children of the zygote."""
    while True:
        with open(f"/proc/self/task/{os.getpid()}/children") as children:
            for pid in children.read().split():
                _kill_group(int(pid))
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def warm() -> None:
    """Import and run once what nearly every child needs: pages made before the fork are made once."""
    for name in WARM.split():
        __import__(name)
    compile(ast.parse("import math\nclass A:\n    pass\n"), "<warm>", "exec")
    candidate = child.Candidate()
    request = {"op": "load", "code": "def f(x: int) -> object:\n    return [x]", "setup": "", "batch": True}
    candidate.answer(request)
    call = {"op": "call", "on": {"r": "f"}, "args": [{"t": [1.5, "a"]}], "kwargs": {"d": [[], []]}}
    json.dumps(candidate.answer(marshal.loads(marshal.dumps(call))))


def main(arguments: list[str]) -> None:
    """The role's entry: `zygote FD FOLDER ISOLATION`."""
    control = socket.socket(fileno=int(arguments[0]))
    folder, isolation = arguments[1], arguments[2]
    own_main = sys.modules["__main__"]  # its functions go on only as long as it does
    jail.die_with_parent()
    jail.adopt_orphans()
    warm()
    # A candidate that imports this folder by name would find nothing; what runs needs no entry.
    for name in [name for name in sys.modules if name.partition(".")[0] in ("inside", *child.MODULE_NAMES)]:
        del sys.modules[name]
    address_space = jail.address_space()
    os.chdir(folder)
    layers = jail.enter(isolation, [folder])
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    zygote = Zygote(control, folder, isolation, address_space)
    Frames(control.fileno()).write(json.dumps({"layers": layers}).encode())
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        zygote.serve()
    except Closed:
        os._exit(0 if own_main else 1)
