"""What a decision costs and earns: named, versioned reward specs.

R = w_task * R_task - C + sum of w_k * component_k, with the cost C of the whole rollout from its decision on.
Source: seeds/004, which gives the formula but no numbers, and its code, which gives a second formula (`per-turn`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from proact.errors import UsageError
from proact.keys import digest
from proact.labels import TAU
from proact.records import Action, Trajectory
from proact.text import prose, questions, words

PRICES = ("alpha", "w_questions", "w_reject", "w_long", "w_off_topic")
"""What the linear formula weighs the interruptions with."""
LARGEST = 1e100
"""Of a cost or a reward, either side of 0: sums and squares of such numbers are still finite."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One way to weigh a trajectory."""

    name: str
    version: int = 1
    formula: Literal["linear", "per-turn"] = "linear"
    alpha: float = 0.2
    w_questions: float = 0.4
    w_reject: float = 1.0
    w_long: float = 0.3
    w_off_topic: float = 0.7
    long_words: int = 200
    w_task: float = 1.0
    task_score: str = "fraction"
    tau: float = TAU
    components: dict[str, float] = {}

    @property
    def label(self) -> str:
        """The name of a spec as it is shipped, name and hash of one that flags have changed."""
        shipped = SPECS.get(self.name)
        return f"{self.name}@{self.version}" + ("" if self == shipped else f"+{digest(self)}")


SPECS = {
    spec.name: spec
    for spec in (Spec(name="default"), Spec(name="strict", alpha=0.6), Spec(name="per-turn", formula="per-turn"))
}


def spec_named(name: str, overrides: dict[str, Any]) -> Spec:
    """A shipped spec with the values that flags override. Raises UsageError for an unknown name, and as `changed`
    does."""
    if name not in SPECS:
        raise UsageError(f"unknown reward spec {name!r}; there is: {', '.join(SPECS)}")
    return changed(SPECS[name], overrides)


def changed(spec: Spec, overrides: Mapping[str, Any]) -> Spec:
    """A spec with other values, None for those that stay. Raises UsageError for a price that its formula does not
    have."""
    given = {key: value for key, value in overrides.items() if value is not None}
    if spec.formula == "per-turn" and (idle := [name for name in PRICES if name in given]):
        raise UsageError(f"spec {spec.name} has prices of its own, and no {', '.join(idle)}")
    return msgspec.structs.replace(spec, **given)


def raw_counts(trajectory: Trajectory, long_words: int) -> dict[str, float | None]:
    """Every raw number of a rollout from which its cost can be computed under any weights."""
    turns = list(_turns(trajectory))
    asking = [(message, meta) for action, message, meta in turns if action == "Clarify"]
    return {
        "n_turns": len(turns),
        "n_clarify": len(asking),
        "n_questions": sum(len(questions(message)) for message, _ in asking),
        "rejects": sum(meta.reject_signal for _, meta in asking),
        "answered": sum(meta.answered_clarification for _, meta in asking),
        "off_topic": sum(meta.off_topic_flag for _, meta in asking),
        "long_turns": sum(len(words(prose(message))) > long_words for _, message, _ in turns),
        "satisfaction": sum(meta.satisfaction for *_, meta in turns) / len(turns),
    }


def interrupt_cost(counts: dict[str, float | None], spec: Spec) -> float:
    """C_interrupt: alpha * (w1 questions + w2 rejections + w3 long turns + w4 off-topic turns), or, for `per-turn`,
    0.7 rejected + 0.05 - 0.05 answered summed over the Clarify turns; never below 0.

    Raises UsageError when the weights make it larger than LARGEST.
    """
    n = {name: value or 0.0 for name, value in counts.items()}
    if spec.formula == "per-turn":
        return max(0.0, 0.7 * n["rejects"] + 0.05 * n["n_clarify"] - 0.05 * n["answered"])
    weighted = spec.w_questions * n["n_questions"] + spec.w_reject * n["rejects"]
    weighted += spec.w_long * n["long_turns"] + spec.w_off_topic * n["off_topic"]
    return _bounded(spec.alpha * weighted, spec)


def total(task_score: float | None, cost: float, components: dict[str, float | None], spec: Spec) -> float | None:
    """R; None when the task score or a weighted component is not there and its weight is not 0.

    Raises UsageError when the weights make it larger than LARGEST.
    """
    value = -cost
    for part, weight in [(task_score, spec.w_task), *((components.get(k), w) for k, w in spec.components.items())]:
        if weight:
            if part is None:
                return None
            value += weight * part
    return _bounded(value, spec)


def _bounded(value: float, spec: Spec) -> float:
    if not abs(value) <= LARGEST:
        raise UsageError(f"reward spec {spec.label}: its weights give {value:g}; expected no more than {LARGEST:g}")
    return value


def _turns(trajectory: Trajectory) -> list[tuple[Action, str, Any]]:
    if not trajectory.rollout:
        return [(trajectory.action, trajectory.assistant_msg, trajectory.user_reaction.meta)]
    return [
        (step.action, str(trajectory.messages[step.at].get("content") or ""), step.meta) for step in trajectory.rollout
    ]
