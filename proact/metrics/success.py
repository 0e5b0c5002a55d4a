"""Whether a conversation solved its task, and with which message."""

from __future__ import annotations

from statistics import fmean

from proact.judges.turns import final_answer
from proact.metrics.base import Absent, Value
from proact.metrics.subject import Subject
from proact.rewards.score import RANKED, answers

MISSING, NOT_APPLICABLE = Absent.MISSING, Absent.NOT_APPLICABLE


def success(subject: Subject) -> tuple[Value, str]:
    """Whether the task was solved, and what that rests on: what was run counts before what was judged."""
    line, reward = subject.line, subject.reward
    if line and subject.evidence.has_rewards and reward is None:
        return MISSING, ""
    if reward and reward.task_score is not None and reward.status != RANKED:
        return float(reward.task_score >= 1.0), "judged" if reward.status == "judged" else "reward"
    if (heard := subject.judged("correctness")) is not None:
        scores = [one.score for one in heard if one.score is not None]
        return (float(fmean(scores) > 0.5), "correctness") if scores else (NOT_APPLICABLE, "")
    if "correctness" in subject.evidence.judges:
        return MISSING, ""
    if line is None:
        return MISSING, ""
    if line.task_completed is not None:
        return float(line.task_completed), "completed"
    if answers(line) is None and (line.state.tests or line.state.checklist):
        return 0.0, "no answer"
    return NOT_APPLICABLE, ""


def answer_at(subject: Subject) -> int:
    """Index of the message that holds the final answer."""
    if subject.line:
        executed = [step.at for step in subject.line.rollout if step.action == "Execute"]
        return executed[-1] if executed else subject.line.at
    judged = [one.at for one in subject.judged("correctness") or [] if one.at is not None]
    found = judged[-1] if judged else final_answer(subject.messages)
    return len(subject.messages) if found is None else found
