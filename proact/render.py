"""The only place where a state or a conversation becomes text or messages for a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from proact.prompts import Prompt, fence
from proact.records import Message, Persona, State


def instructed(messages: Sequence[Message], prompt: Prompt, persona: Persona) -> tuple[list[Message], str]:
    """The messages that make an assistant take an action, and the instruction among them.

    The instruction ends the last user message: a small model follows it there far more often than in the system
    message (9 of 12 tasks against 3).
    """
    system, instruction = _instruction(prompt, persona.profile)
    *earlier, last = messages
    if last["role"] == "user":
        final = [*earlier, {"role": "user", "content": f"{last['content']}\n\n{instruction}"}]
    else:
        final = [*messages, {"role": "user", "content": instruction}]
    return [{"role": "system", "content": system}, *final], instruction


@lru_cache(256)
def _instruction(prompt: Prompt, profile: str) -> tuple[str, str]:
    return prompt.fill(profile=f"About the user: {profile}" if profile else "")


def render_state(state: State, persona: Persona, messages: Sequence[Message]) -> str:
    """A decision as a policy sees it: the dialogue, the turn, the last refusal, the uncertainty and the profile."""
    lines = [
        f"Kind of task: {state.domain}",
        f"Assistant turns so far: {state.dialogue_turn}",
        f"The user refused the last question: {'yes' if state.prev_reject else 'no'}",
        f"Uncertainty of the task, 0 to 1: {state.task_uncertainty:.2f}",
    ]
    if persona.profile:
        lines.append(f"About the user: {persona.profile}")
    return "\n".join([*lines, "Dialogue:", render_dialogue(messages)])


def action_prompt(state: State, profile: str, messages: Sequence[Message]) -> str:
    """What a trained policy reads; the name of an action, with a space before it, completes it.

    Training, inference and the exported model use this one text: a policy knows no other. The dialogue stands first, so
    that what its turns have in common is read once.
    """
    facts = [state.domain, f"turn {state.dialogue_turn}", f"uncertainty {state.task_uncertainty:.2f}"]
    if state.prev_reject:
        facts.append("the last question was refused")
    about = [f"About the user: {profile}"] if profile else []
    return "\n".join([render_dialogue(messages), *about, ", ".join(facts), "Action:"])


def render_dialogue(messages: Sequence[Message]) -> str:
    """A dialogue as text, each message in a tag that its content cannot forge."""
    return "\n".join(fence(str(message.get("content") or ""), str(message["role"])) for message in messages)
