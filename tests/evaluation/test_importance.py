"""Importance of features: by hand, and that of a linear model, which is known."""

import math

import numpy as np
import pytest

from project.evaluation import importance
from project.evaluation.estimate import Numbers
from project.evaluation.student import clustered_error

WEIGHTS = np.array([1.0, 0.7, 0.0])
Patch = pytest.MonkeyPatch


def answer(rows: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-rows @ WEIGHTS))


def make_rows(rng: np.random.Generator, rows: int, groups: int | None) -> tuple[Numbers, Numbers, Numbers | None]:
    """Return standard normal features, half of whose variance is between groups, if any; the model is always right."""
    features, of = rng.normal(size=(rows, 3)), None
    if groups:
        of = np.arange(rows) % groups
        features = (features + rng.normal(size=(groups, 3))[of]) / math.sqrt(2)
    return features, (features @ WEIGHTS > 0).astype(float), of


def test_a_loop_by_hand_finds_the_same() -> None:
    """Of 12 rows, the wrong ones among them; without a group for each, fewer than 10 rows have no interval."""
    rng = np.random.default_rng(3)
    features, labels, orders = rng.normal(size=(12, 3)), np.repeat([0.0, 1.0], 6), np.random.default_rng(0)
    permutations = [orders.permutation(12) for _ in range(30)]
    found = importance.permutation_importance(answer, features, labels)
    for column in range(3):
        lost, added = [], []
        for order in permutations:
            for row, (other, label) in enumerate(zip(order, labels, strict=True)):
                changed = features[row].copy()
                changed[column] = features[other, column]
                before, after = (abs(1 - label - answer(each)) for each in (features[row], changed))
                lost.append(float(before >= 0.5) - float(after >= 0.5))
                added.append(math.log(before) - math.log(after))
        assert found[column]["accuracy"].value == pytest.approx(np.mean(lost))
        assert found[column]["bce"].value == pytest.approx(np.mean(added))
    unused = found[2]["bce"]
    assert unused[:3] == pytest.approx((0, 0, 0), abs=1e-12), "what the model does not look at is worth nothing"
    few = importance.permutation_importance(answer, features[3:9], labels[3:9])[0]["accuracy"]
    grouped = importance.permutation_importance(answer, features, labels, np.arange(12) % 4)[0]["accuracy"]
    assert np.isnan([few.low, few.high, grouped.low, grouped.high]).all()
    assert clustered_error(np.zeros(12), np.arange(12))[1] == pytest.approx(2.201, abs=1e-3)


@pytest.mark.parametrize(("rows", "groups"), [(60, None), (200, 20)])
def test_intervals_hold_what_a_linear_model_loses(rows: int, groups: int | None, monkeypatch: Patch) -> None:
    """Logits before and after, (w x) and (w x'), correlate by 1 - w_k² / w²: signs differ in arccos of it / pi."""
    monkeypatch.setattr(importance, "PERMUTATIONS", 10)
    rng, held, repeats = np.random.default_rng(1), np.zeros(2), 100
    losses = np.arccos(1 - WEIGHTS[:2] ** 2 / (WEIGHTS @ WEIGHTS)) / np.pi
    for _ in range(repeats):
        found = importance.permutation_importance(answer, *make_rows(rng, rows, groups))[:2]
        low, high = np.array([each["accuracy"][1:3] for each in found]).T
        held += (low <= losses) & (losses <= high)
    assert (held / repeats > 0.9).all()
