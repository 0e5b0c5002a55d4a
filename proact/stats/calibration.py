"""Whether a stated confidence means anything: calibration error, reliability bins, risk against coverage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean
from typing import NamedTuple

from proact.stats.intervals import Interval, wilson

BINS = 10


class Bin(NamedTuple):
    """The verdicts whose confidence lies in one tenth of 0..1."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Coverage(NamedTuple):
    """What is left when only verdicts from a confidence on are used."""

    threshold: float
    coverage: float
    accuracy: float


class Gate(NamedTuple):
    """What a threshold does: accuracy of what it lets through and of what it holds back."""

    tau: float
    kept: int
    held_back: int
    accuracy_kept: Interval | None
    accuracy_held_back: Interval | None
    p: float | None


def reliability(confidence: Sequence[float], right: Sequence[bool], bins: int = BINS) -> list[Bin]:
    """The bins that are not empty; a confidence on an inner edge belongs to the upper bin."""
    places: list[list[int]] = [[] for _ in range(bins)]
    for index, value in enumerate(confidence):
        places[min(int(value * bins), bins - 1)].append(index)
    return [
        Bin(
            number / bins,
            (number + 1) / bins,
            len(place),
            fmean(confidence[i] for i in place),
            fmean(float(right[i]) for i in place),
        )
        for number, place in enumerate(places)
        if place
    ]


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = BINS) -> float:
    """Expected calibration error (Naeini et al. 2015): the mean gap between confidence and accuracy over bins."""
    found = reliability(confidence, right, bins)
    return sum(one.n * abs(one.accuracy - one.confidence) for one in found) / len(confidence)


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> list[Coverage]:
    """Accuracy when only the surest verdicts are used, one point for each confidence that occurs, surest first."""
    ordered = sorted(zip(confidence, right, strict=True), key=lambda pair: -pair[0])
    points, taken, good = [], 0, 0
    for threshold, group in groupby(ordered, key=lambda pair: pair[0]):
        outcomes = [hit for _, hit in group]
        taken, good = taken + len(outcomes), good + sum(outcomes)
        points.append(Coverage(threshold, taken / len(ordered), good / taken))
    return points


def gate(confidence: Sequence[float], right: Sequence[bool], tau: float) -> Gate:
    """Whether a threshold helps: it does when what it lets through is right more often than what it holds back.

    `p` is Fisher's exact test of the two shares, None when one side is empty.
    """
    kept = [hit for value, hit in zip(confidence, right, strict=True) if value >= tau]
    held = [hit for value, hit in zip(confidence, right, strict=True) if value < tau]
    return Gate(tau, len(kept), len(held), _share(kept), _share(held), fisher(kept, held) if kept and held else None)


def fisher(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Fisher's exact test, two-sided, of two shares being the same."""
    from scipy.stats import fisher_exact

    table = [[sum(one), len(one) - sum(one)], [sum(other), len(other) - sum(other)]]
    return float(fisher_exact(table).pvalue)


def _share(hits: Sequence[bool]) -> Interval | None:
    return wilson(sum(hits) / len(hits), len(hits)) if hits else None
