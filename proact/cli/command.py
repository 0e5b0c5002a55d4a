"""How a subcommand runs its stage and ends."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import typer

from proact import console
from proact.errors import UsageError


def perform(stage: ModuleType, settings: Any, source: str | None, json: bool) -> None:
    """Run a stage with these settings on the local executor, and end the command with its summary."""
    import msgspec

    from proact.executor import Local, Task

    name, body = stage.__name__.rpartition(".")[2], written(settings)
    with console.aside():
        (result,) = Local().map([Task(name, body, source)])
    finish(msgspec.json.decode(result), stage.show, json)


def written(settings: Any) -> bytes:
    """Settings as JSON. Raises UsageError for a number that is not finite, and for a seed that records do not take."""
    import msgspec

    if not -(2**63) <= (seed := getattr(settings, "seed", 0)) < 2**63:
        raise UsageError(f"--seed {seed}: expected a whole number of 64 bits")
    body = msgspec.json.encode(settings)
    try:
        sound = msgspec.json.decode(body, type=type(settings)) == settings
    except msgspec.ValidationError:
        sound = False
    if not sound:
        # JSON has no infinity, so it has become null.
        raise UsageError("a number on the command line is not finite")
    return body


def finish(report: dict[str, Any], show: Callable[[dict[str, Any]], None], json: bool) -> None:
    """Print a summary, as tables or as JSON, and exit with its code."""
    if json:
        console.emit(report)
    else:
        show(report)
    raise typer.Exit(report["exit_code"])
