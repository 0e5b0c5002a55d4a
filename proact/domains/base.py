"""What an answer is and how it is scored, per kind of task."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec

from proact.prompts import Prompt, load, split
from proact.records import Action, State
from proact.registry import Registry
from proact.sandbox.program import Program, Result


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How good an answer is, 0 to 1; None when nothing scores this task."""

    value: float | None
    status: str
    tests: list[bool] = []
    tier: str = ""
    layers: list[str] = []

    def __post_init__(self) -> None:
        value: object = self.value
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
            raise ValueError(f"expected a score from 0 to 1 or None, got {value!r}")


NOT_APPLICABLE = Score(value=None, status="not_applicable")
NO_ANSWER = Score(value=0.0, status="no_answer")


class Domain:
    """One kind of task. A domain either scores the message itself, or names a program for the sandbox to run first."""

    name: ClassVar[str]
    prompts: ClassVar[dict[Action, str]] = {}
    """Prompt texts with [system] and [user] sections; without them prompts/<name>_<action>.txt is used."""

    def prompt(self, action: Action) -> Prompt:
        name = f"{self.name}_{action.lower()}"
        return split(name, self.prompts[action]) if action in self.prompts else load(name)

    def applies(self, state: State) -> bool:
        """Whether this state holds what a score needs."""
        return True

    def program(self, state: State, message: str) -> Program | None:
        """What the sandbox must run before `score` can tell; None when nothing has to run."""
        return None

    def score(self, state: State, message: str, result: Result | None) -> Score:
        """The score of a final answer. Raises SandboxError when the program could not be run."""
        raise TypeError(f"domain {self.name} must define score()")


DOMAINS: Registry[type[Domain]] = Registry("domain")

D = TypeVar("D", bound=type[Domain])


def register(name: str) -> Callable[[D], D]:
    """A class decorator that makes a domain known under a name."""

    def add(kind: D) -> D:
        kind.name = name
        DOMAINS.register(name)(kind)
        return kind

    return add


def domain(name: str) -> Domain:
    """The domain of that name. Raises UsageError when there is none."""
    return DOMAINS[name]()
