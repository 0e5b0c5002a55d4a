"""Keeps the workers: hands jobs out, holds their deadlines, replaces what dies. It never looks into a job.

Everything ends when the caller's pipe closes, however the caller ended.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from pathlib import Path

from . import jail
from .folder import empty
from .frames import Closed, Frames

JOB = struct.Struct("<If")
ANSWER = struct.Struct("<Ic")
READY, ZYGOTE_LOST = b"ready", 3
DONE, LOST, OVERRUN, REFUSED = b"r", b"l", b"t", b"x"
SCRUBBED = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
MAX_FAILED_STARTS = 3
START_SECONDS = 60.0


class Worker:
    """A judge and a zygote, and the job that they are at; a job is only given when both are ready."""

    def __init__(self, folder: Path, isolation: str) -> None:
        self.folder, self.job, self.ready = folder, -1, False
        self.deadline = time.monotonic() + START_SECONDS
        folder.mkdir(mode=0o700)
        link, judge_link = socket.socketpair()
        control, judge_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.zygote = _spawn("zygote", [control], [str(folder), isolation], folder)
        self.judge = _spawn("judge", [judge_link, judge_control], [isolation], folder)
        for end in (judge_link, judge_control, control):
            end.close()
        self.socket, self.link = link, Frames(link.fileno())

    @property
    def bound(self) -> bool:
        """Whether something is expected of it in time: its start, or an answer."""
        return self.job >= 0 or not self.ready

    def assign(self, job: int, seconds: float, payload: bytes) -> None:
        """Give the idle worker a job."""
        self.job, self.deadline = job, time.monotonic() + seconds
        self.link.write(payload)

    def destroy(self) -> tuple[int, int]:
        """Kill both processes, remove their folder; says how zygote and judge ended: exit codes, signals negative."""
        self.socket.close()
        for pid in (self.zygote, self.judge):
            os.kill(pid, signal.SIGKILL)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (self.zygote, self.judge)]
        remove(self.folder)
        return codes[0], codes[1]


class Supervisor:
    """One loop over the caller's pipe and the workers' sockets."""

    def __init__(self, folder: Path, workers: int, isolation: str) -> None:
        self._folder, self._size, self._isolation = folder, workers, isolation
        self._caller = Frames(0)
        self._waiting: deque[tuple[int, float, bytes]] = deque()
        self._outgoing = bytearray()
        self._workers: dict[int, Worker] = {}
        self._made = self._failed_starts = 0
        os.set_blocking(1, False)

    def serve(self) -> None:
        """Work until the caller is gone."""
        while True:
            poll = select.poll()
            poll.register(0, select.POLLIN)
            if self._outgoing:
                poll.register(1, select.POLLOUT)
            for fd in self._workers:
                poll.register(fd, select.POLLIN)
            for fd, event in poll.poll(self._patience()):
                if fd == 0:
                    self._accept()
                elif fd == 1:
                    if event & select.POLLERR:
                        raise Closed
                    self._send()
                elif fd in self._workers:
                    self._collect(self._workers[fd])
            self._enforce_deadlines()
            self._hand_out()

    def close(self) -> None:
        """End every process and leave no file."""
        for worker in list(self._workers.values()):
            worker.destroy()
        end_descendants()
        remove(self._folder)

    def _patience(self) -> float | None:
        deadlines = [worker.deadline for worker in self._workers.values() if worker.bound]
        return max(min(deadlines) - time.monotonic(), 0) * 1000 + 1 if deadlines else None

    def _accept(self) -> None:
        self._caller.fill()
        while (frame := self._caller.complete()) is not None:
            job, seconds = JOB.unpack_from(frame)
            self._waiting.append((job, seconds, frame[JOB.size :]))

    def _hand_out(self) -> None:
        for worker in [worker for worker in self._workers.values() if worker.ready and worker.job < 0]:
            if self._waiting:
                try:
                    worker.assign(*self._waiting.popleft())
                except Closed:
                    self._bury(worker, LOST)
        starting = sum(not worker.ready for worker in self._workers.values())
        for _ in range(min(len(self._waiting) - starting, self._size - len(self._workers))):
            worker = Worker(self._folder / f"w{self._made}", self._isolation)
            self._made += 1
            self._workers[worker.socket.fileno()] = worker

    def _collect(self, worker: Worker) -> None:
        try:
            worker.link.fill()
            answer = worker.link.complete()
        except Closed:
            self._bury(worker, LOST)
            return
        if answer is not None and not worker.ready:
            worker.ready = True
        elif answer is not None:
            self._failed_starts = 0
            self._answer(worker.job, DONE, answer)
            worker.job = -1

    def _bury(self, worker: Worker, why: bytes) -> None:
        """Replace a worker; its job is answered by what happened to it."""
        del self._workers[worker.socket.fileno()]
        zygote, judge = worker.destroy()
        if worker.job >= 0:
            self._answer(worker.job, OVERRUN if judge == -signal.SIGXCPU else why, b"")
        elif zygote > 0 or judge not in (0, ZYGOTE_LOST, -signal.SIGKILL):
            self._failed_starts += 1
        if self._failed_starts > MAX_FAILED_STARTS:
            for job, _, _ in self._waiting:
                self._answer(job, REFUSED, b"")
            self._waiting.clear()

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        for worker in [w for w in self._workers.values() if w.bound and w.deadline < now]:
            self._bury(worker, LOST)

    def _answer(self, job: int, kind: bytes, payload: bytes) -> None:
        body = ANSWER.pack(job, kind) + payload
        self._outgoing += len(body).to_bytes(4, "little") + body
        self._send()

    def _send(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: os.write(1, self._outgoing)]
        except BlockingIOError:
            return
        except OSError as error:
            raise Closed from error


def remove(folder: Path) -> None:
    """Remove a folder and everything in it; a child that is just being killed may still write."""
    for _ in range(3):
        try:
            empty(str(folder))
            folder.rmdir()
        except OSError:
            time.sleep(0.01)
        else:
            return


def end_descendants() -> None:
    """Kill and reap whatever still descends from this process."""
    while True:
        for task in Path("/proc/self/task").glob("*/children"):
            for pid in task.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _spawn(role: str, ends: list[socket.socket], arguments: list[str], folder: Path) -> int:
    for end in ends:
        end.set_inheritable(True)
    entry = str(Path(__file__).with_name("start.py"))
    command = [sys.executable, "-I", "-S", entry, role, sys.argv[2], *(str(end.fileno()) for end in ends), *arguments]
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    pid = os.posix_spawn(
        sys.executable, command, {**SCRUBBED, "HOME": str(folder), "TMPDIR": str(folder)}, file_actions=quiet
    )
    for end in ends:
        end.set_inheritable(False)
    return pid


def main(arguments: list[str]) -> None:
    """The role's entry: `supervisor FOLDER WORKERS ISOLATION`, jobs on 0, answers on 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    jail.adopt_orphans()
    supervisor = Supervisor(Path(arguments[0]), int(arguments[1]), arguments[2])
    try:
        supervisor.serve()
    except Closed:
        return
    finally:
        supervisor.close()
