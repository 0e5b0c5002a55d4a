"""correctness: whether the final answer is right, by its tests where there are some, else by a model (seeds/001)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from proact.domains import domain
from proact.judges.base import Case, Finding, Judge, Share, Subject, not_applicable, register
from proact.judges.base import Reply as BaseReply
from proact.judges.turns import final_answer, said
from proact.labels import CORRECTNESS
from proact.records import State
from proact.sandbox.program import Program, Result

CORRECT, INCORRECT, SILENT = CORRECTNESS
NO_ANSWER = Finding(label=SILENT, score=0.0, confidence=1.0, rationale="The assistant never gave an answer.")


class Reply(BaseReply):
    """Whether an answer is right."""

    is_correct: bool
    confidence: Share
    reasoning: str = ""


@register("correctness")
class Correctness(Judge[Reply]):
    """Whether the final answer is right: code with tests is run, anything else compared with the solution."""

    reply = Reply

    def subjects(self, case: Case) -> Iterator[Subject]:
        at = final_answer(case.messages) if case.answer_at is None else case.answer_at
        subject = Subject(key="answer", at=at)
        if at is None or at < 0 or not (answer := said(case.messages[at])).strip():
            found = [NO_ANSWER] if case.solution or case.state else [not_applicable("There is no solution.")]
            yield msgspec.structs.replace(subject, at=None, known=found)
        elif case.state and (program := self._program(case.state, answer)):
            data = {"state": case.state, "answer": answer}
            yield msgspec.structs.replace(subject, program=program, data=data)
        elif not case.solution:
            yield msgspec.structs.replace(subject, known=[not_applicable("There is no solution to compare with.")])
        else:
            names = ("domain", "problem", "right_answer", "assistant_answer")
            texts = (case.domain or "any", case.problem, case.solution, answer)
            yield msgspec.structs.replace(subject, texts=dict(zip(names, texts, strict=True)))

    def _program(self, state: State, answer: str) -> Program | None:
        return domain("coding").program(state, answer) if self.setup.sandbox else None

    def verdicts(self, subject: Subject, reply: Reply) -> list[Finding]:
        return [
            Finding(
                label=CORRECT if reply.is_correct else INCORRECT,
                score=float(reply.is_correct),
                confidence=reply.confidence,
                rationale=reply.reasoning,
            )
        ]

    def ran(self, subject: Subject, result: Result) -> list[Finding]:
        """Correct is what passes every test."""
        score = domain("coding").score(subject.data["state"], subject.data["answer"], result)
        correct = score.value == 1.0
        label = CORRECT if correct else SILENT if score.status == "no_answer" else INCORRECT
        passed = f"{sum(score.tests)} of {len(score.tests)} tests passed ({score.status})"
        detail = {"status": score.status, "tests": score.tests, "tier": score.tier, "layers": score.layers}
        return [Finding(label=label, score=float(correct), confidence=1.0, rationale=passed, detail=detail)]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "sandbox": self.setup.sandbox}
