"""Where jobs run. An engine for many machines implements `Executor`; nothing but a Task crosses the seam."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec


class Task(msgspec.Struct, frozen=True):
    """A stage, its settings as JSON, and the byte range of the input that it is to work on."""

    stage: str
    settings: bytes
    source: str | None = None
    start: int = 0
    end: int | None = None


class Executor(Protocol):
    """Runs tasks and gives back what each one returned, as JSON."""

    def map(self, tasks: Iterable[Task]) -> Iterator[bytes]: ...


class Local:
    """Runs tasks one after the other in this process."""

    def map(self, tasks: Iterable[Task]) -> Iterator[bytes]:
        for task in tasks:
            yield perform(task)


def perform(task: Task) -> bytes:
    """Run one task wherever it has arrived: the stage rebuilds its clients and plugins from the settings alone."""
    module = importlib.import_module(f"proact.stages.{task.stage}")
    result: bytes = module.perform(task)
    return result
