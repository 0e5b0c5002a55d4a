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
from proact.rewards.specs import Spec, interrupt_cost, spec_named, total


def joined(trajectories: Iterable[Trajectory], rewards: Sequence[Path], spec: Spec) -> Iterator[Row]:
    """Each trajectory with its reward, weighed anew where the spec is another one; one without a reward is missing."""
    found = {earned.id: _weighed(earned, spec) for path in rewards for earned in jsonl.read(path, Reward)}
    return (Row(trajectory, found.get(trajectory.id)) for trajectory in trajectories)


def spec_of(rewards: Sequence[Path], name: str | None = None, weights: Mapping[str, float] | None = None) -> Spec:
    """The spec that rewards were made with, unless another one is asked for.

    Raises UsageError when nothing says which weights it has.
    """
    label = None if name else next((earned.spec for path in rewards for earned in jsonl.read(path, Reward)), None)
    if label is None:
        return spec_named(name or "default", dict(weights or {}))
    spec = known_spec(label, rewards)
    if spec is None:
        raise UsageError(
            f"{rewards[0]}: nothing says which weights spec {label} has; give --spec, --alpha and the others"
        )
    return msgspec.structs.replace(spec, **(weights or {}))


def _weighed(earned: Reward, spec: Spec) -> Reward:
    if earned.spec == spec.label:
        return earned
    cost = interrupt_cost(earned.components, spec)
    worth = total(earned.task_score, cost, earned.components, spec)
    worth = None if worth is None else round(worth, 9)
    return msgspec.structs.replace(earned, interrupt_cost=round(cost, 9), total=worth, spec=spec.label)
