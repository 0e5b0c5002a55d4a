"""Trackers that a training reports to as well, each a package of its own that the user has installed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

from proact.errors import OutputError, UsageError

TRACKERS = ("wandb", "mlflow", "trackio")
ERRORS = {"wandb": ("wandb.errors", "Error"), "mlflow": ("mlflow.exceptions", "MlflowException")}
"""What they raise when they cannot take what they are told; trackio, which writes to this machine, has no such kind."""
PROJECT = "proact"
"""What a training is filed under, unless these variables say otherwise."""
PROJECT_VARIABLES = {"wandb": "WANDB_PROJECT", "mlflow": "MLFLOW_EXPERIMENT_NAME"}


def named(report_to: str) -> list[str]:
    """The trackers named on the command line. Raises UsageError for one that there is not."""
    found = [name for name in report_to.split(",") if name and name != "none"]
    if unknown := [name for name in found if name not in TRACKERS]:
        raise UsageError(f"--report-to {unknown[0]}: expected none, {', '.join(TRACKERS)}")
    return found


def installed(report_to: str) -> None:
    """Raises UsageError for a tracker that is not here."""
    for name in named(report_to):
        if find_spec(name) is None:
            raise UsageError(f"--report-to {name} needs the package: pip install {name}")


@contextmanager
def telling(trackers: Sequence[str]) -> Iterator[None]:
    """A training that reports to trackers. What stops one of them becomes OutputError: the checkpoints are there."""
    for name in PROJECT_VARIABLES.keys() & {*trackers}:
        os.environ.setdefault(PROJECT_VARIABLES[name], PROJECT)
    kinds = {getattr(import_module(ERRORS[name][0]), ERRORS[name][1]): name for name in trackers if name in ERRORS}
    try:
        yield
        if "wandb" in trackers:
            # It would end with the process, after the result is printed, and take a later training for this one.
            import_module("wandb").finish()
    except tuple(kinds) as error:
        name = next(name for kind, name in kinds.items() if isinstance(error, kind))
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OutputError(f"--report-to {name}: {said}") from error
