"""Operating points: thresholds that validation rows choose, and what they give on test rows."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from project.data.split import Groups
from project.evaluation.estimate import Estimate, Numbers, to_json
from project.evaluation.metrics import estimate_share, groups_at, is_right

WANTED = 0.95  # the share of one class that is right
Thresholds = Mapping[str, float]  # by what they are chosen for, the probabilities from which on a row counts as class 1


def choose_thresholds(labels: Numbers, probabilities: Numbers) -> Thresholds:
    """Choose thresholds on rows (N,), as far as they exist.

    These are the largest one whose sensitivity is WANTED, the smallest one whose specificity is, and that of Youden
    (1950), "Index for rating diagnostic tests", whose sum of both is largest. Each lies midway between two rows', so
    that no last bit of a probability matters.
    """
    values = np.unique(probabilities[~np.isnan(probabilities)])
    tried = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
    # A row without an answer is on the wrong side of all.
    zeros, ones = (np.sort(np.nan_to_num(probabilities[labels == label], nan=2 - 3 * label)) for label in (0, 1))
    sensitivity, specificity = 1 - np.searchsorted(ones, tried) / len(ones), np.searchsorted(zeros, tried) / len(zeros)
    chosen = {
        f"sensitivity {WANTED}": tried[sensitivity > WANTED - 1e-9][-1:],
        f"specificity {WANTED}": tried[specificity > WANTED - 1e-9][:1],
        "largest Youden index": tried[[np.argmax(sensitivity + specificity)]],
    }
    return {name: float(found[0]) for name, found in chosen.items() if len(found)}


def operating_points(
    thresholds: Thresholds, labels: Numbers, probabilities: Numbers, groups: Groups | None, odds: float
) -> dict[str, Any]:
    """Return what each threshold gives on rows (N,), as JSON holds it, with predictive values at odds that are not 1.

    These are the shares of rows answered 1 that are class 1 (ppv), and of those answered 0 that are class 0 (npv).
    """
    points = {}
    for name, threshold in thresholds.items():
        right, ones = is_right(labels, probabilities, threshold), labels == 1
        both = [estimate_share(right[rows], groups_at(groups, rows)) for rows in (ones, ~ones)]
        found = dict(zip(("sensitivity", "specificity"), both, strict=True))
        if odds != 1:
            missed, false = (Estimate(1 - value, 1 - high, 1 - low, method) for value, low, high, method in both)
            found["ppv"], found["npv"] = share_at(both[0], false, odds), share_at(both[1], missed, 1 / odds)
        points[name] = {"threshold": threshold, **to_json(found)}
    return points


def share_at(one: Estimate, other: Estimate, odds: float) -> Estimate:
    """Estimate the share of one kind of rows, at its odds, among two that are answered alike.

    Newcombe (2016), "MOVER-R confidence intervals for ratios and products of two independently estimated quantities".
    """
    both = odds * one.value + other.value
    low, high = lower_end(one, other, odds), 1 - lower_end(other, one, 1 / odds)
    return Estimate(odds * one.value / both if both else math.nan, low, high, "MOVER-R")


def lower_end(one: Estimate, other: Estimate, odds: float) -> float:
    part, product = one.low * (2 * one.value - one.low), one.value * other.value
    root = math.sqrt(max(0.0, product**2 - part * other.high * (2 * other.value - other.high)))
    return odds * part / (odds * part + product + root) if part else 0.0
