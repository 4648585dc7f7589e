"""Differences of options and of networks: against numbers of SciPy and statsmodels, and what holds for all inputs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.evaluation.differences import (
    Difference,
    Flags,
    corrected,
    holm,
    interval,
    mcnemar,
    p_value,
    paired,
    paired_by_group,
    sentence,
    simultaneous,
    student_t,
    two_sided,
)

NAN = math.nan
DIFFERENCES = st.lists(st.integers(-100, 100), min_size=2, max_size=12).map(lambda whole: np.array(whole) / 100)
ROWS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60).map(lambda pairs: np.array(pairs).T)


@pytest.mark.parametrize(
    ("share", "freedom", "expected"),  # scipy.stats.t.ppf(share, freedom), SciPy 1.17
    [
        (0.975, 1, 12.706204736174694),
        (0.975, 2, 4.302652729749462),
        (0.9, 4, 1.533206274058944),
        (0.975, 9, 2.262157162798205),
        (0.995, 9, 3.249835541592126),
        (0.975, 29, 2.045229642132703),
        (0.9875, 1000, 2.2447831150193935),
        (0.975, 10**6, 1.959966356814107),
        (0.999999, 1, 318309.88617359026),
    ],
)
def test_quantiles_of_students_t(share: float, freedom: int, expected: float) -> None:
    assert student_t(share, freedom) == pytest.approx(expected, rel=1e-11)
    assert student_t(1 - share, freedom) == pytest.approx(-expected, rel=1e-9), "1 - 0.999999 has ten digits"


@pytest.mark.parametrize(
    ("statistic", "freedom", "expected"),  # 2 * scipy.stats.t.sf(statistic, freedom), SciPy 1.17
    [
        (2.262, 9, 0.05001284550245463),
        (0.5, 1, 0.7048327646991335),
        (4, 3, 0.028008456010146152),
        (10, 29, 6.599862576433525e-11),
        (1.96, 10**6, 0.04999606758526985),
    ],
)
def test_two_sided_probabilities_of_students_t(statistic: float, freedom: int, expected: float) -> None:
    assert two_sided(statistic, freedom) == two_sided(-statistic, freedom) == pytest.approx(expected, rel=1e-11)


@given(st.floats(0.001, 0.999), st.floats(1, 1e6))
def test_the_quantile_is_the_inverse_of_the_probability(share: float, freedom: float) -> None:
    assert two_sided(student_t(share, freedom), freedom) == pytest.approx(2 * min(share, 1 - share), abs=1e-11)


def test_intervals_over_splits() -> None:
    """By scipy.stats.t.interval(0.95, 9, d.mean(), d.std(ddof=1) * sqrt(1 / 10 + 20 / 60)), and with 1 / 10 alone."""
    d = np.array([0.01, -0.02, 0.03, 0.0, 0.015, 0.005, -0.01, 0.02, 0.01, 0.0])
    found = corrected(d, 20, 60)
    assert found[:3] == pytest.approx((0.006, -0.01557960397359343, 0.02757960397359343), rel=1e-10)
    assert found[3:5] == pytest.approx((-0.004366506432409314, 0.016366506432409313), rel=1e-10)
    assert found.p == pytest.approx(0.54499936473716, rel=1e-10)
    assert (found.splits, found.level) == (10, 0.95)


@given(DIFFERENCES, st.integers(1, 1000), st.integers(1, 1000), st.sampled_from([0.9, 0.95, 0.975]))
def test_what_holds_of_every_interval_over_splits(d: np.ndarray, test: int, train: int, level: float) -> None:
    found, swapped = corrected(d, test, train, level), corrected(-d, test, train, level)
    assert swapped[:3] == pytest.approx((-found.mean, -found.high, -found.low), abs=1e-12)
    assert swapped.p == pytest.approx(found.p, abs=1e-9)
    assert found.low <= found.naive_low <= found.mean <= found.naive_high <= found.high
    factor = math.sqrt(1 + len(d) * test / train)
    assert found.high - found.low == pytest.approx(factor * (found.naive_high - found.naive_low), abs=1e-9)
    assert (found.p < 1 - level) == (found.low > 0 or found.high < 0)
    wider = corrected(d, test, train, 0.99)
    assert wider.low <= found.low <= found.high <= wider.high


def test_one_split_equal_differences_and_lost_networks() -> None:
    ends = (NAN, NAN, NAN, NAN, NAN)
    assert corrected(np.array([0.1]), 20, 60) == pytest.approx((0.1, *ends, 1, 0.95), nan_ok=True)
    assert corrected(np.array([0.1, NAN]), 20, 60) == pytest.approx((NAN, *ends, 2, 0.95), nan_ok=True)
    assert corrected(np.full(7, 0.1), 20, 60) == (0.1, 0.1, 0.1, 0.1, 0.1, 0, 7, 0.95)
    assert corrected(np.zeros(7), 20, 60) == (0, 0, 0, 0, 0, 1, 7, 0.95)


def test_shared_training_rows_cost_the_naive_interval_its_level_and_not_the_corrected_one() -> None:
    """Differences without a mean, whose correlation is that which Nadeau and Bengio assume: n_test / (all rows)."""
    rng, studies, splits, test, train = np.random.default_rng(0), 1000, 10, 20, 60
    shared = test / (test + train)
    common, own = rng.normal(size=(studies, 1)), rng.normal(size=(studies, splits))
    found = [corrected(d, test, train) for d in math.sqrt(shared) * common + math.sqrt(1 - shared) * own]
    assert 0.03 < np.mean([not each.low <= 0 <= each.high for each in found]) < 0.07
    assert np.mean([not each.naive_low <= 0 <= each.naive_high for each in found]) > 0.2


def test_holms_p_values() -> None:
    """By statsmodels.stats.multitest.multipletests([...], method="holm")[1], statsmodels 0.15."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([]) == []
    assert holm([0.02]) == [0.02]
    assert holm([0.01, NAN, 0.7]) == pytest.approx([0.03, NAN, 1], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_what_holds_of_all_holms_p_values(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(before <= after <= min(1, len(p) * before) for before, after in zip(p, adjusted, strict=True))
    assert [adjusted[i] for i in np.argsort(p)] == sorted(adjusted)
    assert holm(p[::-1]) == adjusted[::-1]


def test_an_interval_of_several_that_leaves_out_0_has_an_adjusted_p_below_005() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        found = [corrected(d, 20, 60, simultaneous(3)) for d in rng.normal(1.2, 1, (3, 10))]
        adjusted = holm([each.p for each in found])
        assert all(p < 0.05 for each, p in zip(found, adjusted, strict=True) if not each.low <= 0 <= each.high)
    assert simultaneous(1) == 0.95
    assert simultaneous(5) == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),  # scipy.stats.binomtest(only_a, only_a + only_b).pvalue, SciPy 1.17
    [
        (0, 0, 1),
        (1, 0, 1),
        (3, 3, 1),
        (10, 2, 0.03857421875),
        (25, 14, 0.10812902140605732),
        (7, 40, 1.0709118214435875e-06),
        (400, 500, 0.0009564441369189373),
        (0, 1000, 1.8665272370064378e-301),
        (500_000, 499_000, 0.317552599673747),
        (501_500, 498_500, 0.002708655306059374),
    ],
)
def test_mcnemars_exact_test(only_a: int, only_b: int, p: float) -> None:
    a = np.repeat([True, False, True, False], [only_a, only_b, 5, 2])
    b = np.repeat([False, True, True, False], [only_a, only_b, 5, 2])
    assert mcnemar(a, b) == (only_a, only_b, pytest.approx(p, rel=1e-10))


@given(ROWS)
def test_swapping_two_networks_swaps_what_is_said_of_them(rows: Flags) -> None:
    a, b = rows
    only_a, only_b, p = mcnemar(a, b)
    assert mcnemar(b, a) == (only_b, only_a, p)
    assert 0 < p <= 1
    difference, low, high = paired(a, b)
    assert difference == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert -1 <= low <= difference <= high <= 1
    assert paired(b, a) == pytest.approx((-difference, -high, -low), abs=1e-12)
    if p < 0.05:
        assert low > 0 or high < 0, "the exact test is the more cautious one"


@pytest.mark.parametrize(("rows", "a", "b"), [(10, 0.1, 0.1), (20, 0.02, 0.3), (20, 0.2, 0.1), (50, 0.01, 0.02)])
def test_the_paired_interval_covers_the_difference_of_small_samples(rows: int, a: float, b: float) -> None:
    """Exactly: the chances of all samples whose interval holds the true difference are added up."""
    covered = 0.0
    for only_a in range(rows + 1):
        for only_b in range(rows + 1 - only_a):
            both = rows - only_a - only_b
            of_a, of_b = (np.repeat(flags, [only_a, only_b, both]) for flags in ([1, 0, 1], [0, 1, 1]))
            _, low, high = paired(of_a.astype(bool), of_b.astype(bool))
            ways = math.comb(rows, only_a) * math.comb(rows - only_a, only_b)
            covered += (low <= a - b <= high) * ways * a**only_a * b**only_b * (1 - a - b) ** both
    assert covered > 0.94


@given(st.integers(2, 8), st.integers(1, 5), st.data())
def test_of_groups_of_equal_size_the_interval_is_the_t_interval_of_their_means(
    number: int, size: int, data: st.DataObject
) -> None:
    flags = st.lists(st.booleans(), min_size=number * size, max_size=number * size).map(np.array)
    right_a, right_b = data.draw(flags), data.draw(flags)
    order = np.random.default_rng(0).permutation(number * size)
    groups = np.repeat(np.arange(number), size) * -3
    found = paired_by_group(right_a[order], right_b[order], groups[order])
    means = (right_a.astype(float) - right_b).reshape(number, size).mean(1)
    naive = corrected(means, 1, 1)  # Its naive interval is the one of independent numbers.
    ends = (naive.mean, naive.mean) if np.ptp(means) == 0 else (naive.naive_low, naive.naive_high)
    assert found[:3] == pytest.approx((naive.mean, max(-1, ends[0]), min(1, ends[1])), abs=1e-9)
    if np.ptp(means) > 1e-9:
        assert found[3] == pytest.approx(two_sided(means.mean() / means.std(ddof=1) * math.sqrt(number), number - 1))


def test_one_group_says_nothing_of_others() -> None:
    assert paired_by_group(np.array([True, True]), np.array([False, True]), np.array([7, 7])) == (0.5, -1, 1, 1)


def test_sentences() -> None:
    names, nothing = ("bce", "mse"), (NAN, NAN)
    none = Difference(-0.002, -0.022, 0.018, *nothing, 0.8, 10, 0.95)
    assert sentence(none, names, "test accuracy") == (
        "over 10 splits no difference was shown between bce and mse in test accuracy: "
        "bce - mse = -0.002, 95 % [-0.022, +0.018]"
    )
    some = Difference(0.031, 0.011, 0.051, *nothing, 0.004, 10, simultaneous(3))
    assert sentence(some, names, "log loss", 0.012) == (
        "over 10 splits bce and mse differ in log loss: bce - mse = +0.031, 98.3 % [+0.011, +0.051], Holm p = 0.012"
    )
    assert "no difference was shown" in sentence(some, names, "log loss", 0.06), "the adjusted p decides"
    assert sentence(corrected(np.array([0.01]), 20, 60), names, "log loss") == (
        "over 1 split bce - mse = +0.010 in log loss; an interval needs two splits or more"
    )
    assert sentence(corrected(np.array([NAN, 0.01]), 20, 60), names, "log loss") == (
        "over 2 splits bce and mse cannot be compared in log loss: a network's is not finite"
    )


def test_as_many_decimals_as_the_width_needs() -> None:
    assert interval(0.5, -1, 1) == "+0.500, 95 % [-1.000, +1.000]"
    assert interval(0.00012, 0.00007, 0.00017, 0.99) == "+0.00012, 99 % [+0.00007, +0.00017]"
    assert interval(0.0, 0.0, 0.0) == "+0.000, 95 % [+0.000, +0.000]"
    assert interval(0.00004, 0.00004, 0.00004) == "+0.000040, 95 % [+0.000040, +0.000040]"
    assert (p_value(0.0312), p_value(0.0002)) == ("p = 0.031", "p < 0.001")
