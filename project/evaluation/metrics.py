"""How right the answers for some rows are: each number with its 95 % interval, from labels and probabilities.

The rows are taken for independent draws of what the model will meet. Wilson's interval is that of a share of rows,
DeLong's that of the area under the ROC curve; means of losses get the percentiles of means over rows drawn anew. Where
rows come in groups, whole groups are the independent draws, and each number's error is clustered by them.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.func import vmap
from torchmetrics.functional.classification import binary_roc

from project.data.split import Groups
from project.evaluation.differences import LEVEL, Flags, bisect, clustered, student_t
from project.evaluation.estimate import Estimate
from project.model.loss import METRICS, Metric

Z = 1.959963984540054  # the 97.5 % point of the normal distribution
DRAWS = 2000  # of a bootstrap
MOST_DRAWN = 20_000  # rows; of more, the mean is normally distributed to more digits than draws would give
BINS = 10  # of probabilities
CALIBRATED_DRAWS = 1000

Numbers = npt.NDArray[np.float64]


def evaluate(labels: Numbers, probabilities: Numbers, groups: Groups | None = None) -> dict[str, Estimate]:
    """Compute all numbers of a test.

    Args:
        labels: (N,) of 0 and 1, both of which occur.
        probabilities: (N,) in [0, 1] of class 1; a NaN is a wrong answer, and leaves AUC and losses NaN.
        groups: (N,) the group of each row, where whole groups are new to the model, or None for single rows.

    Returns:
        By name: accuracy, sensitivity (the share of class 1 that is found), specificity (that of class 0), the area
        under the ROC curve (auc), and the other METRICS of project.model.loss: binary cross-entropy (bce, the log
        loss), mean squared error (mse, the Brier score) and what a package has added.
    """
    correct, everywhere = right(labels, probabilities), np.full(len(labels), True)
    shares = {"accuracy": everywhere, "sensitivity": labels == 1, "specificity": labels == 0}
    losses = {name: metric for name, metric in METRICS.items() if name != "accuracy"}
    return {
        **{name: share(correct[rows], None if groups is None else groups[rows]) for name, rows in shares.items()},
        "auc": area(labels, probabilities, groups),
        **{name: mean(of_each_row(metric, labels, probabilities), groups) for name, metric in losses.items()},
    }


def right(labels: Numbers, probabilities: Numbers) -> Flags:
    """Return which rows are classified correctly, bool (N,); one without an answer is not."""
    rows: Flags = ((probabilities >= 0.5) == (labels == 1)) & np.isfinite(probabilities)
    return rows


def of_each_row(metric: Metric, labels: Numbers, probabilities: Numbers) -> Numbers:
    """Return what each row, (N,), adds to a metric that is a mean over rows."""
    rows = [torch.from_numpy(values)[:, None, None] for values in (labels, probabilities)]
    values: Numbers = vmap(metric)(*rows).numpy()
    return values


def design_effect(correct: Flags, groups: Groups) -> float:
    """Return how many times the variance of a share is that of as many independent rows; NaN where all are equal."""
    rows, p = len(correct), float(correct.mean())
    error, _ = clustered((correct - p) / rows, groups)
    return error**2 * rows / (p * (1 - p)) if 0 < p < 1 else math.nan


def share(correct: Flags, groups: Groups | None = None) -> Estimate:
    """Estimate a share of rows by Wilson's interval, of groups with as many rows as are worth as much if independent.

    Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data": N rows are worth N / design effect, times the square of normal over t quantile, and
    never more than N; Dean and Pagano (2015) find Wilson's interval of them good. Of a share of 0 or 1, whose design
    effect is not known, a group is worth a row.
    """
    successes, rows = int(correct.sum()), len(correct)
    if groups is None:
        return wilson(successes, rows)
    number, effect, value = len(np.unique(groups)), design_effect(correct, groups), successes / rows
    if number < 2:
        return Estimate(value, math.nan, math.nan, "Wilson by group")
    quantile = student_t((1 + LEVEL) / 2, number - 1)
    worth = number if math.isnan(effect) else rows / max(1, effect * (quantile / Z) ** 2)
    return wilson(value * worth, worth)._replace(value=value, method="Wilson by group")


def wilson(successes: float, rows: float) -> Estimate:
    """Estimate a share, as Wilson (1927), "Probable inference, the law of succession, and statistical inference"."""
    share, z = successes / rows, Z**2 / rows
    middle = (share + z / 2) / (1 + z)
    half = Z / (1 + z) * math.sqrt(share * (1 - share) / rows + z / (4 * rows))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Estimate(share, low if successes else 0.0, high if successes < rows else 1.0, "Wilson")


def area(labels: Numbers, probabilities: Numbers, groups: Groups | None = None) -> Estimate:
    """Estimate how often a row of class 1 has a larger probability than one of class 0, a tie counting half.

    DeLong, DeLong and Clarke-Pearson (1988), by the ranks of Sun and Xu (2014), "Fast implementation of DeLong's
    algorithm". Where rows come in groups, what DeLong's rows add is summed by group, as Obuchowski (1997),
    "Nonparametric analysis of clustered ROC curve data", does, but for her degrees of freedom, which differ by class.
    Of fewer than two rows a class there is no interval. Where the classes do not overlap, DeLong's error is 0, as if
    nothing else could ever be seen: there the interval is Newcombe's, of groups with a group for a row.
    """
    method = "DeLong" if groups is None else "DeLong by group"
    if np.isnan(probabilities).any():
        return Estimate(math.nan, math.nan, math.nan, method)
    ones, negative, positive = labels == 1, probabilities[labels == 0], probabilities[labels == 1]
    n, m, ranks = len(negative), len(positive), midranks(probabilities)
    below = (ranks[ones] - midranks(positive)) / n  # for each row of class 1, the share of class 0 that is below it
    above = 1 - (ranks[~ones] - midranks(negative)) / m
    value = float(below.mean())
    if min(n, m) < 2:
        return Estimate(value, math.nan, math.nan, method)
    if groups is None:
        error, quantile = math.sqrt(below.var(ddof=1) / m + above.var(ddof=1) / n), Z
    else:
        parts = np.empty(len(labels))
        parts[ones], parts[~ones] = (below - value) / m, (above - value) / n
        error, quantile = clustered(parts, groups)
    if not error and value in (0, 1):
        draws = (n, m) if groups is None else [len(np.unique(groups[rows])) for rows in (~ones, ones)]
        return newcombe(value, *draws)._replace(method=method.replace("DeLong", "Newcombe"))
    low, high = np.clip([value - quantile * error, value + quantile * error], 0, 1).tolist()
    return Estimate(value, low, high, method)


def newcombe(area: float, n: int, m: int) -> Estimate:
    """Estimate an area of 0 or 1 from so many independent draws of either class.

    Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2",
    method 5: as Wilson's for a share, it ends at the area that lies Z of its own standard errors from what was found.
    Of fewer than five draws of either class it is too short: of 4, such an area shows as 1 in 3.3 % instead of 2.5 %.
    """
    others = (n + m) / 2 - 1

    def is_too_far(end: float) -> bool:
        """Say whether 1 is more than Z standard errors above an area, whose variance is (1 - end) * share."""
        share = end / (n * m) * (1 + others * ((1 - end) / (2 - end) + end / (1 + end)))
        return 1 - end > Z**2 * share

    low = bisect(is_too_far, 0, 1)
    ends = (low, 1.0) if area == 1 else (0.0, 1 - low)  # The interval of an area of 0 mirrors that of 1.
    return Estimate(area, *ends, "Newcombe")


def midranks(values: Numbers) -> Numbers:
    """Return ranks from 1, equal values having the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Numbers = (ends - (counts - 1) / 2)[place]
    return ranks


def mean(values: Numbers, groups: Groups | None = None) -> Estimate:
    """Estimate a mean over rows by DRAWS bootstrap samples, the same for the same number of rows, or by groups."""
    rows, value = len(values), float(values.mean())
    if groups is not None:
        error, quantile = clustered((values - value) / rows, groups)
        return Estimate(value, value - quantile * error, value + quantile * error, "t by group")
    if rows > MOST_DRAWN:
        half = Z * float(values.std()) / math.sqrt(rows)
        return Estimate(value, value - half, value + half, "normal")
    rng = np.random.default_rng(0)
    means = [float(values[rng.integers(0, rows, rows)].mean()) for _ in range(DRAWS)]
    low, high = np.quantile(means, [0.025, 0.975]).tolist() if math.isfinite(value) else (math.nan, math.nan)
    return Estimate(value, low, high, "bootstrap")


class Reliability(NamedTuple):
    """How often what is given some probability happens, in BINS equal bins of probability; NaN in an empty one."""

    rows: npt.NDArray[np.int64]  # (BINS,)
    predicted: Numbers  # (BINS,) the mean probability
    observed: Numbers  # (BINS,) the share of class 1,
    ends: Numbers  # (BINS, 2) and its interval
    error: float  # the mean distance of the two over rows, the expected calibration error (ECE)
    error_if_calibrated: float  # that of labels that are drawn with just these probabilities


def reliability(labels: Numbers, probabilities: Numbers, groups: Groups | None = None) -> Reliability:
    """Compare probabilities with how often they come true, as Guo et al. (2017), "On calibration", but for the last."""
    places = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    rows = np.bincount(places, minlength=BINS)

    def sums(values: npt.NDArray[np.generic]) -> Numbers:
        return np.asarray(np.bincount(places, values.astype(np.float64), BINS), np.float64)

    def interval(rows: Flags) -> tuple[float, float]:
        found = share(labels[rows] == 1, None if groups is None else groups[rows])
        return found.low, found.high

    rng, predicted = np.random.default_rng(0), sums(probabilities)
    calibrated = [abs(sums(rng.random(len(labels)) < probabilities) - predicted).sum() for _ in range(CALIBRATED_DRAWS)]
    with np.errstate(invalid="ignore"):
        return Reliability(
            rows,
            predicted / rows,
            sums(labels) / rows,
            np.array([interval(places == i) if rows[i] else (math.nan, math.nan) for i in range(BINS)]),
            float(abs(sums(labels) - predicted).sum() / len(labels)),
            float(np.mean(calibrated) / len(labels)),
        )


def roc(labels: Numbers, probabilities: Numbers) -> tuple[Numbers, Numbers]:
    """Return the shares of class 0 and of class 1 whose probability reaches each threshold, as it falls from 1 to 0."""
    thresholds = MOST_DRAWN if len(labels) > MOST_DRAWN else None
    rows = torch.from_numpy(probabilities), torch.from_numpy(labels.astype(np.int64))
    false, true, _ = binary_roc(*rows, thresholds=thresholds)
    return false.numpy(), true.numpy()
