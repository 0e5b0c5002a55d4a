"""feedback: how the user's next message takes an assistant's message, from those messages alone (seeds/000)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from proact.judges.base import Case, Finding, Folded, Judge, Share, Subject, register
from proact.judges.base import Reply as BaseReply
from proact.judges.turns import exchanges
from proact.keys import digest
from proact.labels import FEEDBACK, REWARD_MAP, FeedbackName
from proact.prompts import fence
from proact.records import Message

LABELS = "\n".join(f"- {label.name}: {label.definition}" for label in FEEDBACK)


class Reply(BaseReply):
    """The user's feedback as one label."""

    label: Annotated[FeedbackName, Folded]
    confidence: Share
    rationale: str = ""


@register("feedback")
class Feedback(Judge[Reply]):
    """How the user's next message takes each answer, as one of seven labels."""

    reply = Reply
    default_model = "openai:gpt-5-nano"

    def subjects(self, case: Case) -> Iterator[Subject]:
        for exchange in exchanges(case.messages, case.start):
            if exchange.reaction is not None:
                texts = {"q_t": exchange.query, "a_t": exchange.answer, "q_t1": exchange.reaction}
                at = exchange.reaction_at
                yield Subject(key=f"m{at}", at=at, texts=texts, data={"answer_at": exchange.at})

    def messages(self, subject: Subject) -> list[Message]:
        return self.filled(labels=LABELS, **{name: fence(text, name) for name, text in subject.texts.items()})

    def verdicts(self, subject: Subject, reply: Reply) -> list[Finding]:
        """The label and its ungated reward: what a confidence is too low for is decided by whoever reads the verdict,
        so that another tau costs no call."""
        return [
            Finding(
                label=reply.label,
                score=REWARD_MAP[reply.label],
                confidence=reply.confidence,
                rationale=reply.rationale,
                detail={"answer_at": subject.data["answer_at"]},
            )
        ]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "labels": digest(LABELS)}
