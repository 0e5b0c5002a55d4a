"""From conversations to methods: means over tasks with intervals, and what was missing or did not apply."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, stdev
from typing import Any, Literal

from proact.metrics.base import METRICS, MetricSpec
from proact.records import Measured, Metric
from proact.stats import intervals
from proact.stats.attempts import pass_at, pass_hat
from proact.stats.intervals import Interval

IntervalChoice = Literal["auto", "bootstrap"]
By = Literal["seed", "persona", "family", "split"]


def specs() -> list[MetricSpec]:
    """All registered metrics."""
    return [METRICS[name] for name in METRICS]


def by_method(rows: Iterable[Measured]) -> dict[str, list[Measured]]:
    """The conversations of each method, methods in the order of their names."""
    found: dict[str, list[Measured]] = defaultdict(list)
    for row in rows:
        found[row.method].append(row)
    return dict(sorted(found.items()))


def aggregate(rows: Sequence[Measured], spec: MetricSpec, *, by: str = "", choice: IntervalChoice = "auto") -> Metric:
    """One metric of one method. `rows` are all its conversations and must not be empty."""
    there = [row for row in rows if row.metrics.get(spec.field) is not None]
    found = _interval(there, spec, choice) if there else None
    method = rows[0].method
    return Metric(
        id="/".join([method, spec.name, *([by] if by else [])]),
        method=method,
        metric=spec.name,
        by=by,
        mean=found and found.mean,
        ci_low=found and found.low,
        ci_high=found and found.high,
        interval=found.method if found and found.low is not None else "",
        n=len(there),
        tasks=len({row.task for row in there}),
        missing=sum(spec.field in row.missing for row in rows),
        not_applicable=sum(spec.field in row.not_applicable for row in rows),
        unit=spec.unit,
        higher_is_better=spec.higher_is_better,
    )


def task_means(rows: Iterable[Measured], spec: MetricSpec) -> dict[str, float]:
    """The mean of each task over whatever was repeated: personas, seeds, replicates."""
    values: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        value = row.metrics.get(spec.field)
        if value is not None:
            values[row.task].append((value, row.weights.get(spec.field, 1.0)))
    return {
        task: sum(value * weight for value, weight in found) / sum(weight for _, weight in found)
        for task, found in values.items()
    }


def parts(rows: Sequence[Measured], by: By | None) -> dict[str, list[Measured]]:
    """The conversations of each value of a field, as `field=value`; nothing without a field."""
    found: dict[str, list[Measured]] = defaultdict(list)
    for row in rows if by else ():
        found[f"{by}={getattr(row, by or '')}"].append(row)
    return dict(sorted(found.items()))


def seed_spread(rows: Sequence[Measured], spec: MetricSpec) -> dict[str, Any] | None:
    """The mean of each seed and their standard deviation; None for a single seed."""
    means = {
        part.removeprefix("seed="): fmean(found)
        for part, some in parts(rows, "seed").items()
        if (found := list(task_means(some, spec).values()))
    }
    return {"means": means, "sd": stdev(means.values())} if len(means) > 1 else None


def attempts(rows: Sequence[Measured]) -> list[Metric]:
    """pass@k and pass^k of one method over the replicates of its conversations; nothing for a single replicate."""
    tries: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if (value := row.metrics.get("task_success")) is not None:
            tries[row.task, row.conversation].append(value)
    most = max((len(found) for found in tries.values()), default=1)
    metrics = []
    for k in range(1, most + 1) if most > 1 else ():
        metrics += [_attempt(rows, tries, k, "pass@", pass_at), _attempt(rows, tries, k, "pass^", pass_hat)]
    return metrics


def _attempt(
    rows: Sequence[Measured],
    tries: dict[tuple[str, str], list[float]],
    k: int,
    name: str,
    chance: Callable[[int, int, int], float],
) -> Metric:
    values: dict[str, list[float]] = defaultdict(list)
    for (task, _), outcomes in tries.items():
        if len(outcomes) >= k:
            values[task].append(chance(len(outcomes), round(sum(outcomes)), k))
    found = intervals.t_interval([fmean(some) for some in values.values()])
    tried = len({(row.task, row.conversation) for row in rows})
    return Metric(
        id=f"{rows[0].method}/{name}{k}",
        method=rows[0].method,
        metric=f"{name}{k}",
        mean=found.mean,
        ci_low=None if found.low is None else max(0.0, found.low),
        ci_high=None if found.high is None else min(1.0, found.high),
        interval="t" if found.low is not None else "",
        n=sum(map(len, values.values())),
        tasks=len(values),
        missing=tried - len(tries),
        not_applicable=sum(len(outcomes) < k for outcomes in tries.values()),
        unit="share",
        higher_is_better=True,
    )


def _interval(rows: Sequence[Measured], spec: MetricSpec, choice: IntervalChoice) -> Interval:
    means = task_means(rows, spec)
    if spec.kind == "ratio":
        sums: dict[str, float] = defaultdict(float)
        for row in rows:
            sums[row.task] += row.weights.get(spec.field, 1.0)
        return intervals.ratio([means[task] * sums[task] for task in means], [sums[task] for task in means])
    if choice == "bootstrap":
        return intervals.bootstrap(list(means.values()))
    if spec.kind == "rate":
        return intervals.clustered_rate(list(means.values()), len(rows))
    return intervals.t_interval(list(means.values()))
