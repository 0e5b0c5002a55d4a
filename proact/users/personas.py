"""Who the simulated users are, and every number of their behaviour. None of these numbers was measured on people."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from proact import jsonl
from proact.errors import InputError, UsageError
from proact.prompts import shipped
from proact.records import Level, Persona, ReactionMeta

ANSWERS: dict[Level, float] = {"low": 0.3, "mid": 0.6, "high": 0.9}
"""Probability, by patience, that a question is answered at all."""
WEARIES = 0.9
"""Factor on that probability for every question asked before."""
STATES: dict[Level, float] = {"low": 0.3, "mid": 0.6, "high": 0.9}
"""Probability, by expertise, that an answer states the fact that was asked for, and is not vague."""
SILENT_WORDS = 200
"""An impatient user says nothing to a message with more words of prose."""
SATISFACTION = 0.6
ANSWERED, REJECTED, SILENT, OFF_TOPIC, TALKATIVE = 0.25, -0.3, -0.1, -0.1, -0.1
PATIENT_QUESTIONS = 2
"""Questions in one message that cost no satisfaction; each further one costs TALKATIVE."""


def satisfaction(meta: ReactionMeta, n_questions: int) -> float:
    """How content the user is with one assistant message, 0 to 1."""
    value = SATISFACTION + ANSWERED * meta.answered_clarification + REJECTED * meta.reject_signal
    value += SILENT * meta.silence + OFF_TOPIC * meta.off_topic_flag
    value += TALKATIVE * max(0, n_questions - PATIENT_QUESTIONS)
    return round(min(1.0, max(0.0, value)), 4)


def personas(path: Path | None = None) -> dict[str, Persona]:
    """The personas of a file, by name; without one those of data/personas.jsonl."""
    path = path or shipped("data/personas.jsonl")
    found: dict[str, Persona] = {}
    for persona in jsonl.read(path, Persona):
        if persona.name in found:
            raise InputError(path, f"persona {persona.name!r} is there twice", field="name")
        found[persona.name] = persona
    return found


def chosen(names: str, domain: str, available: dict[str, Persona]) -> list[list[Persona]]:
    """For the states of a domain in turn: who plays the user. `all` is everybody at each state, `balanced` one each
    with patience spread evenly, anything else a name or several with commas."""
    fitting = [persona for persona in available.values() if persona.domain in ("any", domain)]
    if names == "all":
        picked = [fitting]
    elif names == "balanced":
        levels = [[persona for persona in fitting if persona.patience == level] for level in ANSWERS]
        picked = [[persona] for row in zip_longest(*levels) for persona in row if persona]
    else:
        wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
        if unknown := [name for name in wanted if name not in available]:
            raise UsageError(f"unknown persona {unknown[0]!r}; there is: balanced, all, {', '.join(available)}")
        picked = [[available[name] for name in wanted]]
    if not any(picked):
        raise UsageError(f"no persona plays users of the domain {domain!r}")
    return picked
