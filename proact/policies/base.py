"""Who decides: a policy gives the probability that asking is right at a state."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from proact.errors import UsageError
from proact.records import Message, Persona, State, Usage
from proact.registry import Registry


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A moment at which a policy is asked. A rule is shown only the visible part of the state."""

    state: State
    persona: Persona
    messages: list[Message]
    seed: int = 0
    sample: int = 0


class Policy(Protocol):
    """Decides between Clarify and Execute."""

    name: str

    async def p_clarify(self, decision: Decision) -> tuple[float, Usage]:
        """The probability of asking, and the tokens that it took to decide."""
        ...


Rule = Callable[[State, Persona, list[Message]], float | bool | Awaitable[float | bool]]


class RulePolicy:
    """A function of the visible part of the state, the persona and the dialogue as a policy."""

    def __init__(self, name: str, rule: Rule) -> None:
        self.name, self._rule = name, rule

    async def p_clarify(self, decision: Decision) -> tuple[float, Usage]:
        seen = State(**decision.state.visible())
        given = self._rule(seen, decision.persona, decision.messages)
        value = await given if inspect.isawaitable(given) else given
        try:
            return float(value), Usage()
        except (TypeError, ValueError):
            raise UsageError(f"policy {self.name} gave {value!r} as a probability of asking") from None


POLICIES: Registry[Rule] = Registry("policy")
register = POLICIES.register
