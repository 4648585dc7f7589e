"""Differences of two options over splits, and of two networks on the same rows, with intervals and tests."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from project.data.split import Groups
from project.evaluation.area import compare_areas
from project.evaluation.estimate import LEVEL, Estimate, Flags, Numbers, ends, format_interval, format_p
from project.evaluation.metrics import estimate_mean, is_right, largest_loss, row_losses
from project.evaluation.student import clustered_error, student_t, two_sided


class Difference(NamedTuple):
    """A mean difference over splits, the ends of its interval and of the naive one, and the p value of the former."""

    mean: float
    low: float
    high: float
    naive_low: float
    naive_high: float
    p: float
    splits: int
    level: float


def corrected(differences: Numbers, ratio: float, comparisons: int = 1) -> Difference:
    """Estimate how much two options differ from the difference, (S,), in each of S random splits of the same rows.

    Nadeau and Bengio (2003), "Inference for the generalization error": splits share training rows, so the variance of
    the mean is taken for (1/S + ratio) s^2, where ratio is that of test rows to training rows, with S - 1 degrees of
    freedom, and not for s^2 / S as in the naive t interval. By Bonferroni, the intervals of several comparisons all
    hold at once in 95 of 100 studies: one that leaves out 0 has a p of Holm's below 0.05. Ends and p are NaN of fewer
    than two splits, if one is not finite, or if all are equal: of few rows, that is chance and not certainty.
    """
    splits, mean, level = len(differences), float(np.mean(differences)), 1 - (1 - LEVEL) / comparisons
    if splits < 2 or not np.ptp(differences) > 1e-12:  # what rounding leaves of equal ones
        return Difference(mean, math.nan, math.nan, math.nan, math.nan, math.nan, splits, level)
    deviation, t = float(np.std(differences, ddof=1)), student_t((1 + level) / 2, splits - 1)
    naive, error = deviation * math.sqrt(1 / splits), deviation * math.sqrt(1 / splits + ratio)
    p = two_sided(mean / error, splits - 1)
    return Difference(mean, *ends(mean, t * error), *ends(mean, t * naive), p, splits, level)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p values of several comparisons, so that at most one study in 20 has any false p below 0.05.

    Holm (1979), "A simple sequentially rejective multiple test procedure". A NaN stays one, and counts as a comparison.
    """
    values = np.array(p, np.float64)
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return list(map(float, adjusted))


def sentence(found: Difference, names: tuple[str, str], measure: str, p: float, margin: float | None = None) -> str:
    """Say whether two options by their names differ in a measure; ``p`` is Holm's, of one of several comparisons.

    With a margin, the smallest difference that matters, it also says whether a larger one is ruled out: where the
    interval lies within the margin to either side, both one-sided tests (Schuirmann 1987) reject all that is beyond it.
    """
    both, difference = " and ".join(names), " - ".join(names)
    over = f"over {found.splits} split{'' if found.splits == 1 else 's'}"
    if not math.isfinite(found.mean):
        return f"{over} {both} cannot be compared in {measure}: a network's is not finite"
    if math.isnan(found.low):
        return f"{over} {difference} = {found.mean:+.3f} in {measure}; an interval needs two splits that differ"
    bound = max(abs(found.low), abs(found.high))
    if p < 1 - LEVEL:
        verdict = f"{over} {both} differ in {measure}"
    elif margin is None:
        verdict = f"{over} no difference in {measure} was shown between {both}"
    elif bound <= margin:
        verdict = f"{over} the difference in {measure} between {both} is no larger than {bound:.2g} either way"
    else:
        possible = f"anything from {found.low:+.2g} to {found.high:+.2g} is possible"
        verdict = f"{found.splits} splits cannot tell whether {both} differ in {measure}, {possible}"
    return f"{verdict}: {difference} = {format_interval(*found[:3], found.level)}, Holm {format_p(p)}"


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
    value, number = float(each.mean()), len(np.unique(groups))
    low, high, p = -1.0, 1.0, 1.0
    if number > 1:
        error, quantile = clustered_error((each - value) / len(each), groups)
        low, high = ends(value, quantile * error, -1, 1)
        p = two_sided(value / error, number - 1) if error else float(value == 0)
        if not error:  # All groups agree, which as many rows could do by chance.
            a, b = (number * float((each == side).mean()) for side in (1, -1))
            _, low, high, _ = bonett_price(a, b, number)
    return Estimate(value, low, high, "t"), f"t test over {number} groups", p


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


def bonett_price(only_a: float, only_b: float, rows: int) -> Estimate:
    """Estimate the difference a - b of the shares that two networks get right of the same rows.

    Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data": one row is added to either kind that a single network gets right.
    """
    a, b = (only_a + 1) / (rows + 2), (only_b + 1) / (rows + 2)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt((a + b - (a - b) ** 2) / (rows + 2))
    return Estimate((only_a - only_b) / rows, *ends(a - b, half, -1, 1), "Bonett-Price")
