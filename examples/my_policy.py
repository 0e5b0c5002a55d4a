"""A policy asks when a short request opens the dialogue: `--plugin examples/my_policy.py --policy short-request`."""

from proact import policies
from proact.records import Message, Persona, State


@policies.register("short-request")
def short_request(state: State, persona: Persona, messages: list[Message]) -> float:
    """The probability that asking is right here."""
    if state.dialogue_turn or state.prev_reject:
        return 0.0
    return 0.9 if len(state.query.split()) < 15 else 0.2
