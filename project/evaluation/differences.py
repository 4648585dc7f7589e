"""Whether two options, or two networks, differ: differences with their intervals and tests, from arrays of numbers."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from project.data.split import Groups

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEVEL = 0.95  # of an interval that stands alone

# Takahasi and Mori (1974), "Double exponential formulas for numerical integration": the trapezoidal rule in s, for
# x = exp(pi / 2 sinh(s)) from 0 to infinity. Its constant factor cancels where one integral is divided by another.
_S = np.arange(-4.5, 4.5, 1 / 32)
REACH = np.exp(np.pi / 2 * np.sinh(_S))
WEIGHTS = REACH * np.cosh(_S)


def two_sided(statistic: float, freedom: float) -> float:
    """Return the probability, in [0, 1], that Student's t is at least as far from 0 as a statistic.

    The density is integrated numerically from the statistic and from 0, and the one divided by the other. At 1 to 10^6
    degrees of freedom the result has 12 digits.
    """

    def beyond(start: float) -> float:
        return float((np.exp(-(freedom + 1) / 2 * np.log1p((start + REACH) ** 2 / freedom)) * WEIGHTS).sum())

    return beyond(abs(statistic)) / beyond(0)


def student_t(share: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution at a share in (0, 1), by bisection of ``two_sided``."""
    outside, low, high = 2 * min(share, 1 - share), 0.0, 1.0
    while two_sided(high, freedom) > outside:
        low, high = high, 2 * high
    return math.copysign(bisect(lambda t: two_sided(t, freedom) >= outside, low, high), share - 0.5)


def bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return, to the last digit, up to where something holds that does at the low end and not at the high one."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def clustered(parts: Numbers, groups: Groups) -> tuple[float, float]:
    """Return the standard error of a sum over rows whose groups are independent, and Student's t at 97.5 %.

    The squared error is G / (G - 1) times the sum over the G groups of the square of what each of them adds; there are
    G - 1 degrees of freedom. Both are NaN of a single group.

    Args:
        parts: (N,) what each row adds, less its expectation; they sum to 0. Of a mean p of c they are (c - p) / N.
        groups: (N,) the group of each row.
    """
    _, places = np.unique(groups, return_inverse=True)
    sums = np.bincount(places, parts)
    if len(sums) < 2:
        return math.nan, math.nan
    error = math.sqrt(len(sums) / (len(sums) - 1) * float(np.square(sums).sum()))
    return error, student_t((1 + LEVEL) / 2, len(sums) - 1)


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


def corrected(differences: Numbers, test_rows: int, train_rows: int, level: float = LEVEL) -> Difference:
    """Estimate how much two options differ from the difference in each of S random splits of the same rows.

    Nadeau and Bengio (2003), "Inference for the generalization error": splits share training rows, so the variance of
    the mean is taken for (1/S + n_test/n_train) s^2, with S - 1 degrees of freedom. The naive t interval takes it for
    s^2 / S, as if splits were independent, and is too narrow.

    Args:
        differences: (S,), each the mean over the seeds of its split.
        test_rows: n_test, the rows that a split tests on.
        train_rows: n_train, the rows that it trains on.
        level: in (0, 1), how often an interval should hold the true difference.

    Returns:
        Ends and p are NaN of fewer than two splits, or if a difference is not finite. The interval of differences that
        are all the same is that point.
    """
    splits, mean, nothing = len(differences), float(np.mean(differences)), math.nan
    if splits < 2 or not math.isfinite(mean):
        return Difference(mean, nothing, nothing, nothing, nothing, nothing, splits, level)
    if np.ptp(differences) == 0:
        same = float(differences[0])
        return Difference(same, same, same, same, same, float(same == 0), splits, level)
    deviation, t = float(np.std(differences, ddof=1)), student_t((1 + level) / 2, splits - 1)
    naive, error = deviation * math.sqrt(1 / splits), deviation * math.sqrt(1 / splits + test_rows / train_rows)
    ends = mean - t * error, mean + t * error, mean - t * naive, mean + t * naive
    return Difference(mean, *ends, two_sided(mean / error, splits - 1), splits, level)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p values of several comparisons, so that at most one study in 20 has any false p below 0.05.

    Holm (1979), "A simple sequentially rejective multiple test procedure". A NaN stays one, and counts as a comparison.
    """
    values = np.array(p, np.float64)
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return [float(value) for value in adjusted]


def simultaneous(comparisons: int) -> float:
    """Return the level of each of several intervals that are all to hold at once in 95 of 100 studies.

    This is Bonferroni's 1 - 0.05 / comparisons, because Holm's procedure has no simple two-sided intervals of its own.
    They are a little wider than its p values need: one that leaves out 0 always has an adjusted p below 0.05, and in
    rare cases one that holds 0 has, too.
    """
    return 1 - (1 - LEVEL) / comparisons


def sentence(found: Difference, names: tuple[str, str], measure: str, p: float | None = None) -> str:
    """Say whether two options by their names differ in a measure, as in test accuracy.

    ``p`` is Holm's where it is one of several comparisons. That no difference was shown does not say that there is
    none: the interval says how large it may be.
    """
    first, second = names
    over = f"over {found.splits} split{'s' * (found.splits != 1)}"
    if not math.isfinite(found.mean):
        return f"{over} {first} and {second} cannot be compared in {measure}: a network's is not finite"
    if found.splits < 2:
        return f"{over} {first} - {second} = {found.mean:+.3f} in {measure}; an interval needs two splits or more"
    shown = (found.p if p is None else p) < 1 - LEVEL
    verdict = f"{first} and {second} differ" if shown else f"no difference was shown between {first} and {second}"
    numbers = interval(found.mean, found.low, found.high, found.level) + ("" if p is None else f", Holm {p_value(p)}")
    return f"{over} {verdict} in {measure}: {first} - {second} = {numbers}"


def interval(value: float, low: float, high: float, level: float = LEVEL) -> str:
    """Return "-0.002, 95 % [-0.022, +0.018]": three decimals, or more if the interval's width needs them."""
    scale = high - low or abs(value) or 1
    decimals = max(3, 1 - math.floor(math.log10(scale)))
    middle, *ends = (f"{number:+.{decimals}f}" for number in (value, low, high))
    return f"{middle}, {100 * level:.3g} % [{', '.join(ends)}]"


def p_value(p: float) -> str:
    """Return "p = 0.031", or "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def mcnemar(right_a: Flags, right_b: Flags) -> tuple[int, int, float]:
    """Count the rows that one of two networks alone gets right, and test whether both are as likely to.

    McNemar (1947), "Note on the sampling error of the difference between correlated proportions", in its exact form:
    of rows that only one gets right, the number that a gets right is binomial with a chance of one half. Both arguments
    are bool (N,), of the same rows; the third result is the two-sided p in [0, 1].
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    n = only_a + only_b
    down = np.arange(n // 2, 0, -1)
    # These are the binomial coefficients from the middle one down, in units of it: however many rows, none overflows.
    terms = np.cumprod(np.concatenate([[1.0], down / (n - down + 1)]))
    whole = 2 * terms.sum() - (terms[0] if n % 2 == 0 else 0)
    return only_a, only_b, min(1.0, float(2 * terms[n // 2 - min(only_a, only_b) :].sum() / whole))


def paired(right_a: Flags, right_b: Flags) -> tuple[float, float, float]:
    """Return the difference a - b of the shares that two networks get right of the same rows, and its 95 % interval.

    Both arguments are bool (N,). Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of
    binomial proportions based on paired data": one row is added to either kind that a single network gets right. The
    exact McNemar test is the more cautious one, so that its p can be above 0.05 where this leaves out 0.
    """
    rows, only_a, only_b = len(right_a), int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    a, b = (only_a + 1) / (rows + 2), (only_b + 1) / (rows + 2)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt((a + b - (a - b) ** 2) / (rows + 2))
    return (only_a - only_b) / rows, max(-1.0, a - b - half), min(1.0, a - b + half)


def paired_by_group(right_a: Flags, right_b: Flags, groups: Groups) -> tuple[float, float, float, float]:
    """Return the same difference and interval, and the p value of Student's t, where whole groups are independent.

    All arguments are (N,). Nothing is known from a single group: its interval is [-1, 1], and its p is 1.
    """
    each = right_a.astype(np.float64) - right_b
    difference, freedom = float(each.mean()), len(np.unique(groups)) - 1
    if not freedom:
        return difference, -1.0, 1.0, 1.0
    error, quantile = clustered((each - difference) / len(each), groups)
    p = two_sided(difference / error, freedom) if error else float(difference == 0)
    return difference, max(-1.0, difference - quantile * error), min(1.0, difference + quantile * error), p
