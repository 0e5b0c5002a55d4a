"""compliance: which preferences apply to an answer, and which of them it follows, in one call per turn (seeds/001)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, create_model

from proact.judges.base import Case, Finding, Folded, Judge, Subject, not_applicable, register
from proact.judges.base import Reply as BaseReply
from proact.judges.turns import exchanges
from proact.keys import digest
from proact.labels import COMPLIANCE, NOT_APPLICABLE, VIOLATIONS, PreferenceViolationType
from proact.prompts import fence
from proact.records import Message, Preference

FOLLOWED, VIOLATED = COMPLIANCE
TYPES = "\n".join(f"- {kind.value}: {meaning}" for kind, meaning in VIOLATIONS.items())


class Violation(BaseReply):
    """A preference that an answer goes against."""

    preference: int
    type: Annotated[PreferenceViolationType, Folded]


class Reply(BaseReply):
    """What an answer makes of the user's preferences, named by their numbers from 1."""

    applicable_preferences: list[int]
    followed: list[int]
    violated: list[Violation]
    over_personalization: list[int]
    explanation: str = ""


@register("compliance")
class Compliance(Judge[Reply]):
    """Which of the user's preferences each answer follows, violates, or follows without need."""

    reply = Reply

    def subjects(self, case: Case) -> Iterator[Subject]:
        if not case.preferences:
            yield Subject(key="all", known=[not_applicable("No preferences are known.")])
            return
        signals = orjson.dumps(case.context_signals, default=str).decode() if case.context_signals else ""
        for exchange in exchanges(case.messages, case.start):
            texts = {"query": exchange.query, "context": signals, "response": exchange.answer}
            data = {"preferences": case.preferences}
            yield Subject(key=f"m{exchange.at}", at=exchange.at, texts=texts, data=data)

    def shape(self, subject: Subject) -> type[Reply]:
        return numbered(len(subject.data["preferences"]))

    def messages(self, subject: Subject) -> list[Message]:
        texts = {name: fence(text, name) if text else "" for name, text in subject.texts.items()}
        return self.filled(types=TYPES, preferences=listed(subject.data["preferences"]), **texts)

    def check(self, subject: Subject, reply: Reply) -> None:
        known = set(range(1, len(subject.data["preferences"]) + 1))
        applicable, followed = _set("applicable_preferences", reply.applicable_preferences, known), set(reply.followed)
        violated = _set("violated", [violation.preference for violation in reply.violated], known)
        over = _set("over_personalization", reply.over_personalization, known)
        _set("followed", reply.followed, known)
        if followed & violated:
            raise ValueError(f"preference {min(followed & violated)} is both followed and violated")
        if followed | violated != applicable:
            number = min((followed | violated) ^ applicable)
            raise ValueError(f"preference {number}: every applicable one is followed or violated, and no other")
        if over & applicable:
            raise ValueError(f"preference {min(over & applicable)} applies and so cannot be over_personalization")

    def verdicts(self, subject: Subject, reply: Reply) -> list[Finding]:
        """The score is the followed share of the applicable preferences; null when none applies."""
        applicable, violated = reply.applicable_preferences, reply.violated
        detail = {
            "applicable_preferences": sorted(applicable),
            "followed": sorted(reply.followed),
            "violated": sorted(violation.preference for violation in violated),
            "violation_types": {f"{violation.preference}": violation.type.value for violation in violated},
            "over_personalization": sorted(reply.over_personalization),
        }
        score = len(reply.followed) / len(applicable) if applicable else None
        label = NOT_APPLICABLE if score is None else VIOLATED if violated else FOLLOWED
        return [Finding(label=label, score=score, rationale=reply.explanation, detail=detail)]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "types": digest(TYPES)}


@cache
def numbered(count: int) -> type[Reply]:
    """The reply about so many preferences: its schema knows no other numbers."""
    number: Any = Annotated[Literal[tuple(range(1, count + 1))], BeforeValidator(whole)]
    violation: Any = create_model("Violation", __base__=Violation, preference=(number, ...))
    fields: dict[str, Any] = dict.fromkeys(
        ("applicable_preferences", "followed", "over_personalization"), (list[number], ...)
    )
    model: type[BaseModel] = create_model("Reply", __base__=Reply, **fields, violated=(list[violation], ...))
    assert issubclass(model, Reply)
    return model


def listed(preferences: Sequence[Preference]) -> str:
    """Preferences as a model is shown them, numbered from 1."""
    lines = (
        fence(f"When: {preference.condition or 'always'} -> {preference.preference}", "preference", number=f"{number}")
        for number, preference in enumerate(preferences, start=1)
    )
    return "\n".join(lines)


def whole(value: Any) -> Any:
    """For the number of a preference, which `true` is not."""
    if isinstance(value, bool):
        raise ValueError("expected the number of a preference")
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _set(field: str, numbers: list[int], known: set[int]) -> set[int]:
    if twice := [number for number, count in Counter(numbers).items() if count > 1]:
        raise ValueError(f"{field}: {twice[0]} is there twice")
    if unknown := set(numbers) - known:
        raise ValueError(f"{field}: there is no preference {min(unknown)}, only 1 to {len(known)}")
    return set(numbers)
