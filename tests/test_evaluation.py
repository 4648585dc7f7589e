"""The numbers of a test equal those of plain counting, of the formulas' sources, and of simulations."""

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project import evaluation
from project.evaluation import Numbers, as_json, delong, evaluate, mean, midranks, reliability, roc, wilson

few = st.sampled_from([0.0, 0.2, 0.4999, 0.5, 0.7, 1.0])
some = st.lists(few, min_size=2, max_size=9).map(np.array)


def counted(labels: Numbers, probabilities: Numbers, label: int) -> tuple[int, int]:
    """Return how many rows of a class are answered rightly, and how many there are; 0.5 speaks for class 1."""
    of_class = [p for y, p in zip(labels, probabilities, strict=True) if y == label]
    return sum((p >= 0.5) == (label == 1) for p in of_class), len(of_class)


@given(some, some)
def test_numbers_are_those_of_counting(negative: Numbers, positive: Numbers) -> None:
    labels, p = np.repeat([0.0, 1.0], [len(negative), len(positive)]), np.concatenate([negative, positive])
    found = evaluate(labels, p)
    (zeros, n), (ones, m) = counted(labels, p, 0), counted(labels, p, 1)
    shares = {"accuracy": (zeros + ones, n + m), "sensitivity": (ones, m), "specificity": (zeros, n)}
    for name, (right, rows) in shares.items():
        assert found[name] == wilson(right, rows)
        assert found[name].value == right / rows
    certain = [q if y else 1 - q for y, q in zip(labels, p, strict=True)]
    assert found["bce"].value == pytest.approx(-sum(math.log(max(q, 1e-7)) for q in certain) / len(p), abs=1e-9)
    assert found["mse"].value == pytest.approx(sum((1 - q) ** 2 for q in certain) / len(p), abs=1e-9)
    wins = [(a > b) + (a == b) / 2 for a, b in product(positive, negative)]
    assert found["auc"].value == pytest.approx(sum(wins) / len(wins), abs=1e-9)


@given(some, some)
def test_delongs_interval_is_that_of_its_source(negative: Numbers, positive: Numbers) -> None:
    """By DeLong's placement values: of each row, how many of the other class it is above."""
    area, low, high, _ = delong(negative, positive)
    above = np.array([[(a > b) + (a == b) / 2 for b in negative] for a in positive])
    of_positive, of_negative = above.mean(1), above.mean(0)
    variance = sum((v - area) ** 2 for v in of_positive) / (len(positive) - 1) / len(positive)
    variance += sum((v - area) ** 2 for v in of_negative) / (len(negative) - 1) / len(negative)
    half = 1.959963984540054 * math.sqrt(variance)
    assert (low, high) == (pytest.approx(max(0, area - half), abs=1e-9), pytest.approx(min(1, area + half), abs=1e-9))


@given(st.integers(1, 10**7), st.floats(0, 1))
def test_wilsons_ends_are_the_roots_of_its_equation(rows: int, share: float) -> None:
    successes = round(share * rows)
    value, *ends, _ = wilson(successes, rows)
    assert value == successes / rows
    assert 0 <= ends[0] <= value <= ends[1] <= 1
    for end in ends:
        assert (value - end) ** 2 == pytest.approx(1.959963984540054**2 * end * (1 - end) / rows, abs=1e-9)
    assert (wilson(0, rows)[1], wilson(rows, rows)[2]) == (0, 1)


def test_a_row_without_an_answer_is_wrong_and_leaves_no_losses() -> None:
    found = evaluate(np.array([0.0, 0, 1, 1]), np.array([0.1, np.nan, np.nan, 0.9]))
    assert [found[name].value for name in ("accuracy", "sensitivity", "specificity")] == [0.5, 0.5, 0.5]
    values = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert [values[name] for name in ("auc", "bce", "mse")] == [None] * 3
    assert values["mse_interval"] == values["auc_interval"] == [None, None]
    assert values["accuracy_interval"] == list(found["accuracy"][1:3])
    assert math.isnan(delong(np.array([0.1]), np.array([0.2, 0.3])).low), "one row of a class has no variance"


def test_intervals_of_means_hold_what_they_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "DRAWS", 300)
    rng = np.random.default_rng(0)
    drawn = [mean(rng.exponential(size=60)) for _ in range(300)]
    assert 0.88 <= sum(low <= 1 <= high for _, low, high, _ in drawn) / 300 <= 0.98
    values = rng.exponential(size=500)
    assert mean(values) == mean(values)
    monkeypatch.setattr(evaluation, "MOST_DRAWN", 499)
    by_formula, by_draws = mean(values), drawn[0]
    assert (by_formula.method, by_draws.method) == ("normal", "bootstrap")
    assert by_formula.high - by_formula.value == pytest.approx(1.96 * values.std() / 500**0.5, rel=1e-4)


@given(st.lists(few, min_size=1, max_size=30).map(np.array))
def test_midranks_are_mean_places_in_order(values: Numbers) -> None:
    assert midranks(values).tolist() == [(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values]


@given(st.lists(st.tuples(st.booleans(), few), min_size=1, max_size=40))
def test_reliability_counts_each_row_in_its_bin(rows: list[tuple[bool, float]]) -> None:
    labels, p = (np.array(values, np.float64) for values in zip(*rows, strict=True))
    found, error = reliability(labels, p), 0.0
    for i in range(10):
        inside = [(y, q) for y, q in rows if i / 10 <= q < (i + 1) / 10 or (i, q) == (9, 1)]
        assert found.rows[i] == len(inside)
        if inside:
            shares = np.mean(inside, axis=0)
            assert (found.observed[i], found.predicted[i]) == (pytest.approx(shares[0]), pytest.approx(shares[1]))
            error += len(inside) / len(rows) * abs(shares[0] - shares[1])
    assert found.error == pytest.approx(error)


def test_calibrated_probabilities_err_as_much_as_is_said_they_would() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random(300)
    errors = [reliability((rng.random(300) < probabilities).astype(float), probabilities) for _ in range(30)]
    assert np.mean([each.error for each in errors]) == pytest.approx(errors[0].error_if_calibrated, rel=0.15)


def test_the_roc_curve_passes_through_each_threshold() -> None:
    labels, p = np.array([0.0, 0, 1, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.6, 0.8, 0.9])
    false, true = roc(labels, p)
    points = {(float((p[labels == 0] >= t).mean()), float((p[labels == 1] >= t).mean())) for t in (2, *p)}
    rounded = {(round(x, 6), round(y, 6)) for x, y in zip(false.tolist(), true.tolist(), strict=True)}
    assert rounded == {(round(x, 6), round(y, 6)) for x, y in points}
