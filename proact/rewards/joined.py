"""Trajectories with the rewards that `reward` wrote for them, under its spec or under another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from proact import jsonl
from proact.errors import UsageError
from proact.records import Reward, Trajectory
from proact.rewards.breakdown import known_spec
from proact.rewards.pairs import Row
from proact.rewards.specs import SPECS, Spec, changed, interrupt_cost, spec_named, total

COUNTED = ("long_words", "task_score", "tau")
"""What of a spec decides the numbers that are weighed."""


def joined(trajectories: Iterable[Trajectory], rewards: Sequence[Path], spec: Spec) -> Iterator[Row]:
    """Each trajectory with its reward, weighed anew where the spec is another one; one without a reward is missing."""
    found = {earned.id: repriced(earned, spec) for path in rewards for earned in jsonl.read(path, Reward)}
    return (Row(trajectory, found.get(trajectory.id)) for trajectory in trajectories)


def spec_of(rewards: Sequence[Path], name: str | None = None, weights: Mapping[str, float] | None = None) -> Spec:
    """The spec that rewards were made with, or another one that is asked for, which weighs what those have counted.

    Raises UsageError when no other one is asked for and nothing says which weights theirs has.
    """
    label = next((earned.spec for path in rewards for earned in jsonl.read(path, Reward)), None)
    made = None if label is None else known_spec(label, rewards)
    if name is None and label is not None and made is None:
        raise UsageError(
            f"{rewards[0]}: nothing says which weights spec {label} has; give --spec, --alpha and the others"
        )
    spec = SPECS["default"] if made is None else made
    if name is not None:
        counted = {} if made is None else {field: getattr(made, field) for field in COUNTED}
        spec = spec_named(name, counted)
    return changed(spec, weights or {})


def repriced(earned: Reward, spec: Spec) -> Reward:
    """The reward of the same rollout under another spec that counts and scores it alike."""
    if earned.spec == spec.label:
        return earned
    cost = interrupt_cost(earned.components, spec)
    worth = total(earned.task_score, cost, earned.components, spec)
    worth = None if worth is None else round(worth, 9)
    return msgspec.structs.replace(earned, interrupt_cost=round(cost, 9), total=worth, spec=spec.label)
