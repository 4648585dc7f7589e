"""Differences of two networks on the same rows, with intervals and a test."""

import math
from statistics import NormalDist

import numpy as np

from project.data.split import Groups
from project.evaluation.area import compare_areas
from project.evaluation.estimate import LEVEL, Estimate, Flags, Numbers, ends
from project.evaluation.metrics import estimate_mean, is_right, largest_loss, row_losses
from project.evaluation.student import clustered_error, two_sided


def compare_probabilities(labels: Numbers, a: Numbers, b: Numbers, groups: Groups | None = None) -> dict[str, Estimate]:
    """Estimate by how much accuracy, AUC and losses of a's probabilities, (N,), are above those of b's, by name."""
    accuracy, *_ = compare_answers(is_right(labels, a), is_right(labels, b), groups)
    of_a, of_b = row_losses(labels, a), row_losses(labels, b)
    most = {name: largest_loss(name) for name in of_a}
    losses = {name: estimate_mean(of_a[name] - of_b[name], groups, -most[name], most[name]) for name in most}
    return {"accuracy": accuracy, "auc": compare_areas(labels, a, b, groups), **losses}


def compare_answers(right_a: Flags, right_b: Flags, groups: Groups | None = None) -> tuple[Estimate, str, float]:
    """Return by how much more of the same rows, bool (N,), a gets right than b, the test of that, and its p.

    The exact test is more cautious than the interval: its p can be above 0.05 where that leaves out 0. If ``groups``
    (N,) are given, whole ones are independent, and nothing is known from a single one.
    """
    each = right_a.astype(np.float64) - right_b
    if groups is None:
        only_a, only_b = int((each > 0).sum()), int((each < 0).sum())
        return bonett_price(only_a, only_b, len(each)), "exact McNemar test", mcnemar(only_a, only_b)
    value, freedom = float(each.mean()), len(np.unique(groups)) - 1
    low, high, p = -1.0, 1.0, 1.0
    if freedom:
        error, quantile = clustered_error((each - value) / len(each), groups)
        low, high = ends(value, quantile * error, -1, 1)
        p = two_sided(value / error, freedom) if error else float(value == 0)
    return Estimate(value, low, high, "t by group"), f"t test over {freedom + 1} groups", p


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided p in [0, 1] of so many rows that one of two networks alone gets right.

    McNemar (1947), "Note on the sampling error of the difference between correlated proportions", in its exact form:
    of rows that only one gets right, the number that a gets right is binomial with a chance of one half.
    """
    n = only_a + only_b
    down = np.arange(n // 2, 0, -1)
    # These are the binomial coefficients from the middle one down, in units of it: however many rows, none overflows.
    terms = np.cumprod(np.concatenate([[1.0], down / (n - down + 1)]))
    whole = 2 * terms.sum() - (terms[0] if n % 2 == 0 else 0)
    return min(1.0, float(2 * terms[n // 2 - min(only_a, only_b) :].sum() / whole))


def bonett_price(only_a: int, only_b: int, rows: int) -> Estimate:
    """Estimate the difference a - b of the shares that two networks get right of the same rows.

    Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data": one row is added to either kind that a single network gets right.
    """
    a, b = (only_a + 1) / (rows + 2), (only_b + 1) / (rows + 2)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt((a + b - (a - b) ** 2) / (rows + 2))
    return Estimate((only_a - only_b) / rows, *ends(a - b, half, -1, 1), "Bonett-Price")
