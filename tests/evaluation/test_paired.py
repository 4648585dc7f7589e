"""Differences of two networks on the same rows: against SciPy, double loops, and what holds for all inputs."""

import math
from statistics import fmean

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from project.evaluation.area import compare_areas, estimate_area
from project.evaluation.estimate import Flags, Numbers
from project.evaluation.metrics import estimate_mean
from project.evaluation.paired import bonett_price, compare_answers, compare_probabilities, mcnemar

ROWS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60).map(lambda pairs: np.array(pairs).T)


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
    parts = placed(labels, a) - placed(labels, b)
    value = estimate_area(labels, a).value - estimate_area(labels, b).value
    if by_group:
        sums = [
            sum((parts[i] - value) / (labels == labels[i]).sum() for i in np.flatnonzero(rows == g)) for g in range(12)
        ]
        error, freedom = math.sqrt(12 / 11 * sum(np.square(sums))), 11
    else:
        error, freedom = math.hypot(*(scipy.stats.sem(parts[labels == label]) for label in (0, 1))), 58
    assert found["auc"][:3] == pytest.approx((value, *scipy.stats.t.interval(0.95, freedom, value, error)))


def test_equal_orders_and_lost_answers_leave_the_difference_of_areas_unknown() -> None:
    labels, a = np.repeat([0.0, 1.0], 10), np.random.default_rng(0).random(20)
    assert compare_areas(labels, a, a / 2)[:3] == pytest.approx((0, math.nan, math.nan), nan_ok=True)
    assert np.isnan(compare_areas(labels, a, np.append(a[1:], math.nan))[:3]).all()
