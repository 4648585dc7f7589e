"""Guessing and the logistic regression beside a test, against SciPy and statsmodels."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import statsmodels.api as sm

from project.data import NpyDataModule
from project.evaluation import baseline, evaluate
from project.evaluation.estimate import Numbers
from tests.conftest import Write

Patch = pytest.MonkeyPatch


def test_guessing_by_hand() -> None:
    shares = dict.fromkeys(("accuracy", "sensitivity", "specificity", "auc"), 0.5)
    assert baseline.guess() == pytest.approx({**shares, "bce": math.log(2), "mse": 0.25})


@pytest.mark.parametrize(("rows", "width", "apart"), [(200, 3, 0.5), (60, 1, 0.5), (60, 1, 30.0), (20, 40, 0.5)])
def test_the_regression_is_the_one_that_others_find(write_classes: Write, rows: int, width: int, apart: float) -> None:
    """Also of classes that a plane parts, of more features than rows, and with a constant feature."""
    rng = np.random.default_rng(0)
    classes = rng.normal(1e5, 3, (2, rows, width)) + np.array([0, apart])[:, None, None]
    if width > 1:
        classes[:, :, 1] = 7
    data = NpyDataModule(write_classes(*classes))
    train = [of[rows] for of, rows in zip(classes, data.classes.row_numbers("train"), strict=True)]
    x, y = np.concatenate(train), np.repeat([0.0, 1.0], [len(part) for part in train])
    x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)

    def loss(weights: Numbers) -> tuple[float, Numbers]:
        logits, plain = x @ weights[1:] + weights[0], np.append(0, weights[1:])
        slope = (scipy.special.expit(logits) - y) @ np.insert(x, 0, 1, 1) + plain
        return (np.logaddexp(0, logits) - y * logits).sum() + plain @ plain / 2, slope

    found = scipy.optimize.minimize(loss, np.zeros(1 + width), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    expected = scipy.special.expit(x @ found[1:] + found[0])
    answers = baseline.regress(data).predict_proba(np.concatenate(train))[:, 1]
    np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_of_many_rows_some_are_drawn_and_the_penalty_hardly_counts(write_classes: Write, monkeypatch: Patch) -> None:
    rng = np.random.default_rng(0)
    data = NpyDataModule(write_classes(*(rng.normal(shift, 1, (5000, 2)) for shift in (0, 0.5))))
    x, y = (part.numpy().astype(float) for part in data.train)
    whole = sm.Logit(y[:, 0], sm.add_constant(x)).fit(disp=0).predict(sm.add_constant(x))
    np.testing.assert_allclose(baseline.regress(data).predict_proba(x)[:, 1], whole, atol=1e-3)
    monkeypatch.setattr(baseline, "MOST_ROWS", 1000)
    drawn = data.classes.gather("train", most=1000)
    assert (len(drawn.labels), int(drawn.labels.sum()), drawn.rows) == (1000, 500, 1000)
    part = sm.Logit(drawn.labels.numpy()[:, 0], sm.add_constant(drawn.features.numpy())).fit(disp=0)
    answers = baseline.regress(data).predict_proba(x)[:, 1]
    np.testing.assert_allclose(answers, part.predict(sm.add_constant(x)), atol=3e-3)
    assert abs(answers - whole).max() > 0.01


def test_its_numbers_are_those_of_a_test_and_unknown_where_it_answers_nothing() -> None:
    rng, labels = np.random.default_rng(0), np.repeat([0.0, 1.0], 20)
    a, b = rng.random((2, 40))
    found = baseline.baselines(labels, a, b, None)["logistic_regression"]
    of_a, of_b = (np.mean((each > 0.5) == labels) for each in (a, b))
    assert found.pop("accuracy_difference") == pytest.approx(of_a - of_b)
    low, high = found.pop("accuracy_difference_interval")
    assert -1 < low < high < 1
    assert found == pytest.approx({name: each.value for name, each in evaluate(labels, b).items()})
    lost = baseline.baselines(labels, a, np.full(40, math.nan), None)["logistic_regression"]
    assert lost == {**dict.fromkeys([*found, "accuracy_difference"]), "accuracy_difference_interval": [None, None]}
