"""Intervals around a mean: t over tasks, Wilson for rates, and the bootstrap by choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Literal, NamedTuple

Method = Literal["t", "wilson", "bootstrap"]
LEVEL = 0.95
FEW = 30
"""Under this many tasks an interval is too narrow on skewed values: t covers 88 % at 12 and 92 % at 24."""


class Interval(NamedTuple):
    """A mean with its two ends, None where one value alone gives no interval, and how it was computed."""

    mean: float
    low: float | None
    high: float | None
    method: Method


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Student's t interval of a mean. `values` must not be empty; one value has no interval."""
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None, "t")
    half = t_quantile((1 + level) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, "t")


def wilson(rate: float, n: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a rate in `n` independent trials; `n` may be an effective number."""
    if n <= 0:
        return Interval(rate, None, None, "wilson")
    z = normal_quantile((1 + level) / 2)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return Interval(rate, max(0.0, centre - half), min(1.0, centre + half), "wilson")


def clustered_rate(means: Sequence[float], observations: int, level: float = LEVEL) -> Interval:
    """Wilson's interval of a rate over tasks, each of which may have been tried several times.

    The effective number of trials is that of a simple sample with the variance seen between tasks (Korn and Graubard
    1998), held between the number of tasks and the number of observations; with one trial a task it is their number.
    """
    rate, tasks = fmean(means), len(means)
    effective = float(tasks)
    if 0 < rate < 1 and tasks > 1:
        error = stdev(means) ** 2 / tasks
        trials = rate * (1 - rate) / error if error else math.inf
        effective = min(max(trials, tasks), observations)
    return wilson(rate, effective, level)


def bootstrap(values: Sequence[float], seed: int = 0, draws: int = 10_000, level: float = LEVEL) -> Interval:
    """Percentile bootstrap of a mean, with a generator of its own. It covers less than t in small samples."""
    import numpy as np

    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None, "bootstrap")
    sample, chance = np.asarray(values, dtype=float), np.random.default_rng(seed)
    rows = max(1, 2_000_000 // len(sample))
    means = np.concatenate(
        [
            sample[chance.integers(0, len(sample), (min(rows, draws - done), len(sample)))].mean(axis=1)
            for done in range(0, draws, rows)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), "bootstrap")


def ratio(numerators: Sequence[float], denominators: Sequence[float], level: float = LEVEL) -> Interval:
    """A ratio of sums over tasks with the t interval of its linearised terms."""
    size, n = math.fsum(denominators), len(denominators)
    value = math.fsum(numerators) / size
    if n < 2:
        return Interval(value, None, None, "t")
    terms = [(top - value * below) * n / size for top, below in zip(numerators, denominators, strict=True)]
    half = t_quantile((1 + level) / 2, n - 1) * stdev(terms) / math.sqrt(n)
    return Interval(value, value - half, value + half, "t")


def t_quantile(p: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, p))


def normal_quantile(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))
