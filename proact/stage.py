"""The two loops that every stage is an instance of.

A paid stage maps `step` over jobs and appends the records of each job as it completes. A job is skipped when it is
already in the output, so running a stage again finishes it. A pure stage reads everything and replaces its output.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from proact import jsonl, resume, sidecar
from proact.console import Progress
from proact.errors import BudgetReached, JobError, ModelError, StopError, TooManyFailures
from proact.interrupts import interruptible
from proact.keys import digest
from proact.records import Failure, Record

W = TypeVar("W")
SYNC_SECONDS = 0.1
INTERRUPTED = 130
"""The exit code of what a user has stopped, as shells count signals."""
HOPELESS = 25
"""Failed calls without any success after which a run with no --max-failures ends."""


class Job(NamedTuple, Generic[W]):
    """One unit of paid work: its key, the hash of its input, what `step` needs, the judge concerned if any, and its
    spec where that is not the run's own. A `rival` is another job whose lines have the same ids; `topic` is what jobs
    of several specs have in common in their keys."""

    key: str
    input_hash: str
    work: W
    judge: str | None = None
    spec: str | None = None
    rival: str | None = None
    topic: str | None = None


class Paid(NamedTuple):
    """What a paid stage is told: where it writes, the settings that could change its bytes, and what drives it.
    `specs` holds the settings of jobs that name their own spec."""

    stage: str
    out: Path
    settings: dict[str, Any]
    concurrency: int = 32
    max_failures: int | None = None
    overwrite: bool = False
    specs: dict[str, dict[str, Any]] = {}


class Summary(msgspec.Struct):
    """How a paid stage ended."""

    planned: int = 0
    skipped: int = 0
    done: int = 0
    failed: int = 0
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 all done, 3 some missing, 130 interrupted."""
        return INTERRUPTED if self.interrupted else 3 if self.failed else 0


def run_paid(
    jobs: Callable[[], Iterable[Job[W]]],
    step: Callable[[W], Awaitable[list[Any]]],
    paid: Paid,
    *,
    sync: Callable[[], str] = str,
    close: Callable[[], Awaitable[None]] | None = None,
) -> Summary:
    """Do every job that is not yet in `paid.out`, and append its records with one write.

    `jobs` is called twice and must give the same jobs. `step` returns the records of one job; they get `job`,
    `terminal`, `spec` and `input_hash` here. `sync` flushes what must be durable before the records (the call log)
    and says what to show beside the progress. Raises SpecConflict before any work when a job is there with other
    settings, and whatever `step` raises that is no JobError.
    """
    return asyncio.run(_Run(step, paid, sync).run(jobs, close))


class _Run(Generic[W]):
    def __init__(self, step: Callable[[W], Awaitable[list[Any]]], paid: Paid, sync: Callable[[], str]) -> None:
        self.step, self.paid, self.sync = step, paid, sync
        self.spec = digest(paid.settings)
        self.specs = paid.specs or {self.spec: paid.settings}
        self.summary = Summary()
        self.draining = False
        self.stopped: StopError | None = None
        self.failures = sidecar.Failures(paid.out)
        self.superseded: set[str] = set()
        self.unanswered = 0

    async def run(self, jobs: Callable[[], Iterable[Job[W]]], close: Callable[[], Awaitable[None]] | None) -> Summary:
        started = time.monotonic()
        self.out = jsonl.Appender(self.paid.out)
        try:
            finished = self._plan(jobs)
            self._forget(finished)
            for name, body in self.specs.items():
                sidecar.note_spec(self.paid.out, name, body)
            pending = (job for job in jobs() if not finished.has(job.key, self._spec(job), job.input_hash))
            self.progress = Progress(self.paid.stage, self.summary.planned - self.summary.skipped)
            try:
                await self._all(pending)
            except (BudgetReached, TooManyFailures):
                self._forget(resume.Finished(self.paid.out))
                raise
            finally:
                self.progress.close()
        finally:
            self.out.close()
            self.failures.close()
            if close:
                await close()
        self._forget(resume.Finished(self.paid.out))
        self.summary.seconds = time.monotonic() - started
        return self.summary

    def _forget(self, finished: resume.Finished) -> None:
        """Leave one line in the failures file for each job that still has no record."""
        self.failures.close()
        self.failures.forget(lambda key: finished.knows(key) or key in self.superseded)

    def _plan(self, jobs: Callable[[], Iterable[Job[W]]]) -> resume.Finished:
        finished = resume.Finished(self.paid.out)
        self.out.truncate(finished.size)
        failed = self.failures.by_topic()
        stale: set[str] = set()
        for job in jobs():
            self.summary.planned += 1
            if finished.has(job.key, self._spec(job), job.input_hash):
                self.summary.skipped += 1
            else:
                stale.update(self._others(job, finished))
            if job.topic in failed:
                own = f"{job.topic}{self._spec(job)}"
                self.superseded.update(key for key in failed[job.topic] if not key.startswith(own))
        if not stale:
            return finished
        self.out.close()
        resume.drop(self.paid.out, stale)
        self.out = jsonl.Appender(self.paid.out)
        return resume.Finished(self.paid.out)

    def _others(self, job: Job[W], finished: resume.Finished) -> Iterator[str]:
        """The jobs of other settings in whose place this one would write. Raises SpecConflict unless it may."""
        for key in filter(None, (job.key, job.rival)):
            if finished.knows(key):
                if not self.paid.overwrite:
                    spec = self._spec(job)
                    raise resume.conflict(self.paid.out, key, spec, self.specs[spec])
                yield key

    def _spec(self, job: Job[W]) -> str:
        return job.spec or self.spec

    async def _all(self, pending: Iterator[Job[W]]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                flusher = group.create_task(self._flush_forever())
                workers = [group.create_task(self._work(pending)) for _ in range(self.paid.concurrency)]
                with interruptible(workers, self._interrupt):
                    await asyncio.wait(workers)
                flusher.cancel()
            if self.stopped:
                raise self.stopped
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            self._flush()

    async def _work(self, pending: Iterator[Job[W]]) -> None:
        for job in pending:
            if self.draining:
                return
            try:
                await self._do(job)
            except StopError as error:
                # Nothing new begins, but what is in flight is paid for and is kept.
                self.stopped = self.stopped or error
                self.draining = True

    async def _do(self, job: Job[W]) -> None:
        try:
            records = await self.step(job.work)
        except JobError as error:
            self._fail(job, error)
        else:
            self.out.write(self._lines(job, records))
            self.summary.done += 1
            self.progress.done()

    def _lines(self, job: Job[W], records: list[Any]) -> bytes:
        stamp = {"job": job.key, "spec": self._spec(job), "input_hash": job.input_hash}
        last = len(records) - 1
        return b"".join(
            msgspec.json.encode(msgspec.structs.replace(record, **stamp, terminal=index == last)) + b"\n"
            for index, record in enumerate(records)
        )

    def _fail(self, job: Job[W], error: JobError) -> None:
        kind, stage = type(error).__name__, self.paid.stage
        self.failures.write(
            Failure(ids=[job.key], stage=stage, judge=job.judge, error=kind, message=str(error), raw=error.raw)
        )
        self.summary.failed += 1
        self.progress.failed()
        self.unanswered += isinstance(error, ModelError)
        limit, answered = self.paid.max_failures, self.summary.done + self.summary.skipped
        if limit is not None and self.summary.failed > limit:
            raise TooManyFailures(f"more than {limit} jobs failed, the last with: {error}")
        if limit is None and self.unanswered >= HOPELESS and not answered:
            raise TooManyFailures(f"the first {self.unanswered} calls all failed, the last with: {error}")

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            self._flush()

    def _flush(self) -> None:
        self.progress.extra(self.sync())
        self.out.sync()

    def _interrupt(self) -> bool:
        """Begin nothing new; whether that had been asked for before."""
        again = self.draining
        self.draining = self.summary.interrupted = True
        return again


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run_pure(out: Path, records: Iterable[Record]) -> int:
    """Replace a file by these records, which come in the order of (group, id); returns how many there were."""
    count = 0
    encoder = msgspec.json.Encoder()
    with jsonl.replace(out) as file:
        for record in records:
            file.write(encoder.encode(record) + b"\n")
            count += 1
    return count
