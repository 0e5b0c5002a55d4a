"""The sandbox as its callers see it: programs in, results out, in their order."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

import msgspec

from proact.errors import SandboxError, UsageError
from proact.sandbox import cache as caching
from proact.sandbox.inside import jail
from proact.sandbox.link import Answer, Link
from proact.sandbox.program import Limits, Program, Result
from proact.sandbox.trials import ATTEMPTS, Trial, settle_all

Isolation = Literal["auto", "jail", "rlimits"]

BATCH = 16
# Enough that a few programs at the head that run into their limits leave no worker idle.
BATCHES_AHEAD = 16
GRACE_SECONDS = 30.0


class Sandbox:
    """Processes that run programs. They start at the first program and end with `close` or with the caller.

    `isolation` "auto" and "jail" need Landlock and seccomp and refuse to run without; "rlimits" asks for less.
    """

    def __init__(self, workers: int | None = None, isolation: Isolation = "auto", cache: Path | None = None) -> None:
        if isolation not in get_args(Isolation):
            raise UsageError(f"isolation {isolation!r}: choose one of {', '.join(get_args(Isolation))}")
        self.workers = workers or len(os.sched_getaffinity(0))
        self._isolation = "rlimits" if isolation == "rlimits" else "jail"
        self._cache = caching.Cache(cache) if cache else None
        self._link: Link | None = None
        self._lock = threading.Lock()
        self._closed = False
        if self._isolation == "jail" and (missing := jail.missing()):
            raise UsageError(
                f"candidate code cannot be confined here: this system has no {' and no '.join(missing)}; "
                "isolation 'rlimits' runs it with resource limits only"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process and remove every file of this sandbox."""
        with self._lock:
            link, self._link, self._closed = self._link, None, True
        if link is not None:
            link.close()
        if self._cache is not None:
            self._cache.close()

    @property
    def supervisor(self) -> int:
        """The process id of the supervisor, which is started when there is none."""
        return self._running().pid

    def run(self, program: Program) -> Result:
        """One program, in a child of its own. Blocks; any number of threads may call it at once."""
        return self._started([program], batch=False)[0].result()

    async def result(self, program: Program) -> Result:
        """`run` for an event loop, which must not block; what was met of late costs no thread."""
        if self._cache is not None and (found := self._cache.recent(caching.key(program, self._isolation))):
            return msgspec.structs.replace(found, id=program.id)
        return await asyncio.to_thread(self.run, program)

    def run_many(self, programs: Iterable[Program]) -> Iterator[Result]:
        """The results in the order of the programs, with a bounded number under way."""
        source = iter(programs)
        ahead: deque[Future[Result]] = deque()
        while True:
            while len(ahead) <= self.workers * BATCH * BATCHES_AHEAD and (block := list(islice(source, BATCH))):
                ahead.extend(self._started(block, batch=True))
            if not ahead:
                return
            yield ahead.popleft().result()

    def _started(self, programs: list[Program], *, batch: bool) -> list[Future[Result]]:
        trials = [Trial(self, program) for program in programs]
        groups: dict[Limits, list[Trial]] = {}
        for trial in trials:
            if not trial.settled_at_once():
                groups.setdefault(trial.program.limits, []).append(trial)
        for group in groups.values():
            self.submit(group, batch=batch and len(group) > 1)
        return [trial.future for trial in trials]

    def submit(self, trials: list[Trial], *, batch: bool) -> None:
        """Send programs of equal limits off as one job."""
        limits = trials[0].program.limits
        job = {
            "batch": batch,
            "limits": {"cpu": limits.cpu_seconds, "memory": limits.memory_mb, "output": limits.output_mb},
            "programs": [trial.description() for trial in trials],
        }
        payload = json.dumps(job).encode()
        seconds = 5 * limits.cpu_seconds + GRACE_SECONDS

        def settle(answer: Answer) -> None:
            settle_all(trials, answer, batch=batch)

        for _ in range(ATTEMPTS):
            if self._running().submit(payload, seconds, settle):
                return
        for trial in trials:
            trial.future.set_exception(SandboxError("the sandbox's supervisor keeps ending"))

    def _running(self) -> Link:
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            if self._link is not None and not self._link.alive:
                threading.Thread(target=self._link.close, daemon=True).start()
                self._link = None
            if self._link is None:
                self._link = Link(self.workers, self._isolation)
            return self._link

    def known(self, program: Program) -> Result | None:
        """A result from an earlier run of the same content."""
        if self._cache is None or (found := self._cache.get(caching.key(program, self._isolation))) is None:
            return None
        return msgspec.structs.replace(found, id=program.id)

    def keep(self, program: Program, result: Result) -> None:
        """Store a result for later runs."""
        if self._cache is not None:
            self._cache.put(caching.key(program, self._isolation), result)


def run(
    program: Program, *, workers: int | None = 1, isolation: Isolation = "auto", cache: Path | None = None
) -> Result:
    """One program in a sandbox opened for it."""
    with Sandbox(workers, isolation, cache) as sandbox:
        return sandbox.run(program)


def run_many(
    programs: Iterable[Program],
    *,
    workers: int | None = None,
    isolation: Isolation = "auto",
    cache: Path | None = None,
) -> Iterator[Result]:
    """Programs in a sandbox opened for them."""
    with Sandbox(workers, isolation, cache) as sandbox:
        yield from sandbox.run_many(programs)
