"""Preference pairs from the rewards of a group: which action was better here, by how much, and how surely."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Literal, NamedTuple

import msgspec

from proact.keys import keyed_random
from proact.records import Action, PerArm, PreferencePair, Reward, Trajectory

Mode = Literal["weighted", "best-worst"]
ORDER = {"mainline": 0, "again": 1, "other": 2, "variant": 3}
TIE = 1e-9


class Row(NamedTuple):
    """A trajectory with its reward, None when it could not be had."""

    trajectory: Trajectory
    reward: Reward | None


class Arm(NamedTuple):
    """All rows of a group that took one action, in the order replicate, branch; `means` is per replicate."""

    action: Action
    rows: list[tuple[Trajectory, Reward]]
    means: dict[int, float]

    @property
    def mean(self) -> float:
        return fmean(self.means.values())


class Pairs:
    """Builds the pair of each group and counts why the others gave none."""

    def __init__(self, mode: Mode, spec: str) -> None:
        self.mode, self.spec = mode, spec
        self.reasons: Counter[str] = Counter()
        self.without: dict[str, str] = {}

    def of(self, rows: Sequence[Row]) -> PreferencePair | None:
        """The pair of one group, None when it gives none."""
        found = self._compare(rows)
        if isinstance(found, str):
            self.reasons[found] += 1
            self.without[rows[0].trajectory.group] = found
            return None
        return found

    def _compare(self, rows: Sequence[Row]) -> PreferencePair | str:
        played = comparable(rows)
        if len({row.trajectory.action for row in played}) < 2:
            return "one action only"
        usable = [(t, r) for t, r in played if r is not None and r.total is not None]
        arms = _arms(usable)
        if len(arms) < 2:
            return "missing reward" if any(row.reward is None for row in played) else "no task score"
        better, worse = sorted(arms, key=lambda arm: arm.mean, reverse=True)
        if self.mode == "best-worst":
            return self._best_worst(usable)
        margin = better.mean - worse.mean
        if margin <= TIE:
            return "tie"
        error = _standard_error(better, worse)
        fewer = min(len(better.means), len(worse.means))
        return self._pair(better.rows[0], worse.rows[0], margin, error, _means(better, worse), fewer)

    def _best_worst(self, usable: list[tuple[Trajectory, Reward]]) -> PreferencePair | str:
        best = max(usable, key=lambda row: row[1].total or 0.0)
        others = [row for row in usable if row[0].action != best[0].action]
        worst = min(others, key=lambda row: row[1].total or 0.0)
        margin = (best[1].total or 0.0) - (worst[1].total or 0.0)
        if margin <= TIE:
            return "tie"
        values = [
            PerArm(chosen=getattr(best[1], name), rejected=getattr(worst[1], name))
            for name in ("total", "task_score", "interrupt_cost")
        ]
        return self._pair(best, worst, margin, None, values, 1)

    def _pair(
        self,
        chosen: tuple[Trajectory, Reward],
        rejected: tuple[Trajectory, Reward],
        margin: float,
        error: float | None,
        values: list[PerArm],
        replicates: int,
    ) -> PreferencePair:
        better, worse = chosen[0], rejected[0]
        state = better.state
        return PreferencePair(
            state=state.visible(),
            chosen_action=better.action,
            rejected_action=worse.action,
            chosen_text=better.assistant_msg,
            rejected_text=worse.assistant_msg,
            rewards=values[0],
            task_scores=values[1],
            interrupt_costs=values[2],
            prompt=better.messages[: better.at] or [{"role": "user", "content": state.query}],
            chosen=[{"role": "assistant", "content": better.assistant_msg}],
            rejected=[{"role": "assistant", "content": worse.assistant_msg}],
            id=f"{better.group}/pair",
            group=better.group,
            chosen_id=better.id,
            rejected_id=worse.id,
            state_id=state.id,
            persona=better.persona.name,
            profile=better.persona.profile,
            method=better.method,
            seed=better.seed,
            turn=better.turn,
            family=state.family,
            split=state.split,
            margin=round(margin, 9),
            margin_se=None if error is None else round(error, 9),
            p_better=None if error is None else round(p_better(margin, error), 6),
            replicates=replicates,
            weight=round(margin, 9),
            spec=self.spec,
        )


def free(rows: Sequence[Row]) -> list[Row]:
    """The rows of a group that were decided freely. Where the mainline goes on otherwise than its branches do, `again`
    stands for it."""
    found = [row for row in rows if not row.trajectory.forced]
    if any(row.trajectory.branch == "again" for row in found):
        return [row for row in found if row.trajectory.branch != "mainline"]
    return found


def comparable(rows: Sequence[Row]) -> list[Row]:
    """The free decisions of a group at the same state with the same dialogue behind them, those of the first
    replicate."""
    played = [row for row in free(rows) if row.trajectory.branch in ORDER]
    if not played:
        return []
    first = min(played, key=lambda row: row.trajectory.replicate).trajectory
    said, seen = first.messages[: first.at], first.state.visible()
    return [
        row
        for row in played
        if row.trajectory.messages[: row.trajectory.at] == said and row.trajectory.state.visible() == seen
    ]


def p_better(margin: float, error: float) -> float:
    """P(Q_chosen > Q_rejected) when the margin is normal with this standard error."""
    return 1.0 if error == 0 else 0.5 * (1 + math.erf(margin / error / math.sqrt(2)))


def kept(pair: PreferencePair, largest: float, seed: int) -> PreferencePair | None:
    """Thinning: a pair stays with probability margin / largest margin, and then weighs 1 like every other."""
    chance = keyed_random(seed, pair.state_id, pair.persona, pair.turn, 0, f"thin {pair.method} {pair.seed}")
    if chance.random() >= pair.margin / largest:
        return None
    return msgspec.structs.replace(pair, weight=1.0)


def _arms(usable: list[tuple[Trajectory, Reward]]) -> list[Arm]:
    ordered = sorted(usable, key=lambda row: (row[0].replicate, ORDER[row[0].branch]))
    arms = []
    for action in ("Clarify", "Execute"):
        rows = [row for row in ordered if row[0].action == action]
        totals: dict[int, list[float]] = defaultdict(list)
        for trajectory, reward in rows:
            totals[trajectory.replicate].append(reward.total or 0.0)
        if rows:
            arms.append(Arm(rows[0][0].action, rows, {key: fmean(values) for key, values in totals.items()}))
    return arms


def _standard_error(better: Arm, worse: Arm) -> float | None:
    """Of the mean difference, over the replicates that both arms have; None for fewer than two."""
    shared = sorted(better.means.keys() & worse.means.keys())
    if len(shared) < 2:
        return None
    return stdev(better.means[k] - worse.means[k] for k in shared) / math.sqrt(len(shared))


def _means(better: Arm, worse: Arm) -> list[PerArm]:
    return [
        PerArm(chosen=_mean(better, name), rejected=_mean(worse, name))
        for name in ("total", "task_score", "interrupt_cost")
    ]


def _mean(arm: Arm, name: str) -> float | None:
    by_replicate: dict[int, list[float]] = defaultdict(list)
    for trajectory, reward in arm.rows:
        value = getattr(reward, name)
        if value is not None:
            by_replicate[trajectory.replicate].append(value)
    return round(fmean(map(fmean, by_replicate.values())), 9) if by_replicate else None
