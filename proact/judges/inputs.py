"""What a line of any log is to a judge: trajectories and conversations become cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from proact import jsonl
from proact.judges.base import Case
from proact.judges.turns import said
from proact.records import ChecklistItem, Conversation, Message, Preference, Record, State, Trajectory


class _Tests(Record, frozen=True, kw_only=True):
    tests: str | list[str] | None = None
    setup: str | None = None


def of_trajectory(trajectory: Trajectory) -> Case:
    """A trajectory from its decision on. The problem is what the user had in mind, the solution the reference."""
    state = trajectory.state
    messages, at = (trajectory.messages, trajectory.at) if trajectory.messages else _bare(trajectory)
    return Case(
        id=trajectory.id,
        conversation=trajectory.conversation,
        group=trajectory.group,
        messages=messages,
        start=at,
        answer_at=_answer_at(trajectory, at),
        domain=state.domain,
        preferences=[*state.preferences, *trajectory.persona.preferences],
        problem=state.intent or state.query,
        solution=_solution(state),
        conflict_scenarios=state.conflict_scenarios,
        context_signals=trajectory.metadata.get("context_signals") or state.metadata.get("context_signals"),
        tools=trajectory.tools,
        state=state if state.tests else None,
    )


def of_conversation(log: Conversation) -> Case:
    """A conversation log, all of it. Where it names no problem, that is the first user message."""
    first = next((said(message) for message in log.messages if message["role"] == "user"), "")
    return Case(
        id=log.id,
        conversation=log.id,
        group=log.group or "",
        messages=log.messages,
        domain=log.domain,
        preferences=log.preferences,
        problem=log.problem or first,
        solution=log.solution or "",
        conflict_scenarios=log.conflict_scenarios,
        context_signals=log.context_signals,
        tools=log.tools,
        state=_state(log),
    )


def checked_tests(fields: dict[str, Any], path: Path, number: int) -> None:
    """Raises InputError when what a line gives as tests cannot be run."""
    if fields.get("tests"):
        jsonl.record(fields, _Tests, path, number)


def _bare(trajectory: Trajectory) -> tuple[list[Message], int]:
    # A line that holds only the documents' fields.
    messages: list[Message] = [
        {"role": "user", "content": trajectory.state.query},
        {"role": "assistant", "content": trajectory.assistant_msg},
    ]
    if reply := trajectory.user_reaction.user_reply:
        messages.append({"role": "user", "content": reply})
    return messages, 1


def _answer_at(trajectory: Trajectory, at: int) -> int:
    if not trajectory.rollout:
        return at if trajectory.action == "Execute" else -1
    return max((step.at for step in trajectory.rollout if step.action == "Execute"), default=-1)


def _solution(state: State) -> str:
    if state.reference:
        return state.reference
    if state.checklist:
        items = [item.text if isinstance(item, ChecklistItem) else item for item in state.checklist]
        return "An answer that covers each of these:\n" + "\n".join(f"- {item}" for item in items)
    if state.tests:
        tests = [state.tests] if isinstance(state.tests, str) else state.tests
        return "A program that passes these tests:\n" + "\n".join(tests)
    return ""


def _state(log: Conversation) -> State | None:
    tests, setup = log.metadata.get("tests"), log.metadata.get("setup")
    if not tests:
        return None
    fields = {"id": log.id, "domain": "coding", "query": log.problem or "", "tests": tests, "setup": setup}
    return msgspec.convert(fields, State)


def preferences_of(fields: dict[str, Any]) -> list[Preference]:
    """The preferences of a profile line. Raises msgspec.ValidationError when they are none."""
    return msgspec.convert(fields.get("preferences", []), list[Preference])
