"""Every error that proact raises on purpose.

ProactError
├── StopError               the command ends here
│   ├── UsageError          what was asked for cannot be done; exit 2
│   │   ├── InputError      a file, line and field that are not what they must be
│   │   └── SpecConflict    the output file was made with other settings
│   ├── OutputError         the disk or a lock stands in the way; exit 1
│   ├── TooManyFailures     --max-failures was reached; exit 1
│   ├── BudgetReached       --budget was reached; exit 4
│   └── Diverged            a training has lost its way; exit 1
└── JobError                one job failed, the others go on
    ├── ModelError          no usable reply came from the model
    │   ├── TransientError  the same request may go through later
    │   └── ReplyError      a reply came, in another shape than was asked for
    ├── SandboxError        the sandbox, not the candidate, failed
    ├── Unjudgeable         a subject is not what its judge needs
    └── MissingVerdict      a judge's score is asked for and not in the verdicts
"""

from __future__ import annotations

from pathlib import Path


class ProactError(Exception):
    """Anything that the user is told in one line and without a traceback."""

    exit_code = 1


class StopError(ProactError):
    """The whole command cannot go on."""


class UsageError(StopError):
    """The command line asks for something that cannot be done; the message names the choices."""

    exit_code = 2


class InputError(UsageError):
    """A file is not what it must be: says which file, line and field, and what was expected."""

    def __init__(self, path: Path | str, message: str, *, line: int | None = None, field: str | None = None) -> None:
        where = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{where}: {f'field {field}: ' if field else ''}{message}")
        self.path, self.line, self.field = path, line, field


class SpecConflict(UsageError):
    """The output file holds records made with other settings; shows which ones differ."""


class OutputError(StopError):
    """The result could not be written; what was there before is intact."""


class TooManyFailures(StopError):
    """More jobs failed than --max-failures allows."""


class BudgetReached(StopError):
    """The money set with --budget is spent; the same command goes on from here with a larger one."""

    exit_code = 4


class Diverged(StopError):
    """The loss of a training is no number any more; no policy was written."""


class JobError(ProactError):
    """One job failed: it becomes a line of the failures file and is tried again next run."""

    raw: str | None = None


class Taken:
    """What the attempts at one reply have taken so far; `wasted` counts the tokens of those thrown away."""

    def __init__(self) -> None:
        self.attempts = self.wasted = 0
        self.cost: float | None = None


class ModelError(JobError):
    """The model gave no usable reply after every attempt that the limits allow; `taken` is what they cost."""

    taken: Taken | None = None


class TransientError(ModelError):
    """The server was busy, broken or out of reach; `retry_after` is the pause in seconds that it asked for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ReplyError(ModelError):
    """The model replied, but not in the shape that was asked for; the reply is kept as evidence."""

    def __init__(self, message: str, raw: str | None = None) -> None:
        super().__init__(message)
        self.raw = raw


class MissingVerdict(JobError):
    """A reward asks for a judge's score that the verdicts file does not hold."""


class SandboxError(JobError):
    """The sandbox failed to run a program, which says nothing about the program."""


class Unjudgeable(JobError):
    """A subject is not what its judge needs, so that nobody can be asked about it."""
