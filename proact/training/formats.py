"""Rows for other trainers, as TRL reads them: the best branch of each decision, a sign per branch, or pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from proact.records import PreferencePair, Reward, State, Trajectory
from proact.render import action_prompt
from proact.training.examples import row as pair_row
from proact.training.manifest import WORDS, Target

TIE = 1e-9


class Branch(NamedTuple):
    """A free decision with what it earned."""

    trajectory: Trajectory
    total: float


def sft(groups: Iterable[Sequence[Branch]], target: Target) -> Iterator[dict[str, Any]]:
    """`prompt` and `completion` of the branch that earned most in its group; of equals the first."""
    for group in groups:
        best = max(group, key=lambda branch: branch.total).trajectory
        yield _asked(best, target) | {"completion": _said(best, target)}


def kto(groups: Iterable[Sequence[Branch]], target: Target) -> Iterator[dict[str, Any]]:
    """`prompt`, `completion` and `label` of every branch that earned more (true) or less (false) than its group's mean.

    Ethayarajh et al. 2024, arXiv 2402.01306, takes unpaired examples with a sign; the advantage stands beside it.
    """
    for group in groups:
        mean = fmean(branch.total for branch in group)
        for trajectory, total in group:
            if abs(total - mean) > TIE:
                extra = {"label": total > mean, "advantage": round(total - mean, 9)}
                yield _asked(trajectory, target) | {"completion": _said(trajectory, target)} | extra


def trl_dpo(pairs: Iterable[PreferencePair], target: Target) -> Iterator[dict[str, Any]]:
    """`prompt`, `chosen` and `rejected` alone."""
    for pair in pairs:
        yield pair_row(pair, target)


def best_of(rewards: dict[str, Reward], rows: Iterable[Trajectory]) -> list[Branch]:
    """The branches of a group that have a total."""
    found = []
    for row in rows:
        reward = rewards.get(row.id)
        if reward is not None and reward.total is not None:
            found.append(Branch(row, reward.total))
    return found


def _asked(trajectory: Trajectory, target: Target) -> dict[str, Any]:
    before = trajectory.messages[: trajectory.at]
    if target == "text":
        return {"prompt": before}
    return {"prompt": action_prompt(State(**trajectory.state.visible()), trajectory.persona.profile, before)}


def _said(trajectory: Trajectory, target: Target) -> Any:
    if target == "text":
        return [{"role": "assistant", "content": trajectory.assistant_msg}]
    return WORDS[trajectory.action]
