"""Differences of options and of networks: against SciPy and statsmodels, and what holds for all inputs."""

import math
from statistics import fmean

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from project.evaluation import differences
from project.evaluation.area import compare_areas, estimate_area
from project.evaluation.differences import bonett_price, compare_answers, compare_probabilities, corrected, mcnemar
from project.evaluation.estimate import Flags, Numbers
from project.evaluation.metrics import estimate_mean

NAN = math.nan
DIFFERENCES = st.lists(st.integers(-100, 100), min_size=2, max_size=12).map(lambda d: np.array(d) / 100).filter(np.ptp)
ROWS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60).map(lambda pairs: np.array(pairs).T)


@given(DIFFERENCES, st.integers(1, 1000), st.integers(1, 1000), st.sampled_from([1, 2, 5]))
def test_intervals_over_splits(d: Numbers, test: int, train: int, comparisons: int) -> None:
    found, splits, level = corrected(d, test / train, comparisons), len(d), 1 - 0.05 / comparisons
    assert (found.splits, found.level) == (splits, pytest.approx(level))
    mean, error = d.mean(), d.std(ddof=1) * math.sqrt(1 / splits + test / train)
    assert (found.low, found.high) == pytest.approx(scipy.stats.t.interval(level, splits - 1, mean, error), abs=1e-9)
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(abs(mean / error), splits - 1), abs=1e-9)
    naive = scipy.stats.ttest_1samp(d, 0).confidence_interval(level)
    assert (found.naive_low, found.naive_high) == pytest.approx(naive, abs=1e-9)
    assert (found.p < 1 - level) == (found.low > 0 or found.high < 0)
    bound = max(-found.low, found.high)  # of an equivalence, whose least sure side has this p
    spread = DescrStatsW(mean + (d - mean) * math.sqrt(1 + splits * test / train))
    assert spread.ttost_mean(-bound, bound)[0] == pytest.approx((1 - level) / 2, rel=1e-6)


def test_one_split_equal_differences_and_lost_networks() -> None:
    for by_split, expected in (
        ([0.1], (0.1, *[NAN] * 5, 1, 0.95)),
        ([0.1, NAN], (*[NAN] * 6, 2, 0.95)),
        ([0.3 - 0.2, 0.2 - 0.1, 0.1], (0.1, *[NAN] * 5, 3, 0.95)),
        ([0.0] * 7, (0, *[NAN] * 5, 7, 0.95)),
    ):
        assert corrected(np.array(by_split), 1 / 3) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_holms_p_values() -> None:
    for p in ([0.01, 0.04, 0.03, 0.005, 0.2], [0.04, 0.02, 0.3, 0.02, 0.9, 1.0, 0.0]):
        assert differences.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert differences.holm([]) == []
    assert differences.holm([0.01, NAN, 0.7]) == pytest.approx([0.03, NAN, 1], nan_ok=True)
    rng = np.random.default_rng(1)
    for _ in range(30):
        found = [corrected(d, 1 / 3, 3) for d in rng.normal(1.2, 1, (3, 10))]
        for each, adjusted in zip(found, differences.holm([each.p for each in found]), strict=True):
            assert adjusted < 0.05 or each.low <= 0 <= each.high


def test_sentences() -> None:
    none = differences.Difference(-0.002, -0.022, 0.018, NAN, NAN, 0.1, 10, 0.95)
    some = differences.Difference(0.031, 0.011, 0.051, NAN, NAN, 0.004, 10, 1 - 0.05 / 3)
    one, lost = (corrected(np.array(by_split), 1 / 3) for by_split in ([0.01], [NAN, 1]))
    over, possible = "over 10 splits", "anything from -0.022 to +0.018 is possible"
    numbers, small = "a - b = -0.002, 95 % [-0.022, +0.018], Holm p = 0.800", "no larger than 0.022 either way"
    for found, p, margin, words in (
        (none, 0.8, None, f"{over} no difference in loss was shown between a and b: {numbers}"),
        (none, 0.8, 0.022, f"{over} the difference in loss between a and b is {small}: {numbers}"),
        (none, 0.8, 0.02, f"10 splits cannot tell whether a and b differ in loss, {possible}: {numbers}"),
        (some, 0.012, 0.1, f"{over} a and b differ in loss: a - b = +0.031, 98.3 % [+0.011, +0.051], Holm p = 0.012"),
        (one, NAN, 0.1, "over 1 split a - b = +0.010 in loss; an interval needs two splits that differ"),
        (lost, NAN, 0.1, "over 2 splits a and b cannot be compared in loss: a network's is not finite"),
    ):
        assert differences.sentence(found, ("a", "b"), "loss", p, margin) == words


def test_mcnemars_exact_test() -> None:
    assert mcnemar(0, 0) == 1
    for a, b in ((1, 0), (3, 3), (10, 2), (25, 14), (7, 40), (400, 500), (0, 1000), (500_000, 499_000)):
        assert mcnemar(a, b) == mcnemar(b, a) == pytest.approx(scipy.stats.binomtest(a, a + b).pvalue, rel=1e-10)


@given(ROWS)
def test_swapping_two_networks_swaps_what_is_said_of_them(rows: Flags) -> None:
    a, b = rows
    ((value, low, high, _), _, p), (swapped, _, again) = compare_answers(a, b), compare_answers(b, a)
    assert p == again == mcnemar((a > b).sum(), (a < b).sum())
    assert value == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert -1 <= low <= value <= high <= 1
    assert swapped[:3] == pytest.approx((-value, -high, -low), abs=1e-12)
    assert p >= 0.05 or low > 0 or high < 0, "the exact test is the more cautious one"


@pytest.mark.parametrize(("rows", "a", "b"), [(10, 0.1, 0.1), (20, 0.02, 0.3), (20, 0.2, 0.1), (50, 0.01, 0.02)])
def test_the_paired_interval_covers_the_difference_of_small_samples(rows: int, a: float, b: float) -> None:
    """Exactly: the chances of all samples whose interval holds the true difference are added up."""
    chances, covered = scipy.stats.multinomial(rows, [a, b, 1 - a - b]), 0.0
    for only_a in range(rows + 1):
        for only_b in range(rows + 1 - only_a):
            found = bonett_price(only_a, only_b, rows)
            if found.low <= a - b <= found.high:
                covered += chances.pmf([only_a, only_b, rows - only_a - only_b])
    assert covered > 0.94


@given(st.integers(2, 8), st.integers(1, 5), st.data())
def test_of_groups_of_equal_size_it_is_the_t_test_of_their_means(number: int, size: int, data: st.DataObject) -> None:
    flags = st.lists(st.booleans(), min_size=number * size, max_size=number * size).map(np.array)
    right_a, right_b = data.draw(flags), data.draw(flags)
    order = np.random.default_rng(0).permutation(number * size)
    groups = np.repeat(np.arange(number), size) * -3
    (value, *ends, _), test, p = compare_answers(right_a[order], right_b[order], groups[order])
    means = (right_a.astype(float) - right_b).reshape(number, size).mean(1)
    assert (value, test) == (pytest.approx(means.mean()), f"t test over {number} groups")
    if np.ptp(means) > 1e-9:
        expected = scipy.stats.ttest_1samp(means, 0)
        assert ends == pytest.approx(np.clip(expected.confidence_interval(), -1, 1), abs=1e-9)
        assert p == pytest.approx(expected.pvalue)

    none, _, p = compare_answers(right_a, right_a, groups)
    assert (none[:3], p) == (pytest.approx(bonett_price(0, 0, number)[:3]), 1), "as many rows would say"
    single, _, p = compare_answers(right_a, right_b, np.zeros(number * size))
    assert (single[:3], p) == (pytest.approx((means.mean(), -1, 1)), 1), "one group says nothing of others"


def placed(labels: Numbers, answers: Numbers) -> Numbers:
    """Return for each row the share of the other class that lies on its right side, by a double loop."""
    sides = np.where(labels == 1, answers, -answers)
    others = [-sides[labels != label] for label in labels]
    return np.array([fmean((side > of) + (side == of) / 2) for side, of in zip(sides, others, strict=True)])


@pytest.mark.parametrize("by_group", [False, True])
def test_numbers_of_the_same_rows_are_compared_row_by_row_or_group_by_group(by_group: bool) -> None:
    rng, labels = np.random.default_rng(0), np.repeat([0.0, 1.0], [25, 35])
    a, b = rng.random((2, 60)).round(2) * 0.6 + 0.4 * labels
    rows = np.arange(60) if not by_group else rng.integers(0, 12, 60)
    groups = rows if by_group else None
    found, swapped = compare_probabilities(labels, a, b, groups), compare_probabilities(labels, b, a, groups)
    assert list(found) == ["accuracy", "auc", "bce", "mse"]
    accuracy = compare_answers((a >= 0.5) == (labels == 1), (b >= 0.5) == (labels == 1), groups)[0]
    assert found["accuracy"] == accuracy
    assert found["mse"] == estimate_mean((a - labels) ** 2 - (b - labels) ** 2, groups), "with no cut at 0"
    for each, mirrored in zip(found.values(), swapped.values(), strict=True):
        assert (each.value, each.low) == pytest.approx((-mirrored.value, -mirrored.high), abs=0.01)
    weights = np.where(labels == 1, 1 / 35, 1 / 25)
    parts = np.stack([weights * (placed(labels, each) - estimate_area(labels, each).value) for each in (a, b)])
    if by_group:
        sums = np.stack([parts[:, rows == group].sum(1) for group in range(12)])
        covariance = 12 / 11 * sums.T @ sums
    else:
        covariance = sum(np.cov(parts[:, labels == label]) * (labels == label).sum() for label in (0, 1))
    correlation = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
    (value_a, *ends_a), (value_b, *ends_b) = (estimate_area(labels, each, groups)[:3] for each in (a, b))
    value, low, high, _ = found["auc"]
    assert value == pytest.approx(value_a - value_b)
    for end, of_a, of_b in zip((low, high), ends_a, ends_b[::-1], strict=True):
        both = np.array([of_a - value_a, of_b - value_b])
        assert (end - value) ** 2 == pytest.approx(both @ [[1, correlation], [correlation, 1]] @ both)


def test_areas_of_equal_orders_do_not_differ_and_lost_answers_leave_that_unknown() -> None:
    labels, a = np.repeat([0.0, 1.0], 10), np.random.default_rng(0).random(20)
    for answers in a, a + labels:  # The latter are two classes apart.
        value, low, high, _ = compare_areas(labels, answers, answers / 2)
        assert (value, low) == pytest.approx((0, -high))
        assert high > 0
    assert np.isnan(compare_areas(labels, a, np.append(a[1:], math.nan))[:3]).all()
