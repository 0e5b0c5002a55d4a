"""conflict: which of contradicting preferences an answer followed, asked blind and compared here (seeds/001)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator

from proact.judges.base import Case, Finding, Judge, Subject, not_applicable, register
from proact.judges.base import Reply as BaseReply
from proact.judges.compliance import listed, whole
from proact.judges.turns import query_before, said
from proact.labels import CONFLICT
from proact.prompts import fence
from proact.records import ConflictScenario, Message

RESOLVED, UNRESOLVED, UNCLEAR = CONFLICT


class Reply(BaseReply):
    """What an answer made of preferences that contradict each other."""

    preference_applied: Annotated[int, BeforeValidator(whole)]
    confused_behavior: bool
    explanation: str = ""


@register("conflict")
class Conflict(Judge[Reply]):
    """Whether each known conflict of preferences was resolved as expected; the model is not told what is expected."""

    reply = Reply

    def subjects(self, case: Case) -> Iterator[Subject]:
        due = [scenario for scenario in case.conflict_scenarios if scenario.turn_idx >= case.start]
        if not due:
            yield Subject(key="all", known=[not_applicable("No conflict is known.")])
        for number, scenario in enumerate(due):
            yield self._subject(case, f"m{scenario.turn_idx}.{number}", scenario)

    def _subject(self, case: Case, key: str, scenario: ConflictScenario) -> Subject:
        at = scenario.turn_idx
        if at >= len(case.messages):
            return Subject(key=key, known=[not_applicable(f"The conversation ended before message {at}.")])
        if (role := case.messages[at]["role"]) != "assistant":
            return Subject(key=key, at=at, problem=f"message {at} is of the role {role}; a conflict is the assistant's")
        texts = {"query": query_before(case.messages, at), "response": said(case.messages[at])}
        data = {"preferences": scenario.preferences, "expected": scenario.expected_idx + 1}
        return Subject(key=key, at=at, texts=texts, data=data)

    def messages(self, subject: Subject) -> list[Message]:
        texts = {name: fence(text, name) for name, text in subject.texts.items()}
        return self.filled(preferences=listed(subject.data["preferences"]), **texts)

    def check(self, subject: Subject, reply: Reply) -> None:
        count = len(subject.data["preferences"])
        if not 0 <= reply.preference_applied <= count:
            raise ValueError(
                f"preference_applied: there is no preference {reply.preference_applied}, only 1 to {count}"
            )

    def verdicts(self, subject: Subject, reply: Reply) -> list[Finding]:
        expected, applied = subject.data["expected"], reply.preference_applied
        detail = {
            "preference_applied": applied,
            "expected_preference": expected,
            "correct_resolution": applied == expected,
            "confused_behavior": reply.confused_behavior,
        }
        label = UNCLEAR if not applied else RESOLVED if applied == expected else UNRESOLVED
        return [Finding(label=label, score=float(applied == expected), rationale=reply.explanation, detail=detail)]
