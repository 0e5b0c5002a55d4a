"""The judges: each puts what it judges into messages and a reply into findings; none of them ever guesses a score."""

from proact.judges import compliance, conflict, correctness, effort, feedback, ruler
from proact.judges.base import (
    JUDGES,
    AnyJudge,
    Asker,
    Case,
    Finding,
    GroupJudge,
    Judge,
    Reply,
    Setup,
    Share,
    Subject,
    not_applicable,
    open_judge,
    register,
)

__all__ = [
    "JUDGES",
    "AnyJudge",
    "Asker",
    "Case",
    "Finding",
    "GroupJudge",
    "Judge",
    "Reply",
    "Setup",
    "Share",
    "Subject",
    "compliance",
    "conflict",
    "correctness",
    "effort",
    "feedback",
    "not_applicable",
    "open_judge",
    "register",
    "ruler",
]
