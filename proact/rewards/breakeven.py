"""How much one question must raise task success to pay for itself, from the spec and the persona alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proact.records import Persona
from proact.rewards.specs import Spec, interrupt_cost
from proact.users import personas as numbers

QUESTIONS = (1, 2, 3)
NOTHING_HAPPENED: dict[str, float | None] = dict.fromkeys(
    ("n_clarify", "n_questions", "rejects", "answered", "off_topic", "long_turns"), 0.0
)


def specified(user_model: str) -> bool:
    """Whether a user simulator draws its patience and its clarity from the table in users/personas.py."""
    return user_model == "rule" or ":" in user_model


def break_even(persona: Persona, n_questions: int, spec: Spec) -> float | None:
    """The rise in task success, given a clear answer, at which one message with so many questions pays.

    The expected cost, refusals included, over the chance of a clear answer. None when success earns nothing.
    """
    answers, states = numbers.ANSWERS[persona.patience], numbers.STATES[persona.expertise]
    asked = {**NOTHING_HAPPENED, "n_clarify": 1.0, "n_questions": float(n_questions)}
    cost = answers * interrupt_cost({**asked, "answered": 1}, spec)
    cost += (1 - answers) * interrupt_cost({**asked, "rejects": 1}, spec)
    return cost / (spec.w_task * answers * states) if spec.w_task > 0 else None


def table(personas: Iterable[Persona], spec: Spec) -> list[dict[str, Any]]:
    """The break-even gains of each persona for one, two and three questions in a message."""
    return [
        {
            "persona": persona.name,
            "patience": persona.patience,
            "expertise": persona.expertise,
            "gains": [break_even(persona, count, spec) for count in QUESTIONS],
        }
        for persona in sorted(personas, key=lambda persona: persona.name)
    ]


def hopeless(rows: list[dict[str, Any]]) -> int | None:
    """The smallest number of questions that pays with no persona: no answer adds more than the whole score."""
    for place, count in enumerate(QUESTIONS):
        gains = [row["gains"][place] for row in rows]
        if gains and all(gain is None or gain > 1 for gain in gains):
            return count
    return None
