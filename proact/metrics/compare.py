"""Methods against each other on the tasks that they share, each metric in its own direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any, NamedTuple

import msgspec

from proact.metrics.aggregate import task_means
from proact.metrics.base import MetricSpec
from proact.records import Measured
from proact.stats.intervals import FEW
from proact.stats.paired import Paired, holm, paired

LEVEL = 0.05
Cell = tuple[str, str]


class Duel(msgspec.Struct, kw_only=True):
    """Two methods on one metric: `difference` is first minus second, over the tasks that both have."""

    metric: str
    first: str
    second: str
    n: int
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    test: str = "none"
    p: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    better: str | None = None
    verdict: str = "no shared task"


class Side(NamedTuple):
    """One method's conversations by (task, persona): what a pair of methods has to share."""

    method: str
    cells: dict[Cell, list[Measured]]


def compare(methods: Mapping[str, Sequence[Measured]], specs: Sequence[MetricSpec]) -> dict[str, dict[str, Any]]:
    """For each metric: every method's value on the tasks that all have, the best by direction, and every pair of
    methods with interval, test (Holm over all tests of the call), and the smallest difference that could be seen."""
    sides = [Side(name, _cells(rows)) for name, rows in methods.items()]
    found = {spec.name: [_duel(spec, *two) for two in combinations(sides, 2)] for spec in specs}
    _judge([(spec, duel) for spec in specs for duel in found[spec.name]])
    return {spec.name: _entry(spec, sides, found[spec.name]) for spec in specs}


def _cells(rows: Sequence[Measured]) -> dict[Cell, list[Measured]]:
    cells: dict[Cell, list[Measured]] = {}
    for row in rows:
        cells.setdefault((row.task, row.persona), []).append(row)
    return cells


def _valued(side: Side, spec: MetricSpec) -> set[Cell]:
    return {cell for cell, rows in side.cells.items() if any(row.metrics.get(spec.field) is not None for row in rows)}


def _means(side: Side, spec: MetricSpec, cells: set[Cell]) -> dict[str, float]:
    return task_means((row for cell in sorted(cells) for row in side.cells[cell]), spec)


def _duel(spec: MetricSpec, one: Side, other: Side) -> Duel:
    shared = _valued(one, spec) & _valued(other, spec)
    found = paired(_means(one, spec, shared), _means(other, spec, shared))
    duel = Duel(metric=spec.name, first=one.method, second=other.method, n=found.n if found else 0)
    return _filled(duel, found) if found else duel


def _filled(duel: Duel, found: Paired) -> Duel:
    return msgspec.structs.replace(
        duel,
        difference=found.difference,
        ci_low=found.low,
        ci_high=found.high,
        test=found.test,
        p=found.p,
        detectable=found.detectable,
        verdict="identical" if found.identical else "no difference shown",
    )


def _judge(duels: Sequence[tuple[MetricSpec, Duel]]) -> None:
    # Values that are the same on every task cannot be told apart by any test, so they are no part of the family.
    family = [(spec, duel) for spec, duel in duels if duel.p is not None and duel.verdict != "identical"]
    adjusted = holm([duel.p for _, duel in family if duel.p is not None])
    for (spec, duel), p in zip(family, adjusted, strict=True):
        duel.p_holm = p
        if p < LEVEL and duel.difference:
            first_wins = (duel.difference > 0) == spec.higher_is_better
            duel.better = duel.first if first_wins else duel.second
            duel.verdict = f"{duel.better} better"


def _entry(spec: MetricSpec, sides: Sequence[Side], duels: Sequence[Duel]) -> dict[str, Any]:
    shared = set.intersection(*(_valued(side, spec) for side in sides)) if sides else set()
    means = {side.method: _means(side, spec, shared) for side in sides}
    values = {method: fmean(found.values()) if found else None for method, found in means.items()}
    if spec.kind == "ratio" and shared:
        values = {side.method: _pooled(side, spec, shared) for side in sides}
    there = {method: value for method, value in values.items() if value is not None}
    pick = max if spec.higher_is_better else min
    top = pick(there.values()) if there else None
    best = sorted(method for method, value in there.items() if top is not None and abs(value - top) <= 1e-12)
    beaten = {duel.first if duel.better == duel.second else duel.second for duel in duels if duel.better in best}
    tasks = len({task for task, _ in shared})
    return {
        "values": values,
        "best": best[0] if len(best) == 1 else None,
        "best_value": top,
        "equal_best": best if len(best) > 1 else [],
        "not_told_apart": sorted(there.keys() - beaten - {*best}),
        "higher_is_better": spec.higher_is_better,
        "unit": spec.unit,
        "tasks": tasks,
        "few_tasks": tasks < FEW,
        "pairs": [msgspec.to_builtins(duel) for duel in duels],
    }


def _pooled(side: Side, spec: MetricSpec, cells: set[Cell]) -> float:
    rows = [row for cell in sorted(cells) for row in side.cells[cell] if row.metrics.get(spec.field) is not None]
    sizes = [row.weights.get(spec.field, 1.0) for row in rows]
    return sum((row.metrics[spec.field] or 0.0) * size for row, size in zip(rows, sizes, strict=True)) / sum(sizes)
