"""The area under the ROC curve, and the difference of two networks' areas on the same rows."""

import math

import numpy as np
import torch
from torchmetrics.functional.classification import binary_roc

from project.data.split import Groups
from project.evaluation.estimate import LEVEL, Estimate, Flags, Numbers, Z, ends
from project.evaluation.student import bisect, clustered_error, student_t

MOST_THRESHOLDS = 20_000  # of a curve


def estimate_area(labels: Numbers, probabilities: Numbers, groups: Groups | None = None) -> Estimate:
    """Estimate how often a row of class 1 has a larger probability than one of class 0, a tie counting half.

    DeLong, DeLong and Clarke-Pearson (1988), by the ranks of Sun and Xu (2014), "Fast implementation of DeLong's
    algorithm"; by group as Obuchowski (1997), "Nonparametric analysis of clustered ROC curve data", but for her degrees
    of freedom. The ends are taken on the scale of logits, as Qin and Hotilovac (2008), "Comparison of non-parametric
    confidence intervals for the area under the ROC curve of a continuous-scale diagnostic test"; they are Newcombe's
    where the classes do not overlap, because DeLong's error is 0 there.
    """
    by, ones = "" if groups is None else " by group", labels == 1
    value, parts = placements(ones, probabilities)
    error, quantile = placement_error(parts, ones, groups)
    if math.isnan(error):
        return Estimate(value, math.nan, math.nan, f"DeLong{by}")
    if not error and value in (0, 1):
        kinds = np.arange(len(labels)) if groups is None else groups
        n, m = (len(np.unique(kinds[rows])) for rows in (~ones, ones))
        return newcombe(value, n, m)._replace(method=f"Newcombe{by}")
    # Of a logit of x, (1 + tanh(x / 2)) / 2 is the area, and overflows nowhere.
    half = (Z if groups is None else quantile) * error / (value * (1 - value))
    low, high = ((1 + math.tanh(logit / 2)) / 2 for logit in ends(math.log(value / (1 - value)), half))
    return Estimate(value, low, high, f"DeLong{by}")


def compare_areas(labels: Numbers, a: Numbers, b: Numbers, groups: Groups | None = None) -> Estimate:
    """Estimate by how much the area of a's probabilities is larger than that of b's, (N,) each, for the same rows.

    The covariance is DeLong's, too. Where all rows have the same places in both, it is 0, and nothing is known.
    """
    (area_a, parts_a), (area_b, parts_b) = (placements(labels == 1, each) for each in (a, b))
    error, quantile = placement_error(parts_a - parts_b, labels == 1, groups)
    low, high = ends(area_a - area_b, quantile * (error or math.nan), -1, 1)
    return Estimate(area_a - area_b, low, high, "DeLong" if groups is None else "DeLong by group")


def placements(ones: Flags, probabilities: Numbers) -> tuple[float, Numbers]:
    """Return the area, and what each row, (N,), adds to its distance from its expectation; all NaN if a row is."""
    if np.isnan(probabilities).any():
        return math.nan, np.full(len(ones), math.nan)
    m, n, ranks = int(ones.sum()), int((~ones).sum()), midranks(probabilities)
    below = (ranks[ones] - midranks(probabilities[ones])) / n  # for each row of class 1, the share of class 0 below it
    above = 1 - (ranks[~ones] - midranks(probabilities[~ones])) / m
    parts, value = np.empty(len(ones)), float(below.mean())
    parts[ones], parts[~ones] = (below - value) / m, (above - value) / n
    return value, parts


def placement_error(parts: Numbers, ones: Flags, groups: Groups | None) -> tuple[float, float]:
    """Return the standard error of a sum over rows of both classes, and Student's t; NaN of one row of a class."""
    counts = np.bincount(ones, minlength=2)
    if counts.min() < 2:
        return math.nan, math.nan
    if groups is not None:
        return clustered_error(parts, groups)
    each = (count / (count - 1) * np.square(parts[ones == label]).sum() for label, count in enumerate(counts))
    return math.sqrt(sum(each)), student_t((1 + LEVEL) / 2, len(parts) - 2)


def newcombe(area: float, n: int, m: int) -> Estimate:
    """Estimate an area of 0 or 1 from so many independent draws of either class.

    Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2",
    method 5: it ends at the area that lies Z of its own standard errors from what was found. Of fewer than five draws
    of either class it is too short: of 4, such an area shows as 1 in 3.3 % instead of 2.5 %.
    """
    others = (n + m) / 2 - 1

    def variance(end: float) -> float:
        """Return the variance at an area, divided by 1 - end."""
        return end / (n * m) * (1 + others * ((1 - end) / (2 - end) + end / (1 + end)))

    low = bisect(lambda end: 1 - end > Z**2 * variance(end), 0, 1)
    # The interval of an area of 0 mirrors that of 1.
    return Estimate(area, low, 1.0, "Newcombe") if area == 1 else Estimate(area, 0.0, 1 - low, "Newcombe")


def midranks(values: Numbers) -> Numbers:
    """Return ranks from 1, (N,), equal values having the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Numbers = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def roc(labels: Numbers, probabilities: Numbers) -> tuple[Numbers, Numbers]:
    """Return the shares of class 0 and of class 1 whose probability reaches each threshold, as it falls from 1 to 0."""
    thresholds = MOST_THRESHOLDS if len(labels) > MOST_THRESHOLDS else None
    false, true, _ = binary_roc(torch.from_numpy(probabilities), torch.from_numpy(labels).long(), thresholds=thresholds)
    return false.numpy(), true.numpy()
