"""Student's t distribution, and the error of a sum over rows that come in groups."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from project.data.split import Groups
from project.evaluation.estimate import LEVEL, Numbers

# Takahasi and Mori (1974), "Double exponential formulas for numerical integration": the trapezoidal rule in s, for
# x = exp(pi / 2 sinh(s)) from 0 to infinity. Its constant factor cancels where one integral is divided by another.
_S = np.arange(-4.5, 4.5, 1 / 32)
_NODES = np.exp(np.pi / 2 * np.sinh(_S))
_WEIGHTS = _NODES * np.cosh(_S)


def two_sided(statistic: float, freedom: float) -> float:
    """Return the probability, to 12 digits, that Student's t of 1 to 10^6 degrees of freedom is as far from 0."""

    def integral(start: float) -> float:
        density = np.exp(-(freedom + 1) / 2 * np.log1p((start + _NODES) ** 2 / freedom))
        return float((density * _WEIGHTS).sum())

    return integral(abs(statistic)) / integral(0)


@cache
def student_t(share: float, freedom: float) -> float:
    """Return the quantile of Student's t at a share in (0.5, 1)."""
    outside, low, high = 2 * (1 - share), 0.0, 1.0
    while two_sided(high, freedom) > outside:
        low, high = high, 2 * high
    return bisect(lambda t: two_sided(t, freedom) >= outside, low, high)


def bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return, to the last digit, up to where something holds that does at the low end and not at the high one."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def clustered_error(parts: Numbers, groups: Groups) -> tuple[float, float]:
    """Return the standard error of a sum over rows of independent groups, and Student's t at 97.5 %.

    ``parts``, (N,), are what each row adds, less its expectation: of a mean p of c, (c - p) / N. The squared error is
    G / (G - 1) times the sum over the G groups, (N,), of the square of what each adds. Both are NaN of a single group.
    """
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], parts)
    if len(sums) < 2:
        return math.nan, math.nan
    error = math.sqrt(len(sums) / (len(sums) - 1) * float(np.square(sums).sum()))
    return error, student_t((1 + LEVEL) / 2, len(sums) - 1)
