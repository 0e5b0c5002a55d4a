"""Statistics against answers that are known: coverage, error rates, and the reference libraries."""

from __future__ import annotations

import random
from statistics import fmean

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from proact.stats import agreement, attempts, calibration, intervals, pareto
from proact.stats.intervals import Interval
from proact.stats.paired import detectable, holm, paired

SETS, TASKS = 1000, 100


def covered(found: list[Interval], truth: float) -> float:
    return fmean(float(one.low is not None and one.high is not None and one.low <= truth <= one.high) for one in found)


def test_the_t_interval_of_normal_values_covers_its_level() -> None:
    chance = np.random.default_rng(1)
    found = [intervals.t_interval(chance.normal(3.0, 2.0, TASKS).tolist()) for _ in range(SETS)]
    assert 0.93 <= covered(found, 3.0) <= 0.97


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
def test_the_wilson_interval_of_a_rate_covers_its_level(rate: float) -> None:
    chance = np.random.default_rng(2)
    found = [intervals.wilson(int(chance.binomial(TASKS, rate)) / TASKS, TASKS) for _ in range(SETS)]
    assert 0.93 <= covered(found, rate) <= 0.97


def test_a_rate_over_tasks_that_were_tried_four_times_covers_its_level() -> None:
    chance = np.random.default_rng(3)
    found = []
    for _ in range(SETS):
        tasks = chance.binomial(4, chance.beta(2, 2, TASKS)) / 4
        found.append(intervals.clustered_rate(tasks.tolist(), 4 * TASKS))
    assert 0.93 <= covered(found, 0.5) <= 0.97


def test_skewed_values_are_covered_less_and_that_is_what_the_warning_is_for() -> None:
    """Log-normal with sigma 1, a cost with a long tail: what t and the bootstrap really cover."""
    chance, truth = np.random.default_rng(4), float(np.exp(0.5))
    covers = {}
    for tasks in (12, 100):
        samples = [chance.lognormal(0.0, 1.0, tasks).tolist() for _ in range(SETS)]
        covers[tasks] = covered([intervals.t_interval(sample) for sample in samples], truth)
    few = [chance.lognormal(0.0, 1.0, 12).tolist() for _ in range(300)]
    bootstrapped = covered([intervals.bootstrap(sample, 5, 1000) for sample in few], truth)
    assert bootstrapped < covered([intervals.t_interval(sample) for sample in few], truth)
    assert 0.80 <= covers[12] < 0.93
    assert 0.89 <= covers[100] <= 0.96
    assert covers[12] < covers[100]


def test_a_wilson_interval_is_that_of_the_textbook() -> None:
    low, high = intervals.wilson(8 / 10, 10)[1:3]
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert intervals.wilson(1.0, 5).low == pytest.approx(0.5655, abs=5e-5)


def test_one_value_has_a_mean_and_no_interval() -> None:
    assert intervals.t_interval([2.0]) == Interval(2.0, None, None, "t")
    assert intervals.bootstrap([2.0]).low is None


def test_a_bootstrap_is_the_same_for_the_same_seed() -> None:
    values = [number**0.5 for number in range(40)]
    assert intervals.bootstrap(values, 1) == intervals.bootstrap(values, 1)
    assert intervals.bootstrap(values, 1) != intervals.bootstrap(values, 2)


def test_a_ratio_over_tasks_covers_its_level() -> None:
    chance = np.random.default_rng(7)
    found = []
    for _ in range(SETS):
        sizes = chance.integers(1, 6, TASKS)
        found.append(intervals.ratio(chance.binomial(sizes, 0.7).tolist(), sizes.tolist()))
    assert 0.93 <= covered(found, 0.7) <= 0.97


def test_false_positives_of_a_whole_family_stay_at_the_level() -> None:
    """Ten metrics, no true difference: how often any of them is called different after Holm."""
    chance, wrong = np.random.default_rng(8), 0
    for _ in range(SETS):
        values = []
        for metric in range(10):
            kind = [chance.normal(0, 1, (2, 60)), chance.binomial(1, 0.4, (2, 60)), chance.lognormal(0, 1, (2, 60))]
            one, other = kind[metric % 3].astype(float)
            found = paired(dict(enumerate(one.tolist())), dict(enumerate(other.tolist())))
            assert found is not None
            assert found.p is not None
            values.append(found.p)
        wrong += min(holm(values)) < 0.05
    assert wrong / SETS <= 0.065


def test_paired_tests_are_those_of_the_reference_library() -> None:
    from scipy import stats

    chance = np.random.default_rng(9)
    one, other = chance.normal(0.2, 1, 30), chance.normal(0, 1, 30)
    found = paired(dict(enumerate(one.tolist())), dict(enumerate(other.tolist())))
    reference = stats.ttest_rel(one, other)
    assert found is not None
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval()))
    first, second = chance.binomial(1, 0.7, 50).astype(float), chance.binomial(1, 0.4, 50).astype(float)
    exact = paired(dict(enumerate(first.tolist())), dict(enumerate(second.tolist())))
    up, down = int((first > second).sum()), int((first < second).sum())
    assert exact is not None
    assert exact.test == "McNemar exact"
    assert exact.p == pytest.approx(stats.binomtest(up, up + down).pvalue)


def test_holm_is_that_of_the_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_same_values_are_identical_and_what_is_shared_alone_is_compared() -> None:
    same = paired({"a": 1.0, "b": 0.0, "c": 5.0}, {"a": 1.0, "b": 0.0, "d": 7.0})
    assert same is not None
    assert (same.n, same.identical, same.p) == (2, True, 1.0)
    assert paired({"a": 1.0}, {"b": 1.0}) is None


def test_equal_differences_have_no_variance_and_get_the_sign_test() -> None:
    found = paired({str(i): 3.0 for i in range(6)}, {str(i): 2.0 for i in range(6)})
    assert found is not None
    assert found.test == "sign"
    assert found.p == pytest.approx(2 * 0.5**6)


def test_a_true_difference_of_the_detectable_size_is_found_four_times_out_of_five() -> None:
    chance, found, effect = np.random.default_rng(10), 0, 2.8543 / 60**0.5
    for _ in range(SETS):
        result = paired(dict(enumerate(chance.normal(effect, 1, 60).tolist())), dict.fromkeys(range(60), 0.0))
        found += result is not None and result.p is not None and result.p < 0.05
    assert found / SETS == pytest.approx(0.8, abs=0.04)
    assert detectable([-1.0, 1.0] * 30) == pytest.approx(2.8426 * (60 / 59) ** 0.5 / 60**0.5, rel=1e-3)


def labels(seed: int, n: int = 200) -> tuple[list[str], list[str]]:
    chance = random.Random(seed)
    gold = [chance.choice("abc") for _ in range(n)]
    return gold, [label if chance.random() < 0.7 else chance.choice("abc") for label in gold]


def test_kappa_and_confusion_are_those_of_the_reference_library() -> None:
    gold, found = labels(11)
    assert agreement.kappa(gold, found) == pytest.approx(cohen_kappa_score(gold, found))
    rows = [[*row.values()] for row in agreement.confusion(gold, found).values()]
    assert rows == confusion_matrix(gold, found).tolist()
    interval = agreement.kappa_interval(gold, found)
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < interval.mean < interval.high
    assert agreement.kappa(["a", "a"], ["a", "a"]) is None


def test_alpha_is_that_of_the_reference_library_and_of_krippendorffs_own_example() -> None:
    import krippendorff

    gold, found = labels(12)
    reference = krippendorff.alpha(reliability_data=[gold, found], level_of_measurement="nominal")
    assert agreement.alpha(list(zip(gold, found, strict=True))) == pytest.approx(reference)
    rows = ["* * * * * 3 4 1 2 1 1 3 3 * 3", "1 * 2 1 3 3 4 3 * * * * * * *", "* * 2 1 3 4 4 * 2 1 1 3 3 * 4"]
    raters = [[None if mark == "*" else float(mark) for mark in row.split()] for row in rows]
    units = list(zip(*raters, strict=True))
    assert agreement.alpha(units) == pytest.approx(0.691, abs=5e-4)
    assert agreement.alpha(units, "interval") == pytest.approx(0.811, abs=5e-4)
    interval = agreement.alpha_interval(units, "interval")
    assert interval is not None
    assert interval.low is not None
    assert interval.low < 0.811
    assert agreement.alpha([["a", "a"], ["a", "a"]]) is None


def test_the_calibration_error_is_that_of_the_reference_library() -> None:
    chance = np.random.default_rng(13)
    confidence = chance.random(500)
    right = chance.random(500) < confidence**2
    shares, means = calibration_curve(right, confidence, n_bins=10)
    sizes = np.histogram(confidence, bins=10, range=(0, 1))[0]
    reference = float((sizes[sizes > 0] * np.abs(shares - means)).sum() / 500)
    assert calibration.calibration_error(confidence.tolist(), right.tolist()) == pytest.approx(reference)


def test_a_threshold_on_a_confidence_that_never_changes_does_nothing() -> None:
    curve = calibration.risk_coverage([0.9] * 10, [True] * 6 + [False] * 4)
    assert curve == [calibration.Coverage(0.9, 1.0, 0.6)]
    gate = calibration.gate([0.9] * 10, [True] * 6 + [False] * 4, 0.6)
    assert (gate.kept, gate.held_back, gate.p) == (10, 0, None)


def test_a_threshold_on_a_confidence_that_means_something_helps() -> None:
    confidence, right = [0.9] * 40 + [0.3] * 40, [True] * 36 + [False] * 4 + [True] * 12 + [False] * 28
    curve = calibration.risk_coverage(confidence, right)
    assert [(point.coverage, point.accuracy) for point in curve] == [(0.5, 0.9), (1.0, 0.6)]
    gate = calibration.gate(confidence, right, 0.6)
    assert gate.p is not None
    assert gate.p < 1e-6


def test_passes_over_attempts_are_exact() -> None:
    assert attempts.pass_at(4, 1, 2) == pytest.approx(0.5)
    assert attempts.pass_hat(4, 3, 2) == pytest.approx(0.5)
    assert (attempts.pass_at(3, 0, 1), attempts.pass_hat(3, 3, 3)) == (0.0, 1.0)


def test_the_front_holds_what_nothing_beats() -> None:
    points = [(0.0, 0.2), (0.5, 0.6), (0.5, 0.5), (1.0, 0.6), (0.0, 0.2)]
    assert pareto.front(points) == [True, True, False, False, True]
