"""What seeds/001 makes of findings: one response from every side, and a conversation in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proact.judges import Case, Finding
from proact.judges.asking import Outcome
from proact.judges.effort import analyze, sizes
from proact.judges.turns import exchanges, final_answer
from proact.labels import PreferenceViolationType
from proact.records import ConflictScenario, Preference


@dataclass
class JudgmentResult:
    """Everything that is judged of one response; None where something does not apply."""

    task_correct: bool | None
    task_confidence: float | None
    preferences_followed: list[str]
    preferences_violated: list[tuple[str, PreferenceViolationType]]
    compliance_score: float | None
    conflict_present: bool = False
    conflict_resolved_correctly: bool = False
    expected_preference: str | None = None
    applied_preference: str | None = None
    over_personalized: bool = False
    irrelevant_preferences_applied: list[str] = field(default_factory=list)
    raw_judgments: dict[str, str] = field(default_factory=dict)


@dataclass
class ConversationMetrics:
    """A conversation in numbers; None where something does not apply.

    Turns are the assistant's. The `token` counts are words. `preference_compliance_scores` holds the turns to which a
    preference applies, and the rate of over-personalization is over all turns that were judged.
    """

    task_success: bool | None
    turns_to_success: int | None
    total_turns: int
    user_token_count: int
    enforcement_count: int
    disappointment_count: int
    total_token_count: int
    agent_token_count: int
    preference_compliance_scores: list[float]
    conflict_resolution_accuracy: float | None
    over_personalization_rate: float | None
    conflicts: int | None = None
    """How many conflicts the accuracy is over."""


def compliance_of(finding: Finding) -> dict[str, Any]:
    """A compliance finding in the shape of seeds/001."""
    empty: dict[str, Any] = {
        "applicable_preferences": [],
        "followed": [],
        "violated": [],
        "violation_types": {},
        "over_personalization": [],
    }
    return {**empty, **finding.detail, "compliance_score": finding.score, "explanation": finding.rationale}


def result(
    correct: Outcome,
    complied: Outcome,
    resolved: Outcome,
    preferences: list[Preference],
    scenarios: list[ConflictScenario],
) -> JudgmentResult:
    """The findings on one response, with preferences by their texts."""
    answer, compliance, conflict = correct.findings[0], compliance_of(complied.findings[0]), resolved.findings[0].detail
    texts = {number: preference.preference for number, preference in enumerate(preferences, start=1)}
    types = compliance["violation_types"]
    wanted = {n: preference.preference for s in scenarios for n, preference in enumerate(s.preferences, start=1)}
    raws = {"correctness": correct.raw, "compliance": complied.raw, "conflict": resolved.raw}
    return JudgmentResult(
        task_correct=None if answer.score is None else answer.score == 1.0,
        task_confidence=answer.confidence,
        preferences_followed=[texts[number] for number in compliance["followed"]],
        preferences_violated=[
            (texts[number], PreferenceViolationType(types[f"{number}"])) for number in compliance["violated"]
        ],
        compliance_score=compliance["compliance_score"],
        conflict_present=bool(scenarios),
        conflict_resolved_correctly=bool(conflict.get("correct_resolution")),
        expected_preference=wanted.get(conflict.get("expected_preference", 0)),
        applied_preference=wanted.get(conflict.get("preference_applied", 0)),
        over_personalized=bool(compliance["over_personalization"]),
        irrelevant_preferences_applied=[texts[number] for number in compliance["over_personalization"]],
        raw_judgments={name: raw for name, raw in raws.items() if raw is not None},
    )


def metrics(
    case: Case, answers: list[Outcome], complied: list[Outcome], resolved: list[Outcome]
) -> ConversationMetrics:
    """The findings on a conversation in numbers."""
    success = answers[0].findings[0].score
    turns = [exchange.at for exchange in exchanges(case.messages)]
    answered = final_answer(case.messages) or 0
    compliance = [outcome.findings[0] for outcome in complied if outcome.raw is not None]
    conflicts = [score for outcome in resolved if (score := outcome.findings[0].score) is not None]
    effort, size = analyze(case.messages), sizes(case.messages)
    user, assistant = size["user_words"] or 0, size["assistant_words"] or 0
    over = [bool(finding.detail["over_personalization"]) for finding in compliance]
    return ConversationMetrics(
        task_success=None if success is None else success == 1.0,
        turns_to_success=min(len(turns), 1 + sum(at < answered for at in turns)) if success == 1.0 else None,
        total_turns=len(turns),
        user_token_count=user,
        enforcement_count=effort.enforcement,
        disappointment_count=effort.disappointment,
        total_token_count=user + assistant,
        agent_token_count=assistant,
        preference_compliance_scores=[finding.score for finding in compliance if finding.score is not None],
        conflict_resolution_accuracy=sum(conflicts) / len(conflicts) if conflicts else None,
        over_personalization_rate=sum(over) / len(over) if over else None,
        conflicts=len(conflicts),
    )
