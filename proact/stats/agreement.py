"""How far two raters agree: accuracy, confusion, Cohen's kappa and Krippendorff's alpha, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from proact.stats.intervals import LEVEL, Interval, wilson

Scale = Literal["nominal", "ordinal", "interval"]
DRAWS = 1000


def accuracy(right: Sequence[bool]) -> Interval:
    """The share that is right, with Wilson's interval; `right` must not be empty."""
    return wilson(sum(right) / len(right), len(right))


def confusion(gold: Sequence[str], found: Sequence[str]) -> dict[str, dict[str, int]]:
    """How often each gold label (outer) was given each label (inner), over all labels of either side."""
    counts = Counter(zip(gold, found, strict=True))
    labels = sorted({*gold, *found})
    return {one: {other: counts[one, other] for other in labels} for one in labels}


def kappa(gold: Sequence[str], found: Sequence[str]) -> float | None:
    """Cohen's kappa; None when both raters only ever use one and the same label, where it is not defined."""
    n = len(gold)
    ours, theirs = Counter(gold), Counter(found)
    chance = sum(ours[label] * theirs[label] for label in ours) / (n * n)
    if chance == 1:
        return None
    observed = sum(a == b for a, b in zip(gold, found, strict=True)) / n
    return (observed - chance) / (1 - chance)


def alpha(ratings: Sequence[Sequence[Any]], scale: Scale = "nominal") -> float | None:
    """Krippendorff's alpha of units, each the ratings it got (None: not rated); None when nothing varies or pairs."""
    counts, domain = _counts(ratings)
    return _alpha(counts, domain, scale)


def alpha_interval(ratings: Sequence[Sequence[Any]], scale: Scale = "nominal", seed: int = 0) -> Interval | None:
    """Alpha with a bootstrap interval over units."""
    import numpy as np

    counts, domain = _counts(ratings)
    value = _alpha(counts, domain, scale)
    if value is None:
        return None
    chance, n = np.random.default_rng(seed), len(counts)
    return _percentiles(value, n, [_alpha(counts[chance.integers(0, n, n)], domain, scale) for _ in range(DRAWS)])


def kappa_interval(gold: Sequence[str], found: Sequence[str], seed: int = 0) -> Interval | None:
    """Kappa with a bootstrap interval over subjects, which is a multinomial draw of the confusion matrix."""
    import numpy as np

    value = kappa(gold, found)
    if value is None:
        return None
    n = len(gold)
    table = np.array([[*row.values()] for row in confusion(gold, found).values()], dtype=float)
    draws = np.random.default_rng(seed).multinomial(n, table.ravel() / n, DRAWS).reshape(DRAWS, *table.shape) / n
    chance = (draws.sum(axis=2) * draws.sum(axis=1)).sum(axis=1)
    observed = draws.trace(axis1=1, axis2=2)
    there = chance < 1
    return _percentiles(value, n, ((observed[there] - chance[there]) / (1 - chance[there])).tolist())


def _counts(ratings: Sequence[Sequence[Any]]) -> tuple[Any, list[Any]]:
    """How often each unit (row) got each value (column), and the values."""
    import numpy as np

    domain = sorted({value for unit in ratings for value in unit if value is not None})
    place = {value: index for index, value in enumerate(domain)}
    counts = np.zeros((len(ratings), len(domain)), dtype=int)
    for row, unit in enumerate(ratings):
        for value in unit:
            if value is not None:
                counts[row, place[value]] += 1
    return counts, domain


def _alpha(counts: Any, domain: list[Any], scale: Scale) -> float | None:
    import krippendorff

    paired = counts[counts.sum(axis=1) > 1]
    if (paired.sum(axis=0) > 0).sum() < 2:
        return None
    values = domain if scale == "interval" else list(range(len(domain)))
    return float(krippendorff.alpha(value_counts=paired, value_domain=values, level_of_measurement=scale))


def _percentiles(value: float, n: int, draws: Sequence[float | None]) -> Interval:
    """Resamples on which the statistic is not defined are left out."""
    import numpy as np

    there = [draw for draw in draws if draw is not None]
    if n < 2 or len(there) < DRAWS / 2:
        return Interval(value, None, None, "bootstrap")
    low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high), "bootstrap")
