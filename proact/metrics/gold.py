"""How far judges agree with people, beside what a judge that does not think would reach."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from proact import jsonl
from proact.errors import InputError
from proact.labels import JUDGE_LABELS, NOT_APPLICABLE
from proact.records import GoldLabel, Verdict
from proact.stats import agreement, calibration
from proact.stats.intervals import Interval

Lengths = dict[str, int]


class Rated(NamedTuple):
    """A subject with what a person and a judge said of it."""

    gold: GoldLabel
    verdict: Verdict


def read_gold(path: Path) -> dict[str, GoldLabel]:
    """The labels of people by subject. Raises InputError for a subject that is there twice or has no label at all."""
    found: dict[str, GoldLabel] = {}
    for line in jsonl.lines(path):
        gold = jsonl.decode(line, GoldLabel, path)
        said(gold, path, line.number)
        if gold.id in found:
            raise InputError(path, f"{gold.id!r} is there twice", line=line.number, field="id")
        found[gold.id] = gold
    return found


def said(gold: GoldLabel, path: Path, number: int) -> None:
    """Raises InputError where a person has said nothing of a subject."""
    if gold.label is None and gold.score is None:
        raise InputError(path, "neither label nor score is given", line=number)


def names(verdict: Verdict) -> tuple[str, ...]:
    """What a gold label may call the subject of a verdict: the verdict's id with or without its repeat,
    `trajectory/subject` (such as `…/m2`), or `trajectory#at`; the trajectory too, where it is its judge's only subject
    there."""
    own = verdict.id.removesuffix(f"~{verdict.repeat}")
    place = () if verdict.at is None else (f"{verdict.trajectory}#{verdict.at}",)
    subject = verdict.detail.get("subject")
    keys = (f"{verdict.trajectory}/{subject}",) if subject else ()
    alone = verdict.detail.get("subjects", 1) == 1
    return (own, verdict.id, *keys, *place, *((verdict.trajectory,) if alone else ()))


def agreements(
    verdicts: Sequence[Verdict], gold: dict[str, GoldLabel], *, tau: float, lengths: Lengths
) -> dict[str, dict[str, Any]]:
    """For each judge that may give a label of the gold file: its agreement, calibration, and the trivial baselines."""
    rated: dict[str, list[Rated]] = defaultdict(list)
    for verdict in verdicts:
        found = next((gold[name] for name in names(verdict) if name in gold), None)
        if found and verdict.repeat == 0:
            rated[verdict.judge].append(Rated(found, verdict))
    report = {}
    for judge, some in sorted(rated.items()):
        known = {*JUDGE_LABELS.get(judge, ()), *(verdict.label for verdict in verdicts if verdict.judge == judge)}
        if any(one.gold.label in known or one.gold.score is not None for one in some):
            report[judge] = _agreement(some, tau, lengths) | {"retest": retest(verdicts, judge)}
    return report


def retest(verdicts: Sequence[Verdict], judge: str) -> dict[str, Any] | None:
    """Krippendorff's alpha between the repeats of a judge; None when nothing was judged twice."""
    units: dict[str, dict[int, str | None]] = defaultdict(dict)
    for verdict in verdicts:
        if verdict.judge == judge:
            units[names(verdict)[0]][verdict.repeat] = verdict.label
    twice = [[*some.values()] for some in units.values() if len(some) > 1]
    return _shown(agreement.alpha_interval(twice)) if twice else None


def _agreement(rated: Sequence[Rated], tau: float, lengths: Lengths) -> dict[str, Any]:
    report: dict[str, Any] = {"n": len(rated)}
    labelled = [one for one in rated if _comparable(one.gold.label, one.verdict.label)]
    if labelled:
        report |= _labels(labelled, lengths) | _calibrated(labelled, tau)
    scored = [one for one in rated if one.gold.score is not None and one.verdict.score is not None]
    if scored:
        report |= _scores(scored, lengths)
    report["not_applicable"] = len(rated) - len({id(one) for one in [*labelled, *scored]})
    return report


def _comparable(wanted: str | None, found: str | None) -> bool:
    # A judge that does not apply has said nothing, unless that is what people say too.
    return wanted is not None and found is not None and (found != NOT_APPLICABLE or wanted == found)


def _labels(rated: Sequence[Rated], lengths: Lengths) -> dict[str, Any]:
    gold, found = [one.gold.label or "" for one in rated], [one.verdict.label or "" for one in rated]
    majority = Counter(gold).most_common(1)[0][0]
    baselines = {"majority": _accuracy([label == majority for label in gold])}
    if "Clarify" in gold:
        baselines["always-ask"] = _accuracy([label == "Clarify" for label in gold])
    if longest := _longest(rated, lengths):
        baselines["longest"] = longest
    return {
        "accuracy": _accuracy([one == other for one, other in zip(gold, found, strict=True)]),
        "kappa": _shown(agreement.kappa_interval(gold, found)),
        "alpha": _shown(agreement.alpha_interval(list(zip(gold, found, strict=True)))),
        "confusion": agreement.confusion(gold, found),
        "majority_label": majority,
        "baselines": baselines,
    }


def _longest(rated: Sequence[Rated], lengths: Lengths) -> dict[str, Any] | None:
    """Accuracy of taking the longer half for the better label; only where two labels are ordered by their scores."""
    scores = {one.verdict.label: one.verdict.score for one in rated if one.verdict.score is not None}
    labels = {one.gold.label for one in rated}
    long = [lengths.get(one.verdict.trajectory) for one in rated]
    if len(labels) != 2 or not labels <= scores.keys() or None in long:
        return None
    worse, better = sorted(labels, key=lambda label: scores[label] or 0.0)
    middle = median(value for value in long if value is not None)
    guesses = [better if (value or 0) > middle else worse for value in long]
    return _accuracy([guess == one.gold.label for guess, one in zip(guesses, rated, strict=True)])


def _calibrated(rated: Sequence[Rated], tau: float) -> dict[str, Any]:
    sure = [one for one in rated if one.verdict.confidence is not None]
    if not sure:
        return {}
    confidence = [one.verdict.confidence or 0.0 for one in sure]
    right = [one.verdict.label == one.gold.label for one in sure]
    gate = calibration.gate(confidence, right, tau)
    return {
        "ece": calibration.calibration_error(confidence, right),
        "bins": [one._asdict() for one in calibration.reliability(confidence, right)],
        "risk_coverage": [point._asdict() for point in calibration.risk_coverage(confidence, right)],
        "gate": gate._asdict()
        | {"accuracy_kept": _shown(gate.accuracy_kept), "accuracy_held_back": _shown(gate.accuracy_held_back)},
    }


def _scores(rated: Sequence[Rated], lengths: Lengths) -> dict[str, Any]:
    """Scores agree when they order the subjects of a group alike; alpha takes them as numbers."""
    units = [[one.gold.score, one.verdict.score] for one in rated]
    groups: dict[str, list[Rated]] = defaultdict(list)
    for one in rated:
        groups[one.verdict.group].append(one)
    order: list[float] = []
    by_length: list[float] = []
    for some in groups.values():
        for one, other in combinations(some, 2):
            wanted = (one.gold.score or 0.0) - (other.gold.score or 0.0)
            if wanted:
                order.append(_concordant(wanted, (one.verdict.score or 0.0) - (other.verdict.score or 0.0)))
                sizes = [lengths.get(rated.verdict.trajectory, 0) for rated in (one, other)]
                by_length.append(_concordant(wanted, sizes[0] - sizes[1]))
    return {
        "alpha_interval_scale": _shown(agreement.alpha_interval(units, "interval")),
        "order_pairs": len(order),
        "order_accuracy": sum(order) / len(order) if order else None,
        "order_longest": sum(by_length) / len(by_length) if by_length else None,
    }


def _concordant(wanted: float, found: float) -> float:
    return 0.5 if not found else float((wanted > 0) == (found > 0))


def _accuracy(right: Sequence[bool]) -> dict[str, Any] | None:
    return _shown(agreement.accuracy(right))


def _shown(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else {"mean": interval.mean, "low": interval.low, "high": interval.high}
