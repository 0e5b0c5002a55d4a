"""The policies that are rules of thumb: the source document's, its repair, and the two constant ones."""

from __future__ import annotations

from proact.policies.base import register
from proact.records import Message, Persona, State

LATE_TURN = 2
UNCERTAIN = 0.5


def must_answer(state: State, persona: Persona) -> bool:
    """Whether both rules forbid to ask: after a refusal, late in the dialogue, or to an impatient user."""
    return bool(state.prev_reject) or state.dialogue_turn >= LATE_TURN or persona.patience == "low"


@register("documented")
def documented(state: State, persona: Persona, messages: list[Message]) -> bool:
    """The mainline rule of seeds/004: ask a patient user about a task of low uncertainty."""
    if must_answer(state, persona):
        return False
    return persona.patience == "high" and state.task_uncertainty < UNCERTAIN


@register("calibrated")
def calibrated(state: State, persona: Persona, messages: list[Message]) -> bool:
    """The same rule turned the right way round: ask when the uncertainty is high."""
    return not must_answer(state, persona) and state.task_uncertainty >= UNCERTAIN


@register("always-clarify")
def always_clarify(state: State, persona: Persona, messages: list[Message]) -> bool:
    return True


@register("always-execute")
def always_execute(state: State, persona: Persona, messages: list[Message]) -> bool:
    return False
