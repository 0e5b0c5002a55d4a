"""The metrics of one conversation: those of seeds/001, put right, and what an interruption adds to them."""

from __future__ import annotations

from statistics import fmean

from proact.judges.turns import exchanges
from proact.labels import gated
from proact.metrics.base import Absent, Value, Weighted, metric
from proact.metrics.subject import Subject
from proact.metrics.success import answer_at, success
from proact.records import Verdict
from proact.rewards.score import RANKED
from proact.text import questions

MISSING, NOT_APPLICABLE = Absent.MISSING, Absent.NOT_APPLICABLE


@metric("task_success_rate", field="task_success", unit="share", higher_is_better=True, kind="rate")
def task_success(subject: Subject) -> Value:
    """Share of conversations whose final answer solves the task: all tests or items, else the correctness judge."""
    return success(subject)[0]


@metric("avg_task_score", field="task_score", unit="0 to 1", higher_is_better=True)
def task_score(subject: Subject) -> Value:
    """Share of the tests or items that the final answer passes."""
    if subject.line is None:
        return NOT_APPLICABLE
    if subject.reward is None:
        return MISSING
    scored = subject.reward.task_score
    return NOT_APPLICABLE if scored is None or subject.reward.status == RANKED else scored


@metric("avg_turns_to_success", field="turns_to_success", unit="assistant turns", higher_is_better=False)
def turns_to_success(subject: Subject) -> Value:
    """Assistant turns up to the answer that solved the task; only conversations that did solve it."""
    solved, _ = success(subject)
    if solved != 1.0:
        return solved if isinstance(solved, Absent) else NOT_APPLICABLE
    at = answer_at(subject)
    return min(len(subject.turns), 1 + sum(turn < at for turn in subject.turns))


@metric("avg_turns", field="total_turns", unit="assistant turns", higher_is_better=False)
def total_turns(subject: Subject) -> Value:
    """Assistant turns of the conversation."""
    return len(subject.turns)


@metric("avg_user_tokens", field="user_token_count", unit="words", higher_is_better=False)
def user_words(subject: Subject) -> Value:
    """Words that the user had to write, the request included."""
    return float(subject.sizes["user_words"] or 0)


@metric("avg_agent_tokens", field="agent_token_count", unit="words", higher_is_better=False)
def agent_words(subject: Subject) -> Value:
    """Words that the assistant wrote, code included."""
    return float(subject.sizes["assistant_words"] or 0)


@metric("avg_total_tokens", field="total_token_count", unit="words", higher_is_better=False)
def total_words(subject: Subject) -> Value:
    """Words of both sides."""
    found = subject.sizes
    return float((found["user_words"] or 0) + (found["assistant_words"] or 0))


@metric("avg_model_tokens", field="model_tokens", unit="tokens", higher_is_better=False, compared=False)
def model_tokens(subject: Subject) -> Value:
    """Tokens sent to and received from models to play the conversation, as their servers counted them."""
    usage = subject.line.usage if subject.line else None
    return float(usage.prompt_tokens + usage.completion_tokens) if usage and usage.calls else NOT_APPLICABLE


@metric("avg_counted_user_tokens", field="counted_user_tokens", unit="tokens", higher_is_better=False, compared=False)
def user_tokens(subject: Subject) -> Value:
    """Tokens that the user wrote, where the effort judge was given a tokenizer."""
    return _counted(subject, "user_tokens")


@metric("avg_counted_agent_tokens", field="counted_agent_tokens", unit="tokens", higher_is_better=False, compared=False)
def agent_tokens(subject: Subject) -> Value:
    """Tokens that the assistant wrote, where the effort judge was given a tokenizer."""
    return _counted(subject, "assistant_tokens")


@metric("avg_enforcement_count", field="enforcement_count", unit="messages", higher_is_better=False)
def enforcement_count(subject: Subject) -> Value:
    """User messages that remind the assistant of a preference."""
    return subject.effort.enforcement


@metric("avg_disappointment_count", field="disappointment_count", unit="messages", higher_is_better=False)
def disappointment_count(subject: Subject) -> Value:
    """User messages that express disappointment."""
    return subject.effort.disappointment


@metric("avg_weighted_effort", field="weighted_effort_score", unit="effort points", higher_is_better=False)
def weighted_effort(subject: Subject) -> Value:
    """User effort: enforcement 2, clarification 1, correction 3, rephrasing 1.5, frustration 2.5 a message."""
    return subject.effort.score


@metric("avg_compliance_score", field="compliance_score", unit="share", higher_is_better=True)
def compliance(subject: Subject) -> Value:
    """Followed share of the applicable preferences, mean over the answers to which one applies."""
    scores = compliance_scores(subject)
    if scores is None:
        return MISSING
    return fmean(scores) if scores else NOT_APPLICABLE


@metric("conflict_resolution_accuracy", unit="share", higher_is_better=True, kind="ratio")
def conflict_resolution(subject: Subject) -> Value:
    """Share of known conflicts in which the expected preference was followed; every conflict counts once."""
    heard = subject.judged("conflict")
    if heard is None:
        return MISSING
    scores = [one.score for one in heard if one.score is not None]
    return Weighted(fmean(scores), len(scores)) if scores else NOT_APPLICABLE


@metric("over_personalization_rate", unit="share", higher_is_better=False)
def over_personalization(subject: Subject) -> Value:
    """Share of the judged answers that follow a preference which does not apply."""
    heard = subject.judged("compliance")
    if heard is None:
        return MISSING
    flags = [
        fmean(bool(verdict.detail.get("over_personalization")) for verdict in one.verdicts)
        for one in heard
        if one.at is not None
    ]
    return fmean(flags) if flags else NOT_APPLICABLE


@metric("avg_interrupt_cost", field="interrupt_cost", unit="reward", higher_is_better=False)
def interrupt_cost(subject: Subject) -> Value:
    """What the interruptions of the conversation cost, as the reward spec prices them."""
    if subject.line is None:
        return NOT_APPLICABLE
    return subject.reward.interrupt_cost if subject.reward else MISSING


@metric("avg_questions", field="questions", unit="questions", higher_is_better=False)
def asked(subject: Subject) -> Value:
    """Questions that the assistant asked in its Clarify turns, or in any message of an outside log."""
    if subject.line:
        return subject.counts["n_questions"] or 0.0
    return float(sum(len(questions(exchange.answer)) for exchange in exchanges(subject.messages)))


@metric("avg_rejections", field="rejections", unit="rejections", higher_is_better=False)
def rejections(subject: Subject) -> Value:
    """Questions that the user refused to answer."""
    return (subject.counts["rejects"] or 0.0) if subject.line else NOT_APPLICABLE


@metric("avg_satisfaction", field="satisfaction", unit="0 to 1", higher_is_better=True, compared=False)
def satisfaction(subject: Subject) -> Value:
    """The simulated user's satisfaction, mean over turns; a table, not a measurement."""
    return (subject.counts["satisfaction"] or 0.0) if subject.line else NOT_APPLICABLE


@metric("avg_feedback", field="feedback", unit="-1 to 0.8", higher_is_better=True)
def feedback(subject: Subject) -> Value:
    """Reward of the user's reactions by the feedback judge, over those that it is sure enough of."""
    heard = subject.judged("feedback")
    if heard is None:
        return MISSING if any(exchange.reaction for exchange in exchanges(subject.messages)) else NOT_APPLICABLE
    tau = subject.evidence.tau
    turns = [[reward for verdict in one.verdicts for reward in _sure(verdict, tau)] for one in heard]
    sure = [fmean(rewards) for rewards in turns if rewards]
    return fmean(sure) if sure else NOT_APPLICABLE


@metric("avg_reward", field="reward", unit="reward", higher_is_better=True)
def total_reward(subject: Subject) -> Value:
    """Task score minus interruption cost, with the components of the spec; of an outside log the one it states."""
    if subject.line is None:
        return NOT_APPLICABLE if subject.measured_reward is None else subject.measured_reward
    if subject.reward is None:
        return MISSING
    # What compares only inside a group has no mean over groups.
    return NOT_APPLICABLE if subject.reward.total is None or subject.reward.relative else subject.reward.total


def _counted(subject: Subject, name: str) -> Value:
    counts = [verdict.detail.get(name) for verdict in subject.verdicts.get("effort", [])]
    return float(counts[0]) if counts and counts[0] is not None else NOT_APPLICABLE


def _sure(verdict: Verdict, tau: float) -> list[float]:
    reward, updates = gated(verdict.label or "neutral", verdict.confidence or 0.0, tau)
    return [reward] if updates else []


def compliance_scores(subject: Subject) -> list[float] | None:
    """The score of each answer to which a preference applies; None when a verdict is missing."""
    heard = subject.judged("compliance")
    return None if heard is None else [one.score for one in heard if one.score is not None]
