"""sweep: what other weights would make of the same rollouts. Pure: no model is called and no test run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from proact import console, jsonl, sidecar
from proact.errors import UsageError
from proact.executor import Task
from proact.records import Flip, Reward, Weighting
from proact.registry import load_plugin
from proact.rewards.joined import repriced, spec_of
from proact.rewards.outcomes import MethodMeans, Outcome
from proact.rewards.paired import Paired
from proact.rewards.pairs import Row as PairRow
from proact.rewards.sweep import BLOCK, Rollouts, alike, rows, weightings
from proact.rewards.trajectories import Sorted
from proact.stage import run_pure
from proact.stats.pareto import front

SHOWN = 24


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact sweep` was told."""

    trajectories: str
    rewards: str
    out: str
    spec: str | None = None
    grid: dict[str, list[float]] = {}
    components: dict[str, list[float]] = {}
    pairs: str | None = None
    thin: bool = True
    seed: int = 0
    domain: str | None = None
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage; returns the summary that the command prints, as JSON."""
    settings = msgspec.json.decode(task.settings, type=Settings)
    return msgspec.json.encode(SweepRun(settings).run())


class SweepRun:
    """One run of the stage."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.out = settings, Path(settings.out)
        self.flips = self.out.with_name("flips.jsonl")
        if self.out == self.flips:
            raise UsageError(f"--out {self.out}: the groups that flip go to a file of this name; choose another")
        named = (settings.trajectories, settings.rewards, settings.pairs)
        jsonl.apart(*(Path(name) for name in named if name), self.out, self.flips)
        for plugin in settings.plugins:
            load_plugin(Path(plugin))
        self.base = spec_of([Path(settings.rewards)], settings.spec)
        self.swept = weightings(self.base, settings.grid, settings.components)
        if settings.pairs and len(self.swept) != 1:
            raise UsageError(f"--pairs writes the pairs of one weighting; this grid has {len(self.swept)}")

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        rewards = {reward.id: reward for reward in jsonl.read(Path(self.settings.rewards), Reward)}
        lines = Sorted(Path(self.settings.trajectories), self.settings.domain)
        names = list(self.base.components | self.settings.components)
        _check_components(names, rewards.values())
        rollouts = Rollouts(rows(lines, rewards, names), names)
        found, flips = self._weightings(rollouts)
        run_pure(self.out, found)
        run_pure(self.flips, flips)
        written = self._pairs(lines, rewards, Path(self.settings.pairs)) if self.settings.pairs else None
        return {
            "rollouts": len(rollouts.rows),
            "missing": len(lines) - len(rollouts.rows),
            "spec": self.base.label,
            "weightings": [msgspec.to_builtins(one) for one in found],
            "groups_that_flip": len(flips),
            "pairs_written": written,
            "out": [str(self.out), str(self.flips)],
            "seconds": round(time.monotonic() - started, 2),
            "exit_code": 3 if len(lines) > len(rollouts.rows) else 0,
        }

    def _weightings(self, rollouts: Rollouts) -> tuple[list[Weighting], list[Flip]]:
        unchanged = Outcome(rollouts.priced([self.base]), self.base)
        shares = MethodMeans(rollouts)
        found: dict[int, Weighting] = {}
        others: dict[str, list[str]] = defaultdict(list)
        for places in alike(self.swept):
            size = max(1, BLOCK // len(rollouts.rows))
            for some in (places[start : start + size] for start in range(0, len(places), size)):
                specs = [self.swept[place].spec for place in some]
                priced = rollouts.priced(specs)
                methods = shares.under(rollouts, specs)
                for column, place in enumerate(some):
                    swept = self.swept[place]
                    found[place] = unchanged.weighting(swept, priced, column, methods[column], others)
        ordered = [found[place] for place in sorted(found)]
        points = [(one.policy_cost, one.policy_success) for one in ordered]
        marks = iter(front([(cost, success) for cost, success in points if cost is not None and success is not None]))
        ordered = [
            msgspec.structs.replace(one, on_front=next(marks)) if one.policy_success is not None else one
            for one in ordered
        ]
        return ordered, [unchanged.flip(group, at) for group, at in sorted(others.items())]

    def _pairs(self, lines: Sorted, rewards: dict[str, Reward], out: Path) -> int:
        """Write the pairs of the one weighting, as `reward` makes, thins and notes them; returns how many there are."""
        spec, settings = self.swept[0].spec, self.settings
        paired = Paired(spec, thin=settings.thin, seed=settings.seed)
        priced = (PairRow(line, repriced(rewards[line.id], spec) if line.id in rewards else None) for line in lines)
        with jsonl.replace(out) as file:
            paired.write(priced, file)
        sidecar.write_meta(out, paired.meta())
        return paired.chosen.total()


def _check_components(names: list[str], rewards: Iterable[Reward]) -> None:
    """Raises UsageError for a component that no reward has."""
    held = {name for reward in rewards for name in reward.components}
    if unknown := [name for name in names if name not in held]:
        raise UsageError(f"no component called {unknown[0]!r}; the rewards hold: {', '.join(sorted(held)) or 'none'}")


def show(report: dict[str, Any]) -> None:
    """A line per weighting, evenly chosen when there are many; the front is marked."""
    found = report["weightings"]
    step = max(1, -(-len(found) // SHOWN))
    table = [
        [
            one["id"],
            one["pairs"],
            one["chosen"]["Clarify"],
            one["ties"],
            one["flips"],
            one["policy_success"],
            one["policy_cost"],
            "front" if one["on_front"] else "",
        ]
        for one in found[::step]
    ]
    heads = ["weighting", "pairs", "choose Clarify", "ties", "flips", "success", f"cost at {report['spec']}", ""]
    console.table(f"sweep: taking the better action in every group of {report['rollouts']} rollouts", heads, table)
    if step > 1:
        console.note(f"every {step}th of {len(found)} weightings is shown")
    console.note(f"{report['groups_that_flip']} groups depend on the weighting: {report['out'][1]}")
    if report["missing"]:
        console.note(f"{report['missing']} trajectories have no reward and are left out")
