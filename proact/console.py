"""The only module that prints: progress and notes on stderr, tables and JSON on stdout."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from typing import Any

import orjson

from proact.errors import OutputError

_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def note(text: str) -> None:
    """One line for the person at the terminal."""
    sys.stderr.write(f"{plain(text)}\n")
    sys.stderr.flush()


def plain(text: str) -> str:
    """The text without what a terminal would obey: names and messages come from files and models."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def aside() -> AbstractContextManager[Any]:
    """While open, what plugins and libraries print goes to stderr: stdout holds the result of a command alone."""
    return redirect_stdout(sys.stderr)


def emit(value: Any) -> None:
    """The machine-readable result of a command, as one JSON document on stdout."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    with _printing():
        sys.stdout.buffer.write(orjson.dumps(value, option=options))
        sys.stdout.flush()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout; numbers stand right, None is shown as a dash."""
    from rich.console import Console
    from rich.table import Table

    rows = [list(row) for row in rows]
    drawn = Table(header_style="bold")
    for index, name in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows)
        drawn.add_column(plain(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(shown(value) for value in row))
    width = None if sys.stdout.isatty() else 120
    console = Console(width=width, highlight=False, emoji=False, markup=False)
    with _printing():
        console.print(plain(title), style="bold")
        console.print(drawn)


@contextmanager
def _printing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # Else the interpreter tries again when it ends, and complains in its own way.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"standard output: cannot write: {error.strerror}") from error


def shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return plain(str(value))


class Progress:
    """Done, failed, rate, cost and time left of a long stage, on stderr. What was `begun` before tells no rate."""

    def __init__(self, label: str, total: int | None, *, unit: str = "job", begun: int = 0, shown: bool = True) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=total,
            desc=label,
            unit=unit,
            initial=begun,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
            dynamic_ncols=True,
            smoothing=0.1,
            file=sys.stderr,
            disable=not shown,
        )
        self._failed = 0
        self._extra = ""

    def done(self, count: int = 1) -> None:
        self._bar.update(count)

    def failed(self) -> None:
        self._failed += 1
        self._say()
        self._bar.update(1)

    def extra(self, text: str) -> None:
        """What else to show at the end of the line, such as the cost so far."""
        if text != self._extra:
            self._extra = text
            self._say()

    def _say(self) -> None:
        parts = [f"failed {self._failed}"] if self._failed else []
        self._bar.set_postfix_str(", ".join([*parts, *([self._extra] if self._extra else [])]), refresh=False)

    def close(self) -> None:
        self._bar.close()
