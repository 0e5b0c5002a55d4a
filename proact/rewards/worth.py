"""What questions were worth: the value of each arm, of perfect information, of asking, and what leaks.

Success is task success times its weight; a task's value is the mean over its decisions, and intervals are t over tasks
(Wilson for shares). A figure that needs an arm that was not played does not apply.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from statistics import fmean, variance
from typing import Any

from proact.rewards.decisions import ARMS, Decision
from proact.stats.intervals import Interval, ratio, t_interval, wilson

Measure = Callable[[Decision], float | None]


def _mean(arm: str, part: str) -> Measure:
    return lambda decision: decision.mean(arm, part)


def _difference(arm: str, other: str, part: str) -> Measure:
    return lambda decision: decision.difference(arm, other, part)


FIGURES: dict[str, tuple[tuple[str, ...], Measure]] = {
    **{f"V {arm}": ((arm,), _mean(arm, "reward")) for arm in ARMS},
    **{f"success {arm}": ((arm,), _mean(arm, "success")) for arm in ARMS},
    "EVPI": (("oracle", "Execute"), _difference("oracle", "Execute", "success")),
    "gross VoI": (("Clarify", "Execute"), _difference("Clarify", "Execute", "success")),
    "net VoI": (("Clarify", "Execute"), _difference("Clarify", "Execute", "reward")),
    "leak": (("placebo", "Execute"), _difference("placebo", "Execute", "success")),
}
"""Each figure with the arms that it needs."""
EFFICIENCY, PAYS = "efficiency", "asking pays"


def figures(decisions: Sequence[Decision]) -> dict[str, dict[str, Any]]:
    """Every figure over some decisions: mean, ends of the 95 % interval, n tasks, missing and not applicable ones."""
    found = {name: _figure(decisions, arms, measure) for name, (arms, measure) in FIGURES.items()}
    found[EFFICIENCY] = _efficiency(decisions)
    found[PAYS] = _pays(decisions)
    return found


def breakdown(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """The figures overall, then by family, persona, uncertainty and turn."""
    rows: list[dict[str, Any]] = [{"by": "overall", "of": "", "figures": figures(decisions)}]
    for field in ("persona", "uncertainty", "turn", "family"):
        parts: dict[Any, list[Decision]] = defaultdict(list)
        for decision in decisions:
            parts[getattr(decision, field)].append(decision)
        if len(parts) > 1:
            rows += [{"by": field, "of": str(key), "figures": figures(parts[key])} for key in sorted(parts)]
    return rows


def correlation(decisions: Iterable[Decision]) -> dict[str, Any]:
    """What comparing the two actions at the same state buys.

    `within` is the correlation of their rewards over the replicates of a state (chance that they share), `across` that
    of their means over states, and `variance_ratio` the variance of the paired differences over that of unpaired ones.
    """
    pairs, within = [], []
    for decision in decisions:
        asking, answering = decision.values.get("Clarify", {}), decision.values.get("Execute", {})
        shared = sorted(asking.keys() & answering.keys())
        each = [(asking[key].reward, answering[key].reward) for key in shared]
        if each:
            centre = fmean(one for one, _ in each), fmean(two for _, two in each)
            pairs.append(centre)
            within += [(one - centre[0], two - centre[1]) for one, two in each] if len(each) > 1 else []
    apart = sum(variance(side) for side in zip(*pairs, strict=True)) if len(pairs) > 1 else 0.0
    return {
        "within": _correlation(within, centred=True),
        "n_within": len(within),
        "across": _correlation(pairs),
        "n_across": len(pairs),
        "variance_ratio": variance(one - two for one, two in pairs) / apart if apart else None,
    }


def _figure(decisions: Sequence[Decision], arms: tuple[str, ...], measure: Measure) -> dict[str, Any]:
    values, absent = _by_task(decisions, arms, measure)
    means = [fmean(each) for each in values.values()]
    return _told(t_interval(means) if means else None, len(means), absent)


def _efficiency(decisions: Sequence[Decision]) -> dict[str, Any]:
    def both(decision: Decision) -> tuple[float, float] | None:
        gross = FIGURES["gross VoI"][1](decision)
        possible = FIGURES["EVPI"][1](decision)
        return None if gross is None or possible is None else (gross, possible)

    values, absent = _by_task(decisions, ("oracle", "Clarify", "Execute"), both)
    gross = [fmean(value for value, _ in each) for each in values.values()]
    possible = [fmean(value for _, value in each) for each in values.values()]
    interval = ratio(gross, possible) if abs(sum(possible)) > 1e-9 else None
    return _told(interval, len(gross), absent)


def _pays(decisions: Sequence[Decision]) -> dict[str, Any]:
    arms, measure = FIGURES["net VoI"]
    values, absent = _by_task(decisions, arms, measure)
    each = [float(value > 1e-9) for task in values.values() for value in task]
    return _told(wilson(fmean(each), len(each)) if each else None, len(each), absent)


def _by_task(
    decisions: Sequence[Decision], arms: tuple[str, ...], measure: Callable[[Decision], Any]
) -> tuple[dict[str, list[Any]], dict[str, int]]:
    values: dict[str, list[Any]] = defaultdict(list)
    missing, without = set(), set()
    for decision in decisions:
        value = measure(decision)
        if value is not None:
            values[decision.task].append(value)
        elif decision.missing & set(arms):
            missing.add(decision.task)
        else:
            without.add(decision.task)
    missing -= values.keys()
    return values, {"missing": len(missing), "not_applicable": len(without - values.keys() - missing)}


def _told(interval: Interval | None, n: int, absent: dict[str, int]) -> dict[str, Any]:
    ends = (interval.mean, interval.low, interval.high) if interval else (None, None, None)
    return {**dict(zip(("mean", "low", "high"), ends, strict=True)), "n": n, **absent}


def _correlation(pairs: Sequence[tuple[float, float]], *, centred: bool = False) -> float | None:
    if len(pairs) < 2:
        return None
    left, right = (0.0, 0.0) if centred else (fmean(one for one, _ in pairs), fmean(two for _, two in pairs))
    one = sum((x - left) ** 2 for x, _ in pairs)
    two = sum((y - right) ** 2 for _, y in pairs)
    both = sum((x - left) * (y - right) for x, y in pairs)
    return both / sqrt(one * two) if one > 1e-12 and two > 1e-12 else None
