"""The result of an evaluation: every method under the document's keys, compared, and placed in the Pareto plane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from proact.metrics import aggregate, policy
from proact.metrics.base import MetricSpec
from proact.metrics.compare import compare
from proact.records import Measured, Metric
from proact.stats.pareto import front

SUCCESS, COST = "task_success_rate", "avg_interrupt_cost"
Methods = Mapping[str, list[Measured]]


def compared(
    methods: Methods,
    policies: Mapping[str, dict[str, Any]],
    *,
    by: aggregate.By | None = None,
    choice: aggregate.IntervalChoice = "auto",
) -> tuple[dict[str, Any], list[Metric]]:
    """What `comparison.json` begins with, and the rows of `metrics.jsonl`."""
    specs = aggregate.specs()
    rows = _rows(methods, policies, by, choice)
    measured = {row.metric for row in rows if row.n}
    tested = [spec for spec in specs if spec.compared and spec.name in measured]
    found: dict[str, Any] = {
        "methods": list(methods),
        "per_method": {
            method: _method(method, some, rows, specs, policies.get(method)) for method, some in methods.items()
        },
        "comparison": compare(methods, tested),
        "by": _by(methods, tested, by),
        "not_measured": [spec.name for spec in specs if spec.name not in measured],
        "missing": sum(row.missing for row in rows if row.metric in measured and not row.by),
    }
    return found | {"pareto": points(found)}, sorted(rows, key=lambda row: (row.method, row.id))


def _rows(
    methods: Methods, policies: Mapping[str, dict[str, Any]], by: aggregate.By | None, choice: aggregate.IntervalChoice
) -> list[Metric]:
    rows = []
    for method, some in methods.items():
        for name, part in [("", some), *aggregate.parts(some, by).items()]:
            rows += [aggregate.aggregate(part, spec, by=name, choice=choice) for spec in aggregate.specs()]
        rows += aggregate.attempts(some)
        rows += policy.policy_metrics(method, policies.get(method, {}))
    return rows


def _by(methods: Methods, specs: list[MetricSpec], by: aggregate.By | None) -> dict[str, Any]:
    parts: dict[str, dict[str, list[Measured]]] = defaultdict(dict)
    for method, rows in methods.items():
        for name, part in aggregate.parts(rows, by).items():
            parts[name][method] = part
    return {name: compare(some, specs) for name, some in sorted(parts.items())}


def _method(
    method: str,
    rows: list[Measured],
    metrics: list[Metric],
    specs: list[MetricSpec],
    policy_report: dict[str, Any] | None,
) -> dict[str, Any]:
    """One method under the document's keys, and everything else beside them."""
    own = {row.metric: row for row in metrics if row.method == method and not row.by}
    spreads = {spec.name: aggregate.seed_spread(rows, spec) for spec in specs}
    return {
        "method": method,
        "n_conversations": len(rows),
        **{name: row.mean for name, row in own.items()},
        "metrics": {name: msgspec.to_builtins(row) for name, row in own.items()},
        "seeds": {name: spread for name, spread in spreads.items() if spread},
        "policy": policy_report,
    }


def points(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The Pareto points: every method whose success and interruption cost are both known."""
    found = []
    for method in result["methods"]:
        metrics = result["per_method"][method]["metrics"]
        success, cost = metrics[SUCCESS], metrics[COST]
        if success["mean"] is not None and cost["mean"] is not None:
            ends = [_ends(cost), _ends(success)]
            found.append(
                {"method": method, "x": cost["mean"], "y": success["mean"], "x_ends": ends[0], "y_ends": ends[1]}
            )
    marks = front([(one["x"], one["y"]) for one in found])
    return [one | {"on_front": mark} for one, mark in zip(found, marks, strict=True)]


def _ends(metric: dict[str, Any]) -> list[float] | None:
    return None if metric["ci_low"] is None else [metric["ci_low"], metric["ci_high"]]
