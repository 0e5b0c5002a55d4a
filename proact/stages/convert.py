"""convert: makes states of a public data set. Pure; the source is only read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from proact import console, jsonl
from proact.datasets import clariq, humanevalcomm, in3, mbpp
from proact.errors import UsageError
from proact.records import State
from proact.stage import run_pure

FORMATS: dict[str, Callable[[Path], Iterator[State]]] = {
    "mbpp": mbpp.states,
    "humanevalcomm": humanevalcomm.states,
    "clariq": clariq.states,
    "in3": in3.states,
}


def convert(form: str, source: Path, out: Path) -> dict[str, Any]:
    """Write the states of a data set; returns how many there were. Raises UsageError for an unknown format."""
    if form not in FORMATS:
        raise UsageError(f"unknown data set {form!r}; there is: {', '.join(FORMATS)}")
    jsonl.apart(source, out)
    splits: Counter[str] = Counter()

    def counted() -> Iterator[State]:
        for state in FORMATS[form](source):
            splits[state.split or "none"] += 1
            yield state

    count = run_pure(out, counted())
    return {"states": count, "splits": dict(splits), "out": str(out), "exit_code": 0}


def show(report: dict[str, Any]) -> None:
    rows = [["states", report["states"]], *([f"split {name}", n] for name, n in report["splits"].items())]
    console.table(f"convert: {report['out']}", ["", "n"], rows)
