"""Decisions as they can be compared: what each arm earned, replicate by replicate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from statistics import fmean
from typing import NamedTuple

from proact.rewards.pairs import ORDER, Row, free

ARMS = ("Execute", "Clarify", "placebo", "oracle")
BINS = ((1 / 3, "low"), (2 / 3, "mid"), (1.0, "high"))


class Value(NamedTuple):
    """What one arm came to in one replicate: its reward, the part of it that is task success, and its cost."""

    reward: float
    success: float
    cost: float


class Decision(NamedTuple):
    """One group: per arm and replicate its value, and the arms of which a reward is missing."""

    task: str
    family: str
    persona: str
    uncertainty: str
    turn: int
    values: dict[str, dict[int, Value]]
    missing: frozenset[str]
    played: frozenset[str]

    def mean(self, arm: str, part: str) -> float | None:
        """The mean of one part of the values of an arm over its replicates."""
        found = self.values.get(arm)
        return fmean(getattr(value, part) for value in found.values()) if found else None

    def difference(self, arm: str, other: str, part: str) -> float | None:
        """The mean difference of two arms over the replicates that both have."""
        one, two = self.values.get(arm, {}), self.values.get(other, {})
        shared = one.keys() & two.keys()
        return fmean(getattr(one[k], part) - getattr(two[k], part) for k in shared) if shared else None


def decisions(rows: Iterable[Row], w_task: float) -> Iterator[Decision]:
    """The decisions of rows that come in the order of their groups; forced turns are none."""
    for _, group in groupby(rows, key=lambda row: row.trajectory.group):
        if rows_of_group := free(list(group)):
            yield _decision(rows_of_group, w_task)


def _decision(rows: list[Row], w_task: float) -> Decision:
    found: dict[str, dict[int, list[Value]]] = defaultdict(lambda: defaultdict(list))
    missing, played = set(), set()
    for trajectory, reward in rows:
        arm = trajectory.action if trajectory.branch in ORDER else trajectory.branch
        played.add(arm)
        if reward is None:
            missing.add(arm)
        elif reward.total is not None and reward.task_score is not None:
            value = Value(reward.total, w_task * reward.task_score, reward.interrupt_cost)
            found[arm][trajectory.replicate].append(value)
    first = rows[0].trajectory
    uncertainty = next(name for top, name in BINS if first.state.task_uncertainty <= top)
    return Decision(
        task=first.state.id,
        family=first.state.family or first.state.id,
        persona=first.persona.name,
        uncertainty=uncertainty,
        turn=first.turn,
        values={arm: {key: _mean(values) for key, values in by.items()} for arm, by in found.items()},
        missing=frozenset(missing),
        played=frozenset(played),
    )


def _mean(values: list[Value]) -> Value:
    return Value(*(fmean(part) for part in zip(*values, strict=True)))
