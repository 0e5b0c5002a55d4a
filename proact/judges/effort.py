"""effort: what a conversation cost its user, counted without a model (seeds/001).

The documents' patterns, corrected: they match whole words and any case, an imperative has to stand where an imperative
stands ("the information" and "I use Python" enforce nothing), and the opening request is no effort.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from proact.judges.base import Asker, Case, Finding, Judge, Subject, register
from proact.judges.tokens import counter, known_by
from proact.judges.turns import said
from proact.keys import digest
from proact.labels import EFFORT_WEIGHTS
from proact.records import Message
from proact.text import content_words, words

PATTERNS = {
    "preference_enforcement": (
        r"(?:^|[.!?;:,]\s*|\b(?:please|can you|could you|just|instead)\s+)(?:use|give me|format|write)\b",
        r"\b(?:i|we) (?:prefer|want|need|asked)\b",
        r"\b(?:like|as) (?:i|we) (?:said|mentioned|asked)\b",
        r"\bremember (?:that|to)\b",
    ),
    "clarification_requests": (
        r"\bwhat do you mean\b",
        r"\b(?:explain|clarify)\b",
        r"\bi (?:don't|do not) understand\b",
        r"\b(?:not sure|unclear)\b",
    ),
    "corrections": (
        r"\b(?:that's|that is|this is) (?:not|wrong|incorrect)\b",
        r"\b(?:no|actually),? (?:i|the|it)\b",
        r"\byou (?:missed|forgot|ignored)\b",
    ),
    "frustration": (
        r"\b(?:ugh+|sigh|argh+)\b",
        r"\b(?:frustrat|annoy|confus)\w*",
        r"\bwhy (?:can't|won't|don't) you\b",
        r"\bthis is (?:hard|difficult|impossible)\b",
    ),
}
ENFORCEMENT = ("please use", "i asked for", "remember that i", "as i mentioned", "like i said", "i prefer")
DISAPPOINTMENT = ("not what i wanted", "that's not", "i said", "too long", "too short", "wrong format")
_SEEN = {category: re.compile("|".join(patterns)) for category, patterns in PATTERNS.items()}
_ENFORCED, _DISAPPOINTED = (
    re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))})\b") for phrases in (ENFORCEMENT, DISAPPOINTMENT)
)
REPHRASED = 0.5
"""Share of content words in common from which a request is an earlier one in other words."""
SHORTEST_REQUEST = 3
"""Content words; with fewer, two messages agree by chance."""


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """What the user's messages after the opening request show; `categories` holds indices of messages."""

    categories: dict[str, list[int]]
    enforcement: int
    disappointment: int

    @property
    def instances(self) -> int:
        return sum(map(len, self.categories.values()))

    @property
    def score(self) -> float:
        return sum(len(found) * EFFORT_WEIGHTS[category] for category, found in self.categories.items())


def analyze(messages: Sequence[Message], start: int = 0) -> Effort:
    """The effort in the user messages from `start` on; what comes before is only compared with."""
    spoken = [(index, _plain(said(message))) for index, message in enumerate(messages) if message["role"] == "user"]
    later = [(index, text) for index, text in spoken[1:] if index >= start]
    categories = {category: [index for index, text in later if seen.search(text)] for category, seen in _SEEN.items()}
    rephrased = _rephrased(spoken, start)
    return Effort(
        categories={category: categories.get(category, rephrased) for category in EFFORT_WEIGHTS},
        enforcement=sum(bool(_ENFORCED.search(text)) for _, text in later),
        disappointment=sum(bool(_DISAPPOINTED.search(text)) for _, text in later),
    )


def sizes(messages: Sequence[Message], tokenizer: str | None = None) -> dict[str, int | None]:
    """Words of each side, and tokens where a tokenizer is named, else null."""
    count = counter(tokenizer)
    found: dict[str, int | None] = {}
    for role in ("user", "assistant"):
        texts = [said(message) for message in messages if message["role"] == role]
        found[f"{role}_words"] = sum(len(words(text)) for text in texts)
        found[f"{role}_tokens"] = sum(map(count, texts)) if count else None
    return found


@register("effort")
class EffortJudge(Judge[Any]):
    """What the conversation cost the user: enforcement, clarification, corrections, rephrasing, frustration."""

    needs_model = False

    def subjects(self, case: Case) -> Iterator[Subject]:
        yield Subject(key="all", data={"messages": case.messages, "start": case.start})

    def compute(self, subject: Subject) -> list[Finding]:
        messages, start = subject.data["messages"], subject.data["start"]
        found = analyze(messages, start)
        detail: dict[str, Any] = {
            "categories": found.categories,
            "counts": {category: len(indices) for category, indices in found.categories.items()},
            "total_effort_instances": found.instances,
            "enforcement_count": found.enforcement,
            "disappointment_count": found.disappointment,
            **sizes(messages[start:], self.setup.tokenizer),
        }
        return [Finding(score=found.score, detail=detail)]

    def settings(self) -> dict[str, Any]:
        lists = digest(PATTERNS, ENFORCEMENT, DISAPPOINTMENT, EFFORT_WEIGHTS, REPHRASED, SHORTEST_REQUEST)
        return {**Asker.settings(self), "patterns": lists, "tokenizer": known_by(self.setup.tokenizer)}


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("’", "'").split())


def _rephrased(spoken: list[tuple[int, str]], start: int) -> list[int]:
    """The requests from `start` on that say again what an earlier one said; one without words says nothing."""
    told = [(index, words(text), content_words(text)) for index, text in spoken]
    return [
        index
        for place, (index, text, asked) in enumerate(told)
        if index >= start and text and any(text == other or _alike(asked, meant) for _, other, meant in told[:place])
    ]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one) >= SHORTEST_REQUEST and len(one & other) / len(one | other) >= REPHRASED
