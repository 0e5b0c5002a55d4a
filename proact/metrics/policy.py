"""How a policy decides: against the better action of preference pairs, by uncertainty, and by persona."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import msgspec

from proact import jsonl
from proact.records import Action, Metric, PreferencePair, Trajectory
from proact.stats import agreement, intervals
from proact.text import words

EDGES = (0.0, 0.25, 0.5, 0.75)
ACTIONS: tuple[Action, Action] = ("Clarify", "Execute")


class Decision(msgspec.Struct, frozen=True):
    """One decision that a policy was free to take."""

    id: str
    method: str
    task: str
    persona: str
    turn: int
    uncertainty: float
    action: Action


class Better(NamedTuple):
    """What the pairs say of one (state, persona, turn): Clarify minus Execute, and the lengths of the two messages."""

    advantage: float
    clarify_words: float
    execute_words: float

    @property
    def action(self) -> Action:
        return "Clarify" if self.advantage > 0 else "Execute"

    @property
    def longest(self) -> Action:
        return "Clarify" if self.clarify_words > self.execute_words else "Execute"


Key = tuple[str, str, int]


def decision(line: Trajectory) -> Decision | None:
    """The decision of a line; None for a branch, and for an action that was imposed on the policy."""
    if not line.is_mainline or line.forced:
        return None
    state = line.state
    return Decision(line.id, line.method, state.id, line.persona.name, line.turn, state.task_uncertainty, line.action)


def read_pairs(path: Path) -> dict[Key, Better]:
    """The better action at each (state, persona, turn); several pairs of one count by their mean margin."""
    found: dict[Key, list[Better]] = defaultdict(list)
    for pair in jsonl.read(path, PreferencePair):
        asks = pair.chosen_action == "Clarify"
        chosen, rejected = len(words(pair.chosen_text)), len(words(pair.rejected_text))
        found[pair.state_id, pair.persona, pair.turn].append(
            Better(pair.margin if asks else -pair.margin, *((chosen, rejected) if asks else (rejected, chosen)))
        )
    return {key: Better(*map(fmean, zip(*some, strict=True))) for key, some in found.items()}


def policy_report(decisions: Sequence[Decision], pairs: dict[Key, Better] | None) -> dict[str, Any]:
    """Of one method: how often it asks, where, and how often it takes the better action."""
    report: dict[str, Any] = {
        "decisions": len(decisions),
        "ask_rate": _rate(decisions),
        "ask_rate_by_uncertainty": {label: _rate(some) for label, some in _bins(decisions).items()},
        "ask_rate_by_persona": {name: _rate(some) for name, some in _by_persona(decisions).items()},
    }
    return report | (_accuracy(decisions, pairs) if pairs is not None else {})


def policy_metrics(method: str, report: dict[str, Any]) -> list[Metric]:
    """The rows of a policy report that have a direction."""
    if "action_accuracy" not in report:
        return []
    share = report["action_accuracy"]
    common = {"method": method, "n": report["matched"], "tasks": report["matched_tasks"], "missing": 0}
    common["not_applicable"] = report["unmatched"]
    rows = [
        Metric(
            id=f"{method}/action_accuracy",
            metric="action_accuracy",
            mean=share and share["mean"],
            ci_low=share and share["low"],
            ci_high=share and share["high"],
            interval="wilson" if share else "",
            unit="share",
            higher_is_better=True,
            **common,
        )
    ]
    regret = report["regret"]
    rows.append(
        Metric(
            id=f"{method}/action_regret",
            metric="action_regret",
            mean=regret and regret["mean"],
            ci_low=regret and regret["low"],
            ci_high=regret and regret["high"],
            interval="t" if regret and regret["low"] is not None else "",
            unit="reward",
            higher_is_better=False,
            **common,
        )
    )
    return rows


def _accuracy(decisions: Sequence[Decision], pairs: dict[Key, Better]) -> dict[str, Any]:
    matched = [(one, pairs[key]) for one in decisions if (key := (one.task, one.persona, one.turn)) in pairs]
    gold = [better.action for _, better in matched]
    majority = Counter(gold).most_common(1)[0][0] if gold else None
    lost = [0.0 if one.action == better.action else abs(better.advantage) for one, better in matched]
    baselines: dict[str, list[Action]] = {
        "always-ask": ["Clarify"] * len(gold),
        "always-execute": ["Execute"] * len(gold),
        "longest": [better.longest for _, better in matched],
    }
    if majority:
        baselines["majority"] = [majority] * len(gold)
    return {
        "matched": len(matched),
        "matched_tasks": len({one.task for one, _ in matched}),
        "unmatched": len(decisions) - len(matched),
        "action_accuracy": _share(matched_hits(matched)),
        "regret": _mean(_by_task(matched, lost)),
        "confusion": agreement.confusion(gold, [one.action for one, _ in matched]),
        "baselines": {
            name: _share(
                [(one.task, guess == better.action) for guess, (one, better) in zip(guesses, matched, strict=True)]
            )
            for name, guesses in baselines.items()
        },
    }


def matched_hits(matched: Iterable[tuple[Decision, Better]]) -> list[tuple[str, bool]]:
    """For each decision its task, and whether the better action was taken."""
    return [(one.task, one.action == better.action) for one, better in matched]


def _share(hits: Sequence[tuple[str, bool]]) -> dict[str, Any] | None:
    """The share of hits with an interval over tasks; None for none."""
    tasks: dict[str, list[float]] = defaultdict(list)
    for task, hit in hits:
        tasks[task].append(float(hit))
    if not tasks:
        return None
    found = intervals.clustered_rate([fmean(some) for some in tasks.values()], len(hits))
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": len(hits)}


def _mean(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    found = intervals.t_interval(values)
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _by_task(matched: Sequence[tuple[Decision, Better]], values: Sequence[float]) -> list[float]:
    tasks: dict[str, list[float]] = defaultdict(list)
    for (one, _), value in zip(matched, values, strict=True):
        tasks[one.task].append(value)
    return [fmean(some) for some in tasks.values()]


def _rate(decisions: Sequence[Decision]) -> dict[str, Any] | None:
    return _share([(one.task, one.action == "Clarify") for one in decisions])


def _bins(decisions: Sequence[Decision]) -> dict[str, list[Decision]]:
    """By uncertainty, in quarters; an edge belongs to the upper one, and 1 to the last."""
    found: dict[str, list[Decision]] = {f"{edge:.2f} to {edge + 0.25:.2f}": [] for edge in EDGES}
    for one in decisions:
        edge = EDGES[min(int(one.uncertainty * 4), 3)]
        found[f"{edge:.2f} to {edge + 0.25:.2f}"].append(one)
    return {label: some for label, some in found.items() if some}


def _by_persona(decisions: Sequence[Decision]) -> dict[str, list[Decision]]:
    found: dict[str, list[Decision]] = defaultdict(list)
    for one in decisions:
        found[one.persona].append(one)
    return dict(sorted(found.items()))
