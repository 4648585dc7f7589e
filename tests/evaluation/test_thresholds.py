"""Operating points: against a search of all thresholds, what defines the ends of predictive values, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.evaluation.estimate import Numbers
from project.evaluation.metrics import wilson
from project.evaluation.thresholds import choose_thresholds, operating_points

PROBABILITY = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, math.nan]) | st.floats(0, 1, width=32)
SOME = st.lists(PROBABILITY, min_size=1, max_size=25)


def shares(zeros: Numbers, ones: Numbers, threshold: float) -> tuple[float, float]:
    return float(np.mean(ones >= threshold)), float(np.mean(zeros < threshold))


@given(SOME, SOME)
def test_the_chosen_thresholds_are_the_best_of_all(below: list[float], above: list[float]) -> None:
    zeros, ones = np.array(below), np.array(above)
    chosen = choose_thresholds(np.repeat([0.0, 1.0], [len(zeros), len(ones)]), np.concatenate([zeros, ones]))
    reached = {name: shares(zeros, ones, threshold) for name, threshold in chosen.items()}
    places = [0.0, *(math.nextafter(p, side) for p in {*below, *above} if 0 <= p < 1 for side in (0, 2)), 1.0]
    every = [shares(zeros, ones, place) for place in places]
    for number, name in enumerate(("sensitivity 0.95", "specificity 0.95")):
        good = [each[1 - number] for each in every if each[number] >= 0.95]
        assert bool(good) == (name in reached)
        assert not good or (reached[name][number] >= 0.95 and reached[name][1 - number] == max(good))
    assert sum(reached["largest Youden index"]) == pytest.approx(max(map(sum, every)))
    assert all(0 <= threshold <= 1 for threshold in chosen.values())


@pytest.mark.parametrize(("hits", "alarms"), [(26, 7), (30, 7), (26, 0), (0, 7), (30, 0), (0, 0)])
def test_ends_of_predictive_values_lie_where_those_of_the_weighted_difference_reach_0(hits: int, alarms: int) -> None:
    """At the odds of class 1 among the rows that are answered alike, by the squares of both shares' own ends."""
    answers = np.concatenate([np.arange(40) >= 40 - alarms, np.arange(30) >= 30 - hits]).astype(float)
    found = operating_points({"x": 0.7}, np.repeat([0.0, 1.0], [40, 30]), answers, None, 0.25)["x"]
    (s, *of_s, _), (t, *of_t, _) = wilson(hits, 30), wilson(alarms, 40)
    assert (found["threshold"], found["sensitivity"], found["specificity"]) == pytest.approx((0.7, s, 1 - t))
    assert found["specificity_interval"] == pytest.approx((1 - of_t[1], 1 - of_t[0]))
    if hits + alarms == 0:
        assert (found["ppv"], found["ppv_interval"]) == (None, [0, 1])
    for name, one, other, odds in (
        ("ppv", (s, *of_s), (t, *of_t), 0.25),
        ("npv", (1 - t, 1 - of_t[1], 1 - of_t[0]), (1 - s, 1 - of_s[1], 1 - of_s[0]), 4),
    ):
        (x, *of_x), (y, *of_y) = one, other
        if x or y:
            assert found[name] == pytest.approx(odds * x / (odds * x + y))
        for end, side in zip(found[f"{name}_interval"], (0, 1), strict=True):
            if 0 < end < 1:
                ratio = end / (1 - end) / odds
                assert abs(x - ratio * y) == pytest.approx(math.hypot(x - of_x[side], ratio * (y - of_y[1 - side])))


def test_predictive_values_are_left_out_where_files_have_equal_sizes_and_by_group_intervals_are_wider() -> None:
    rng, labels = np.random.default_rng(0), np.repeat([0.0, 1.0], 60)
    groups = np.arange(120) % 12
    answers = (labels + rng.normal(0, 0.5, 120) + rng.normal(0, 0.5, 12)[groups] > 0.5).astype(float)
    names = operating_points({"x": 0.5}, labels, answers, None, 1)["x"]
    assert list(names)[::2] == ["threshold", "sensitivity_interval", "specificity_interval"]
    rows, whole = (operating_points({"x": 0.5}, labels, answers, of, 0.1)["x"] for of in (None, groups))
    for name in "sensitivity", "specificity", "ppv", "npv":
        assert np.ptp(whole[f"{name}_interval"]) > np.ptp(rows[f"{name}_interval"])
