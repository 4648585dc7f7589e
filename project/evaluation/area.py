"""The area under the ROC curve, and the difference of two networks' areas on the same rows."""

import math

import numpy as np
import torch
from torchmetrics.functional.classification import binary_roc

from project.data.split import Groups
from project.evaluation.estimate import Estimate, Flags, Numbers, Z, ends
from project.evaluation.student import bisect, clustered_error

MOST_THRESHOLDS = 20_000  # of a curve


def estimate_area(labels: Numbers, probabilities: Numbers, groups: Groups | None = None) -> Estimate:
    """Estimate how often a row of class 1 has a larger probability than one of class 0, a tie counting half.

    DeLong, DeLong and Clarke-Pearson (1988), by the ranks of Sun and Xu (2014), "Fast implementation of DeLong's
    algorithm"; by group as Obuchowski (1997), "Nonparametric analysis of clustered ROC curve data", but for her degrees
    of freedom. The ends are taken on the scale of logits, as Qin and Hotilovac (2008), "Comparison of non-parametric
    confidence intervals for the area under the ROC curve of a continuous-scale diagnostic test"; they are Newcombe's
    where the classes do not overlap, because DeLong's error is 0 there.
    """
    ones = labels == 1
    value, parts = placements(ones, probabilities)
    error, quantile = placement_error(parts, ones, groups)
    if math.isnan(error):
        return Estimate(value, math.nan, math.nan, "DeLong")
    if not error and value in (0, 1):
        kinds = np.arange(len(labels)) if groups is None else groups
        n, m = (len(np.unique(kinds[rows])) for rows in (~ones, ones))
        return newcombe(value, n, m)
    # Of a logit of x, (1 + tanh(x / 2)) / 2 is the area, and overflows nowhere.
    half = quantile * error / (value * (1 - value))
    low, high = ((1 + math.tanh(logit / 2)) / 2 for logit in ends(math.log(value / (1 - value)), half))
    return Estimate(value, low, high, "DeLong")


def compare_areas(labels: Numbers, a: Numbers, b: Numbers, groups: Groups | None = None) -> Estimate:
    """Estimate by how much the area of a's probabilities is larger than that of b's, (N,) each, for the same rows.

    Zou (2007), "Toward using confidence intervals to compare correlations": from the ends of both areas, which near 1
    reach further down than up, and from how DeLong's covariance says that they are correlated.
    """
    ones, of_a, of_b = labels == 1, estimate_area(labels, a, groups), estimate_area(labels, b, groups)
    parts_a, parts_b = (placements(ones, each)[1] for each in (a, b))
    one, other, both = (placement_error(each, ones, groups)[0] for each in (parts_a, parts_b, parts_a - parts_b))
    correlation = (one**2 + other**2 - both**2) / (2 * one * other) if one * other else 0.0
    reach_a = np.array([of_a.value - of_a.low, of_a.high - of_a.value])
    reach_b = np.array([of_b.high - of_b.value, of_b.value - of_b.low])
    below, above = np.sqrt(np.maximum(reach_a**2 + reach_b**2 - 2 * correlation * reach_a * reach_b, 0)).tolist()
    value = of_a.value - of_b.value
    return Estimate(value, max(value - below, -1.0), min(value + above, 1.0), of_a.method)


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
    """Return the standard error of a sum over rows of both classes, and the quantile; NaN of one row of a class."""
    counts = np.bincount(ones, minlength=2)
    if counts.min() < 2:
        return math.nan, math.nan
    if groups is not None:
        return clustered_error(parts, groups)
    each = (count / (count - 1) * np.square(parts[ones == label]).sum() for label, count in enumerate(counts))
    return math.sqrt(sum(each)), Z


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
