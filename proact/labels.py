"""What judges may say, and what it is worth: feedback labels, violation types, and the categories of user effort.

Sources: seeds/000 (feedback), seeds/001 (violations and effort).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, NamedTuple

TAU = 0.6
"""A feedback verdict below this confidence updates nothing."""
NEVER_UPDATES = "topic_shift"
NOT_APPLICABLE = "not_applicable"
"""What every judge may say: there is nothing for it to find."""
STAND_INS = ("local:smollm2", "synthetic:", "scripted:")
FeedbackName = Literal[
    "neg_constraint_restate",
    "neg_correction",
    "neg_confusion",
    "pos_praise",
    "pos_progress",
    "neutral",
    "topic_shift",
]


class FeedbackLabel(NamedTuple):
    """One way in which a user can take an assistant's message, and the reward of that message."""

    name: FeedbackName
    reward: float
    definition: str


FEEDBACK = (
    FeedbackLabel(
        "neg_constraint_restate",
        -1.0,
        "The user states a wish or a constraint again, as a correction: “as I said…”, “remember…”, “按我说的…”.",
    ),
    FeedbackLabel("neg_correction", -0.8, "The user says that the content is wrong, or that the request was not met."),
    FeedbackLabel("neg_confusion", -0.6, "The user is confused, or asks to have it explained again."),
    FeedbackLabel("pos_praise", 0.8, "The user plainly praises the response or is content with it."),
    FeedbackLabel(
        "pos_progress",
        0.1,
        "The user builds on the response without a complaint: examples, extensions, what-ifs, next steps.",
    ),
    FeedbackLabel("neutral", 0.0, "Little or unclear feedback, neither plainly good nor plainly bad."),
    FeedbackLabel("topic_shift", 0.0, "The user turns to a new task or topic that has nothing to do with this one."),
)
REWARD_MAP: dict[str, float] = {label.name: label.reward for label in FEEDBACK}
CORRECTNESS = ("correct", "incorrect", "no_answer")
COMPLIANCE = ("followed", "violated")
CONFLICT = ("resolved", "unresolved", "unclear")
JUDGE_LABELS: dict[str, tuple[str, ...]] = {
    "feedback": tuple(REWARD_MAP),
    "correctness": CORRECTNESS,
    "compliance": COMPLIANCE,
    "conflict": CONFLICT,
}
"""What each judge may find."""


def gated(label: str, confidence: float, tau: float = TAU) -> tuple[float, bool]:
    """The reward of a feedback label and whether it should update anything (seeds/000); a gated one is 0."""
    should_update = confidence >= tau and label not in (NEVER_UPDATES, NOT_APPLICABLE)
    return (REWARD_MAP[label] if should_update else 0.0), should_update


class PreferenceViolationType(StrEnum):
    """How an answer can go against a preference."""

    WRONG_FORMAT = "wrong_format"
    WRONG_VERBOSITY = "wrong_verbosity"
    WRONG_STYLE = "wrong_style"
    WRONG_TONE = "wrong_tone"
    CONFLICT_WRONG = "conflict_wrong"
    OVER_PERSONALIZATION = "over_personalization"


VIOLATIONS = {
    PreferenceViolationType.WRONG_FORMAT: "another format, such as bullets instead of numbers",
    PreferenceViolationType.WRONG_VERBOSITY: "too long or too short",
    PreferenceViolationType.WRONG_STYLE: "another style of code or of explanation",
    PreferenceViolationType.WRONG_TONE: "too casual or too formal",
    PreferenceViolationType.CONFLICT_WRONG: "of two preferences in conflict, the wrong one was followed",
    PreferenceViolationType.OVER_PERSONALIZATION: "a preference that does not apply here was followed",
}

EFFORT_WEIGHTS: dict[str, float] = {
    "preference_enforcement": 2.0,
    "clarification_requests": 1.0,
    "corrections": 3.0,
    "rephrasing": 1.5,
    "frustration": 2.5,
}
"""What one message of each category costs the user."""


def caveat(models: Iterable[str]) -> str:
    """What a table that rests on these judge models must say; empty when there is nothing to say."""
    found = sorted({model.rstrip(":") for model in models if model.startswith(STAND_INS)})
    return f"{', '.join(found)}: near chance as a judge; a plumbing check, no measurement" if found else ""
