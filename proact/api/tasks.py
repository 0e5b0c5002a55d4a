"""The simulated user, the reward and the policy's view of a state: the fronts of seeds/004."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from proact import render
from proact.api.loop import wait
from proact.cache import cache_dir
from proact.domains import domain as domain_named
from proact.errors import UsageError
from proact.keys import digest
from proact.parsing import parse
from proact.records import Action, Message, Persona, ReactionMeta, State
from proact.rewards.specs import interrupt_cost, spec_named
from proact.sandbox import Sandbox
from proact.text import questions
from proact.users import Situation
from proact.users.personas import personas
from proact.users.rule import Rule


def react(
    user_msg: str,
    assistant_msg: str,
    persona: str | dict[str, Any] | Persona,
    *,
    action: Action | None = None,
    state: dict[str, Any] | State | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What a simulated user says to an assistant's message: `{"user_reply", "meta"}`.

    Without `action`, a message that asks something is a Clarify. Without a `state` with facts, the user has nothing to
    reveal. A persona is a name of data/personas.jsonl, or its fields.
    """
    task = _state(state if state is not None else {"query": user_msg}, "any")
    situation = Situation(
        state=task,
        persona=_persona(persona),
        messages=[{"role": "user", "content": user_msg}, {"role": "assistant", "content": assistant_msg}],
        action=action or ("Clarify" if questions(assistant_msg) else "Execute"),
        turn=task.dialogue_turn,
        asked_before=0,
        completed=None,
        seed=seed,
        replicate=0,
        sample=0,
    )
    reaction: dict[str, Any] = msgspec.to_builtins(wait(Rule().react(situation)).reaction)
    return reaction


def compute_task_score(state: dict[str, Any] | State, domain: str, assistant_output: str) -> float | None:
    """R_task of an answer, 0 to 1; None when nothing scores this task. Raises SandboxError when the sandbox fails."""
    task, kind = _state(state, domain), domain_named(domain)
    if not kind.applies(task):
        return None
    program = kind.program(task, assistant_output)
    if program is None:
        return kind.score(task, assistant_output, None).value
    with Sandbox(cache=cache_dir() / "sandbox.db") as sandbox:
        return kind.score(task, assistant_output, sandbox.run(program)).value


def compute_interrupt_cost(
    meta: dict[str, Any] | ReactionMeta,
    n_questions: int,
    length_tokens: int,
    off_topic: bool | int = 0,
    *,
    spec: str = "default",
) -> float:
    """C_interrupt of one turn under a reward spec; `length_tokens` counts words, as the specs do."""
    reaction = meta if isinstance(meta, ReactionMeta) else parse(meta, ReactionMeta)
    weights = spec_named(spec, {})
    counts: dict[str, float | None] = {
        "n_questions": n_questions,
        "n_clarify": int(n_questions > 0),
        "rejects": reaction.reject_signal,
        "answered": reaction.answered_clarification,
        "long_turns": int(length_tokens > weights.long_words),
        "off_topic": int(off_topic),
    }
    return interrupt_cost(counts, weights)


def render_state(
    state: dict[str, Any] | State,
    *,
    persona: str | dict[str, Any] | Persona | None = None,
    messages: Sequence[Message] | None = None,
) -> str:
    """A state as a policy sees it, hidden fields left out."""
    task = _state(state, "any")
    who = Persona(name="user") if persona is None else _persona(persona)
    return render.render_state(task, who, messages or [{"role": "user", "content": task.query}])


def _state(state: dict[str, Any] | State, domain: str) -> State:
    if isinstance(state, State):
        return state
    try:
        return parse({"id": f"state-{digest(state)}", "domain": domain, **state}, State)
    except msgspec.ValidationError as error:
        raise UsageError(f"state: {error}") from None


def _persona(persona: str | dict[str, Any] | Persona) -> Persona:
    if isinstance(persona, Persona):
        return persona
    if isinstance(persona, dict):
        try:
            return parse({"name": "user", **persona}, Persona)
        except msgspec.ValidationError as error:
            raise UsageError(f"persona: {error}") from None
    known = personas()
    if persona not in known:
        raise UsageError(f"unknown persona {persona!r}; there is: {', '.join(known)}")
    return known[persona]
