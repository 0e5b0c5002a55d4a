"""Two methods on the same tasks: the difference with its interval, a test, and what could have been seen at all."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Literal, NamedTuple, TypeVar

from proact.stats.intervals import LEVEL, normal_quantile, t_interval, t_quantile

Test = Literal["paired t", "McNemar exact", "sign", "none"]
K = TypeVar("K", bound=Hashable)
POWER = 0.8


class Paired(NamedTuple):
    """What two methods differ by, first minus second, on the `n` tasks that both have."""

    n: int
    difference: float
    low: float | None
    high: float | None
    p: float | None
    test: Test
    detectable: float | None
    identical: bool


def paired(first: Mapping[K, float], second: Mapping[K, float]) -> Paired | None:
    """The comparison over the keys that both have; None when they share none.

    Outcomes that are all 0 or 1 are tested with McNemar's exact test, others with the paired t test; differences that
    are all the same have no variance to test against, and get the sign test.
    """
    shared = sorted(first.keys() & second.keys(), key=str)
    if not shared:
        return None
    differences = [first[key] - second[key] for key in shared]
    binary = all(value in (0.0, 1.0) for key in shared for value in (first[key], second[key]))
    interval = t_interval(differences)
    test, p = _tested(differences, binary)
    return Paired(
        len(shared),
        interval.mean,
        interval.low,
        interval.high,
        p,
        test,
        detectable(differences),
        not any(differences),
    )


def _tested(differences: Sequence[float], binary: bool) -> tuple[Test, float | None]:
    if not any(differences):
        return "none", 1.0
    if binary:
        return "McNemar exact", sign_test(differences)
    if len(differences) < 2:
        return "none", None
    spread = stdev(differences)
    if spread <= 1e-12 * max(map(abs, differences)):
        return "sign", sign_test(differences)
    return "paired t", t_test(fmean(differences) / (spread / math.sqrt(len(differences))), len(differences) - 1)


def t_test(statistic: float, freedom: int) -> float:
    """The two-sided p value of a t statistic."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(statistic)))


def sign_test(differences: Sequence[float]) -> float:
    """The exact two-sided sign test, which on binary outcomes is McNemar's."""
    from scipy.special import bdtr

    up, down = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return min(1.0, 2 * float(bdtr(min(up, down), up + down, 0.5)))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given: rejecting those under 0.05 keeps the chance of any false
    rejection in the whole family under 5 %."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted


def detectable(differences: Sequence[float], power: float = POWER, level: float = LEVEL) -> float | None:
    """The smallest true difference that a study of this size and spread finds with this power; None without spread."""
    n = len(differences)
    if n < 2 or not (spread := stdev(differences)):
        return None
    return (t_quantile((1 + level) / 2, n - 1) + normal_quantile(power)) * spread / math.sqrt(n)
