"""Differences of options over splits: against SciPy and statsmodels, and what holds for all inputs."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from project.evaluation.differences import Difference, corrected, holm, sentence
from project.evaluation.estimate import Numbers

NAN = math.nan
DIFFERENCES = st.lists(st.integers(-100, 100), min_size=2, max_size=12).map(lambda d: np.array(d) / 100).filter(np.ptp)


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
    for differences, expected in (
        ([0.1], (0.1, *[NAN] * 5, 1, 0.95)),
        ([0.1, NAN], (*[NAN] * 6, 2, 0.95)),
        ([0.1] * 7, (*[0.1] * 5, 0, 7, 0.95)),
        ([0.0] * 7, (*[0] * 5, 1, 7, 0.95)),
    ):
        assert corrected(np.array(differences), 1 / 3) == pytest.approx(expected, abs=0, nan_ok=True)


def test_shared_training_rows_cost_the_naive_interval_its_level_and_not_the_corrected_one() -> None:
    """Differences without a mean, whose correlation is that which Nadeau and Bengio assume: n_test / (all rows)."""
    rng, studies, splits, test, train = np.random.default_rng(0), 500, 10, 20, 60
    shared = test / (test + train)
    common, own = rng.normal(size=(studies, 1)), rng.normal(size=(studies, splits))
    found = [corrected(d, test / train) for d in math.sqrt(shared) * common + math.sqrt(1 - shared) * own]
    assert 0.03 < np.mean([not each.low <= 0 <= each.high for each in found]) < 0.07
    assert np.mean([not each.naive_low <= 0 <= each.naive_high for each in found]) > 0.2


def test_holms_p_values() -> None:
    for p in ([0.01, 0.04, 0.03, 0.005, 0.2], [0.04, 0.02, 0.3, 0.02, 0.9, 1.0, 0.0]):
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]) == []
    assert holm([0.01, NAN, 0.7]) == pytest.approx([0.03, NAN, 1], nan_ok=True)
    rng = np.random.default_rng(1)
    for _ in range(30):
        found = [corrected(d, 1 / 3, 3) for d in rng.normal(1.2, 1, (3, 10))]
        for each, adjusted in zip(found, holm([each.p for each in found]), strict=True):
            assert adjusted < 0.05 or each.low <= 0 <= each.high


def test_sentences() -> None:
    none = Difference(-0.002, -0.022, 0.018, NAN, NAN, 0.1, 10, 0.95)
    some = Difference(0.031, 0.011, 0.051, NAN, NAN, 0.004, 10, 1 - 0.05 / 3)
    one, lost = (corrected(np.array(differences), 1 / 3) for differences in ([0.01], [NAN, 1]))
    over, possible = "over 10 splits", "anything from -0.022 to +0.018 is possible"
    numbers = "a - b = -0.002, 95 % [-0.022, +0.018], Holm p = 0.800"
    for found, p, margin, words in (
        (none, 0.8, None, f"{over} no difference in loss was shown between a and b: {numbers}"),
        (
            none,
            0.8,
            0.022,
            f"{over} the difference in loss between a and b is no larger than 0.022 either way: {numbers}",
        ),
        (none, 0.8, 0.02, f"10 splits cannot tell whether a and b differ in loss, {possible}: {numbers}"),
        (some, 0.012, 0.1, f"{over} a and b differ in loss: a - b = +0.031, 98.3 % [+0.011, +0.051], Holm p = 0.012"),
        (one, NAN, 0.1, "over 1 split a - b = +0.010 in loss; an interval needs two splits or more"),
        (lost, NAN, 0.1, "over 2 splits a and b cannot be compared in loss: a network's is not finite"),
    ):
        assert sentence(found, ("a", "b"), "loss", p, margin) == words
