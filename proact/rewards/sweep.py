"""The same rollouts priced many ways at once: arm means of every group under every weighting, from the components."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, product
from typing import Any, NamedTuple

from proact.errors import UsageError
from proact.records import Reward, Trajectory
from proact.rewards import pairs
from proact.rewards.specs import Spec, changed

COUNTS = ("n_questions", "rejects", "long_turns", "off_topic", "n_clarify", "answered")
BLOCK = 4_000_000
"""Rows times weightings that are priced at once: 32 MB a matrix."""


class Swept(NamedTuple):
    """One weighting of the grid: what was changed, and the spec that this makes."""

    weights: dict[str, float]
    spec: Spec

    @property
    def id(self) -> str:
        return " ".join(f"{name}={_short(value)}" for name, value in self.weights.items()) or self.spec.label


def _short(value: float) -> str:
    return repr(value).removesuffix(".0")


def weightings(base: Spec, grid: dict[str, list[float]], components: dict[str, list[float]]) -> list[Swept]:
    """Every combination of the values. Raises UsageError for a price that the base's formula does not have."""
    names = [*grid, *components]
    found = []
    for values in product(*grid.values(), *components.values()):
        weights = dict(zip(names, values, strict=True))
        own = {name: weights[name] for name in grid}
        extra = {name: weights[name] for name in components}
        found.append(Swept(weights, changed(base, {**own, "components": base.components | extra})))
    return found


class Row(NamedTuple):
    """One rollout, reduced to what its price depends on."""

    group: str
    state_id: str
    persona: str
    method: str
    action: str
    branch: str
    replicate: int
    first: bool
    played: bool
    counts: tuple[float, ...]
    task_score: float | None
    extra: tuple[float | None, ...]


def rows(lines: Iterable[Trajectory], rewards: Mapping[str, Reward], components: Sequence[str]) -> Iterator[Row]:
    """The trajectories that have a reward as rows; `lines` come group by group."""
    for _, group in groupby(lines, key=lambda line: line.group):
        earned = [pairs.Row(line, rewards.get(line.id)) for line in group]
        played = {one.trajectory.id for one in pairs.comparable(earned)}
        for line, reward in earned:
            if reward:
                yield _row(line, reward, components, played=line.id in played)


def _row(line: Trajectory, reward: Reward, components: Sequence[str], *, played: bool) -> Row:
    return Row(
        group=line.group,
        state_id=line.state.id,
        persona=line.persona.name,
        method=line.method,
        action=line.action,
        branch=line.branch,
        replicate=line.replicate,
        first=line.is_mainline and line.decision_point == 0,
        played=played,
        counts=tuple(float(reward.components.get(name) or 0.0) for name in COUNTS),
        task_score=reward.task_score,
        extra=tuple(reward.components.get(name) for name in components),
    )


class Priced(NamedTuple):
    """Groups with both actions, and their arms: matrices of groups by weightings, except for what no weight changes."""

    groups: list[Row]
    margin: Any
    """Mean reward of Clarify minus that of Execute."""
    task: Any
    """Task score of (Clarify, Execute) per group; NaN where nothing scores the task."""
    counts: Any
    """Mean counts of (Clarify, Execute) per group."""


class Rollouts:
    """All rollouts of a file as arrays, sorted by group, action and replicate."""

    def __init__(self, rows: Iterable[Row], components: Sequence[str]) -> None:
        import numpy as np

        self.components = list(components)
        self.rows = sorted(rows, key=lambda one: (one.group, one.action, one.replicate, one.branch))
        if not self.rows:
            raise UsageError("no trajectory has a reward: run reward first, on the same trajectories")
        self.counts = np.array([one.counts for one in self.rows])
        self.task = np.array([np.nan if one.task_score is None else one.task_score for one in self.rows])
        self.extra = np.array(
            [[np.nan if value is None else value for value in one.extra] for one in self.rows], dtype=float
        ).reshape(len(self.rows), len(self.components))

    def costs(self, specs: Sequence[Spec]) -> Any:
        """The interruption cost of every row (down) under every spec (across), by the operations of `interrupt_cost`
        in their order, so that both give the same number."""
        import numpy as np

        questions, rejects, long_turns, off_topic, asked, answered = (column[:, None] for column in self.counts.T)
        if specs[0].formula == "per-turn":
            per_turn = np.maximum(0.0, 0.7 * rejects + 0.05 * asked - 0.05 * answered)
            return np.repeat(per_turn, len(specs), axis=1)
        weights = {
            name: np.array([getattr(spec, name) for spec in specs])
            for name in ("alpha", "w_questions", "w_reject", "w_long", "w_off_topic")
        }
        weighted = weights["w_questions"] * questions + weights["w_reject"] * rejects
        weighted += weights["w_long"] * long_turns + weights["w_off_topic"] * off_topic
        return weights["alpha"] * weighted

    def totals(self, specs: Sequence[Spec]) -> Any:
        """The reward of every row under every spec, rounded as `reward` rounds; NaN where a part is not there."""
        import numpy as np

        value = -self.costs(specs)
        parts = [(self.task, [spec.w_task for spec in specs])]
        for place, name in enumerate(self.components):
            parts.append((self.extra[:, place], [spec.components.get(name, 0.0) for spec in specs]))
        for column, weights in parts:
            weight = np.array(weights)
            # A part that weighs nothing may be missing.
            value += np.where(weight == 0, 0.0, weight * column[:, None])
        return np.round(value, 9)

    def priced(self, specs: Sequence[Spec]) -> Priced:
        """The margins of all groups that have both actions under these specs, which need the same parts."""
        import numpy as np

        usable = ~np.isnan(self.totals(specs[:1])[:, 0])
        usable &= np.array([one.played for one in self.rows])
        keep = np.flatnonzero(usable)
        arms = _Arms([self.rows[place] for place in keep])
        margin = arms.difference(self.totals(specs)[keep]) if arms.groups else np.zeros((0, len(specs)))
        return Priced(arms.groups, margin, arms.both(self.task[keep, None])[:, :, 0], arms.both(self.counts[keep]))


class _Arms:
    """Where the arms of each group begin and end in the sorted rows."""

    def __init__(self, rows: Sequence[Row]) -> None:
        import numpy as np

        cells = [(one.group, one.action, one.replicate) for one in rows]
        self.cells = np.array(
            [place for place, cell in enumerate(cells) if place == 0 or cell != cells[place - 1]], int
        )
        self.sizes = np.diff([*self.cells, len(rows)])
        tops = [cells[place][:2] for place in self.cells]
        self.arms = np.array([place for place, arm in enumerate(tops) if place == 0 or arm != tops[place - 1]], int)
        self.replicates = np.diff([*self.arms, len(tops)])
        names = [tops[place] for place in self.arms]
        # Clarify sorts before Execute, so that a group with both has them side by side.
        self.first = np.array([i for i in range(len(names) - 1) if names[i][0] == names[i + 1][0]], int)
        self.groups = [rows[self.cells[self.arms[place]]] for place in self.first]

    def means(self, values: Any) -> Any:
        """The mean of each arm over its replicates, each of which is the mean of its branches."""
        import numpy as np

        cells = np.add.reduceat(values, self.cells, axis=0) / self.sizes[:, None]
        return np.add.reduceat(cells, self.arms, axis=0) / self.replicates[:, None]

    def difference(self, values: Any) -> Any:
        import numpy as np

        means = self.means(values)
        return np.round(means[self.first] - means[self.first + 1], 9)

    def both(self, values: Any) -> Any:
        """The means of (Clarify, Execute) for each group with both: groups, actions, columns."""
        import numpy as np

        if not self.groups:
            return np.zeros((0, 2, values.shape[1]))
        means = self.means(values)
        return np.stack([means[self.first], means[self.first + 1]], axis=1)


def alike(swept: Sequence[Swept]) -> Iterator[list[int]]:
    """The places of weightings that need the same parts of a reward, together."""
    found: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for place, one in enumerate(swept):
        parts = sorted(name for name, weight in one.spec.components.items() if weight)
        found[one.spec.w_task != 0, *parts].append(place)
    yield from found.values()


def signs(margin: Any) -> Any:
    """1 where Clarify is better, -1 where Execute is, 0 for a tie."""
    import numpy as np

    return np.where(margin > pairs.TIE, 1, np.where(margin < -pairs.TIE, -1, 0))
