"""Ctrl-C and SIGTERM as a wish that a run hears, not as an end in the middle of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress


@contextmanager
def interruptible(workers: Sequence[asyncio.Task[None]], asked: Callable[[], bool]) -> Iterator[None]:
    """The first signal lets the jobs in flight finish, the second ends them; `asked` tells which it is."""

    def interrupt() -> None:
        if asked():
            for worker in workers:
                worker.cancel()

    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        # Only the main thread can listen; elsewhere the caller's own handling stays.
        with suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            if loop.remove_signal_handler(number) and handler:
                signal.signal(number, handler)
