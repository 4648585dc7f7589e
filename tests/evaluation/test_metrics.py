"""Each number of a test and its interval, against plain Python, double loops and SciPy."""

import json
import math
from collections.abc import Iterable
from statistics import NormalDist, fmean, quantiles

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from project.evaluation import evaluate, metrics
from project.evaluation.area import estimate_area, newcombe
from project.evaluation.estimate import Numbers, to_json
from project.evaluation.metrics import design_effect, estimate_mean, estimate_share, wilson

NAN, Z = math.nan, NormalDist().inv_cdf(0.975)
PROBABILITY = st.sampled_from([0.0, 0.1, 0.25, 0.5, math.nextafter(0.5, 0), 0.75, 1.0]) | st.floats(0, 1)
CLASSES = st.tuples(st.lists(PROBABILITY, min_size=1, max_size=8), st.lists(PROBABILITY, min_size=1, max_size=8))
GROUPED = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 1]), PROBABILITY), min_size=3, max_size=30)
Patch = pytest.MonkeyPatch


def above(p: float, q: float) -> float:
    return (p > q) + (p == q) / 2


def on_logits(value: float, half: float) -> tuple[float, float]:
    """Return the ends of an interval of so much to either side, taken on the scale of logits by the delta method."""
    low, high = scipy.special.expit(scipy.special.logit(value) + np.array([-half, half]) / value / (1 - value))
    return low, high


def same(values: tuple[float, ...], expected: tuple[float, ...]) -> bool:
    return np.allclose(values, expected, rtol=0, atol=1e-9, equal_nan=True)


@given(CLASSES, st.booleans())
def test_each_number_is_what_plain_python_finds(classes: tuple[list[float], list[float]], lost: bool) -> None:
    """Exactly 0.5 speaks for class 1; NaN is a wrong answer, and there is no AUC and no loss with it."""
    if lost:
        classes = ([*classes[0], NAN], [NAN, *classes[1]])
    certainty = [1 - p for p in classes[0]] + classes[1]
    right = [p < 0.5 for p in classes[0]], [p >= 0.5 for p in classes[1]]
    with Patch.context() as patch:
        patch.setattr(metrics, "DRAWS", 10)
        found = evaluate(np.repeat([0.0, 1.0], [len(rows) for rows in classes]), np.concatenate(classes))
    by_hand = {
        "accuracy": fmean(right[0] + right[1]),
        "sensitivity": fmean(right[1]),
        "specificity": fmean(right[0]),
        "auc": NAN if lost else fmean(above(p, q) for p in classes[1] for q in classes[0]),
        "bce": fmean(-math.log(max(c, 1e-7)) for c in certainty),
        "mse": fmean((1 - c) ** 2 for c in certainty),
    }
    assert list(found) == list(by_hand)
    assert same(tuple(estimate.value for estimate in found.values()), tuple(by_hand.values()))
    of_area = "Newcombe" if found["auc"].value in (0, 1) and min(map(len, classes)) > 1 else "DeLong"
    assert [estimate.method for estimate in found.values()][:4] == ["Wilson"] * 3 + [of_area]
    for loss, worst in (found["bce"], 16.2), (found["mse"], 1):
        assert np.isnan(loss.low) == (len(right[0] + right[1]) < 10 or lost)
        assert np.isnan(loss.low) or 0 <= loss.low <= loss.high <= worst
    text = json.dumps(to_json(found), allow_nan=False)
    assert text.count("null") == sum(np.isnan(estimate[:3]).sum() for estimate in found.values())


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.sampled_from([0, n]) | st.integers(0, n), st.just(n))))
def test_wilsons_interval(counts: tuple[int, int]) -> None:
    share, low, high, _ = wilson(*counts)
    expected = scipy.stats.binomtest(*counts).proportion_ci(method="wilson")
    assert same((share, low, high), (counts[0] / counts[1], expected.low, expected.high))
    assert (low == 0, high == 1) == (share == 0, share == 1)


@given(st.sampled_from([0.0, 1.0]), st.integers(2, 1000), st.integers(2, 1000))
def test_classes_that_do_not_overlap_leave_the_area_uncertain(area: float, n: int, m: int) -> None:
    """The interval's end is where what was found lies Z standard errors away, by Hanley and McNeil's own terms."""
    found = newcombe(area, n, m)
    end = found.low if area else found.high
    assert (found.low, found.high)[int(area)] == area
    assert 0 < end < 1
    first, second, others = end / (2 - end), 2 * end**2 / (1 + end), (n + m) / 2 - 1
    variance = (end * (1 - end) + others * (first - end**2) + others * (second - end**2)) / (n * m)
    assert abs(area - end) == pytest.approx(Z * math.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (3, 20), (15, 15), (2, 50)])
def test_an_area_at_the_end_of_newcombes_interval_hardly_ever_shows_as_one(n: int, m: int) -> None:
    """Of exponential and of normal probabilities of that area, 2.5 % of samples at most do not overlap."""
    end, rng, size = newcombe(1, n, m).low, np.random.default_rng(0), 20_000
    normal = [rng.normal(shift, 1, (size, k)) for shift, k in ((0, n), (math.sqrt(2) * NormalDist().inv_cdf(end), m))]
    exponential = [rng.exponential(scale, (size, k)) for scale, k in ((1 - end, n), (end, m))]
    for zeros, ones in normal, exponential:
        assert np.mean(ones[:, :1] > zeros[:, :1]) == pytest.approx(end, abs=0.02)
        assert np.mean(ones.min(1) > zeros.max(1)) <= 0.025


def error_of(parts: Numbers, groups: Numbers) -> tuple[float, float]:
    """Return Student's t and the error of a sum, by a loop over groups, or NaN twice of a single one."""
    sums = [parts[groups == group].sum() for group in set(groups)]
    if len(sums) == 1:
        return NAN, NAN
    return scipy.stats.t.ppf(0.975, len(sums) - 1), math.sqrt(len(sums) / (len(sums) - 1) * sum(x**2 for x in sums))


@given(GROUPED)
def test_by_group_errors_are_those_of_sums_over_groups(rows: list[tuple[int, int, float]]) -> None:
    groups, right, _ = (np.array(column) for column in zip(*rows, strict=True))
    share, number = fmean(right), len(set(groups))
    (t, error), worth = error_of((right - share) / len(rows), groups), float(number)
    if 0 < share < 1:
        effect = error**2 * len(rows) / share / (1 - share)
        assert same((design_effect(right == 1, groups),), (effect,))
        worth = len(rows) / max(1, effect * (t / Z) ** 2)
    ends = (NAN, NAN) if number == 1 else wilson(share * worth, worth)[1:3]
    assert same(estimate_share(right == 1, groups)[:3], (share, *ends))


@given(GROUPED.filter(lambda rows: len({label for _, label, _ in rows}) == 2), st.booleans())
def test_the_error_of_an_area_is_that_of_placement_values(rows: list[tuple[int, int, float]], by_group: bool) -> None:
    """The share of the other class on a row's right side, by a double loop: their variance, or that of groups' sums."""
    groups, labels, probabilities = (np.array(column) for column in zip(*rows, strict=True))
    of = {one: probabilities[labels == one] for one in (0, 1)}
    placed = np.array([fmean(above(p, q) if label else above(q, p) for q in of[1 - label]) for _, label, p in rows])
    zeros, ones = (placed[labels == one] for one in (0, 1))
    value, (t, error) = fmean(ones), (NAN, NAN)
    if min(len(zeros), len(ones)) > 1 and by_group:
        t, error = error_of((placed - value) / np.where(labels, len(ones), len(zeros)), groups)
    elif min(len(zeros), len(ones)) > 1:
        t, error = Z, math.hypot(scipy.stats.sem(zeros), scipy.stats.sem(ones))
    expected = (value, NAN, NAN)
    if t > 0 and 0 < value < 1:
        expected = (value, *on_logits(value, t * error))
    elif t > 0:
        draws = groups if by_group else np.arange(len(rows))
        expected = newcombe(value, *(len(set(draws[labels == one])) for one in (0, 1)))[:3]
    assert same(estimate_area(labels.astype(float), probabilities, groups if by_group else None)[:3], expected)


@pytest.mark.parametrize("size", [1, 3])
def test_the_bootstrap_t_of_plain_python(size: int) -> None:
    """Of single rows and of groups, which have other numbers of rows; the draws are others, and many."""
    rng = np.random.default_rng(0)
    blocks = [rng.exponential(size=rng.integers(1, size + 1)) for _ in range(12)]
    values, groups = np.concatenate(blocks), np.repeat(np.arange(12), list(map(len, blocks)))

    def studentized(places: Iterable[int]) -> tuple[float, float]:
        drawn = [blocks[place] for place in places]
        rows, of = np.concatenate(drawn), np.repeat(np.arange(12), list(map(len, drawn)))
        return rows.mean(), error_of((rows - rows.mean()) / len(rows), of)[1]

    centre, error = studentized(range(12))
    drawn = [studentized(rng.integers(0, 12, 12)) for _ in range(2000)]
    low, *_, high = quantiles([(mean - centre) / own for mean, own in drawn], n=40)
    found = estimate_mean(values, None if size == 1 else groups)
    assert found.value == pytest.approx(centre)
    assert found[1:3] == pytest.approx((max(0, centre - high * error), centre - low * error), abs=0.3 * error)
    assert found == estimate_mean(values, None if size == 1 else groups), "the draws are the same"


def test_of_too_few_rows_or_groups_nothing_is_known_and_equal_losses_are_certain() -> None:
    values, groups = np.random.default_rng(0).random(20), np.arange(20) % 5
    assert np.isnan(estimate_mean(values[:9])[1:3]).all()
    assert np.isnan(estimate_mean(values, groups % 4)[1:3]).all()
    assert np.isfinite([estimate_mean(values[:10])[1:3], estimate_mean(values, groups)[1:3]]).all()
    assert same(estimate_mean(np.full(30, 0.1))[:3], (0.1, 0.1, 0.1))
    assert estimate_mean(np.append(np.zeros(19), 1.0), highest=1).high == 1, "many draws have no error at all"


def test_of_very_many_rows_the_interval_is_the_normal_one(monkeypatch: Patch) -> None:
    values = np.random.default_rng(0).exponential(size=2000)
    monkeypatch.setattr(metrics, "MOST_DRAWN", len(values))
    drawn = estimate_mean(values)
    monkeypatch.setattr(metrics, "MOST_DRAWN", len(values) - 1)
    value, half, normal = fmean(values), Z * scipy.stats.sem(values), estimate_mean(values)
    assert same(normal[:3], (value, value - half, value + half))
    assert (drawn.method, normal.method) == ("bootstrap-t", "normal")
    np.testing.assert_allclose(drawn[1:3], normal[1:3], atol=half / 10)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 100)), min_size=1, max_size=30))
def test_reliability_by_hand(pairs: list[tuple[int, int]]) -> None:
    """Of whole percent, whose bins are those of their tens; 100 % is in the last one."""
    labels, probabilities = np.array(pairs, float).T / [[1], [100]]
    with Patch.context() as patch:
        patch.setattr(metrics, "CALIBRATED_DRAWS", 2)
        found = metrics.reliability(labels, probabilities)
    error = 0.0
    for i in range(10):
        here = [(label, percent / 100) for label, percent in pairs if min(percent // 10, 9) == i]
        observed, predicted = (fmean(column) for column in zip(*here, strict=True)) if here else (NAN, NAN)
        assert same((found.rows[i], found.observed[i], found.predicted[i]), (len(here), observed, predicted))
        assert same(tuple(found.ends[i]), wilson(observed * len(here), len(here))[1:3] if here else (NAN, NAN))
        error += abs(observed - predicted) * len(here) / len(pairs) if here else 0
    assert found.error == pytest.approx(error, abs=1e-9)


def test_19_of_20_calibrated_models_have_a_smaller_error(monkeypatch: Patch) -> None:
    """Of labels that are drawn with just these probabilities; a model that is too sure of itself has a larger one."""
    rng = np.random.default_rng(5)
    probabilities = rng.beta(0.7, 0.7, 120)
    monkeypatch.setattr(metrics, "CALIBRATED_DRAWS", 300)
    drawn = [metrics.reliability((rng.random(120) < probabilities).astype(float), probabilities) for _ in range(100)]
    assert len({found.calibrated_error for found in drawn}) == 1, "it does not depend on labels"
    assert 90 <= sum(found.error < found.calibrated_error for found in drawn) <= 99
    unsure = metrics.reliability((rng.random(120) < 0.5).astype(float), probabilities)
    assert unsure.error > unsure.calibrated_error
