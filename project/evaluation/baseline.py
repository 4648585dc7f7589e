"""What a network has to be better than: guessing, and a logistic regression of the same training rows."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from project.data import NpyDataModule
from project.data.split import Groups
from project.evaluation.differences import compare_answers
from project.evaluation.estimate import Estimate, Numbers, digits, finite, format_ends, format_interval, to_json
from project.evaluation.metrics import WORDS, is_right, measure
from project.model import BinaryClassifier

MOST_ROWS, MOST_CELLS = 200_000, 2**23  # of the training rows, which take no longer than a moment then
MOST_STEPS = 200


def guess() -> dict[str, float]:
    """Return the numbers of a test, by name, of answers that are drawn: each class has the probability 0.5."""
    return {**measure(np.array([0.0, 1.0]), np.full(2, 0.5)), "sensitivity": 0.5, "specificity": 0.5}


def baselines(labels: Numbers, probabilities: Numbers, regression: Numbers, groups: Groups | None) -> dict[str, Any]:
    """Return the numbers of guessing and of a regression's probabilities for the same rows, (N,), as JSON holds them.

    With the latter is by how much the network's accuracy is above its.
    """
    right, regressions = is_right(labels, probabilities), is_right(labels, regression)
    values, (difference, *_) = measure(labels, regression), compare_answers(right, regressions, groups)
    if np.isnan(regression).all():  # It could not be fitted; as wrong answers these would say something.
        values, difference = dict.fromkeys(values, math.nan), Estimate(math.nan, math.nan, math.nan, difference.method)
    numbers = {name: finite(value) for name, value in values.items()}
    return {"guessing": guess(), "logistic_regression": {**numbers, **to_json({"accuracy_difference": difference})}}


def remarks(numbers: Mapping[str, Any]) -> list[str]:
    """Say how a test's numbers, as JSON holds them, compare with these, and for which classes they hold."""
    guessing, regression = (numbers["baselines"][name] for name in ("guessing", "logistic_regression"))
    ends = regression["accuracy_difference"], *regression["accuracy_difference_interval"]
    value, low, high = (math.nan if end is None else end for end in ends)
    said = [f"accuracy, network - logistic regression of the training rows: {format_interval(value, low, high)}"]
    for name in ("bce", "mse"):
        if (numbers[name] or 0) > guessing[name]:
            found = f"{WORDS[name]} {digits(numbers[name])} is worse than guessing, {digits(guessing[name])}"
            said.append(f"{found}: the network is surer than it is right")
    if "ppv" in (point := numbers["operating_points"]["threshold 0.5"]):
        right = [f"{digits(point[name])} ({format_ends(point, name)})" for name in ("ppv", "npv")]
        sizes = "the numbers hold for 50:50; at the sizes of the class files"
        said.append(f"{sizes} {right[0]} of the answers class 1 are right, and {right[1]} of the answers class 0")
    return said


def regress(data: NpyDataModule) -> BinaryClassifier:
    """Return a logistic regression of the training rows, or MOST_ROWS of them, as a network without a hidden layer.

    It minimizes the sum of log losses and half the squared norm of its weights, for features that are standardized;
    that is what scikit-learn's LogisticRegression does, and leaves weights finite where a plane parts the classes.
    """
    model = BinaryClassifier(data.num_features, hidden_features=1, activation="identity")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of odd features fit has warned.
        model.standardization.take(data.classes.moments)
    most = min(MOST_ROWS, MOST_CELLS // data.num_features)
    subset = data.classes.gather("train", prepare=model.standardized, most=most)
    x, y = subset.features.double(), subset.labels[:, 0].double()
    weights = torch.zeros(1 + x.shape[1], dtype=torch.float64, requires_grad=True)  # the intercept comes first
    optimizer: Any = torch.optim.LBFGS([weights], max_iter=MOST_STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        logits = x @ weights[1:] + weights[0]
        mean = (softplus(logits) - y * logits).mean() + weights[1:].square().sum() / (2 * len(y))
        (weights.grad,) = torch.autograd.grad(mean, weights)
        return mean.item()

    optimizer.step(loss)
    state = {"hidden.weight": weights[None, 1:], "hidden.bias": weights[:1]}
    model.net.load_state_dict({**state, "output.weight": torch.ones(1, 1), "output.bias": torch.zeros(1)})
    return model
