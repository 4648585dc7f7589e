"""The numbers of a test, each with its 95 % interval, from labels and probabilities."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.func import vmap

from project.data.split import Groups
from project.evaluation.area import estimate_area
from project.evaluation.estimate import LEVEL, Estimate, Flags, Numbers, Z, ends
from project.evaluation.student import clustered_error, student_t
from project.model.loss import METRICS

DRAWS, MOST_WORK = 20_000, 4 * 10**7  # of a bootstrap; fewer draws if they would have more rows in all
MOST_DRAWN = 20_000  # rows; of more, the mean is normally distributed to more digits than draws would give
LEAST_ROWS, LEAST_GROUPS = 10, 5  # of fewer, no interval of a mean holds
# What numbers are called elsewhere
WORDS = {"accuracy": "share of right answers", "sensitivity": "share of class 1 that is found"}
WORDS |= {"specificity": "share of class 0 that is found", "auc": "area under the ROC curve"}
WORDS |= {"bce": "log loss", "mse": "Brier score"}
BINS = 10  # of probabilities
CALIBRATED_DRAWS = 1000


def evaluate(labels: Numbers, probabilities: Numbers, groups: Groups | None = None) -> dict[str, Estimate]:
    """Compute all numbers of a test: accuracy, sensitivity, specificity, area under the ROC curve (auc) and losses.

    Sensitivity is the share of class 1 that is found, specificity that of class 0. The losses are the other METRICS of
    project.model.loss: bce (the log loss), mse (the Brier score) and what a package has added.

    Args:
        labels: (N,) of 0 and 1, both of which occur.
        probabilities: (N,) in [0, 1] of class 1; a NaN is a wrong answer, and leaves AUC and losses NaN.
        groups: (N,) the group of each row, where whole groups are new to the model, or None for independent rows.
    """
    correct = is_right(labels, probabilities)
    found = {
        "accuracy": estimate_share(correct, groups),
        "sensitivity": estimate_share(correct[labels == 1], groups_at(groups, labels == 1)),
        "specificity": estimate_share(correct[labels == 0], groups_at(groups, labels == 0)),
        "auc": estimate_area(labels, probabilities, groups),
        **{
            name: estimate_mean(losses, groups, min(0, losses.min()), largest_loss(name))
            for name, losses in row_losses(labels, probabilities).items()
        },
    }
    by = "" if groups is None else " by group"
    return {name: each._replace(method=each.method + by) for name, each in found.items()}


def measure(labels: Numbers, probabilities: Numbers) -> dict[str, float]:
    """Compute the same numbers without their intervals, which take much longer."""
    correct = is_right(labels, probabilities)
    shares = {"accuracy": correct, "sensitivity": correct[labels == 1], "specificity": correct[labels == 0]}
    means = {name: float(each.mean()) for name, each in (shares | row_losses(labels, probabilities)).items()}
    means["auc"] = estimate_area(labels, probabilities).value
    return {name: means[name] for name in (*shares, "auc", *means)}  # in the same order


def row_losses(labels: Numbers, probabilities: Numbers) -> dict[str, Numbers]:
    """Return the loss of each row, (N,), by each of METRICS but the accuracy."""
    rows = torch.from_numpy(np.stack([labels, probabilities]))[..., None, None]
    return {name: vmap(metric)(*rows).numpy() for name, metric in METRICS.items() if name != "accuracy"}


def largest_loss(name: str) -> float:
    """Return the loss of a row whose answer is as wrong as can be."""
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    return max(float(METRICS[name](zero, one)), float(METRICS[name](one, zero)))


def is_right(labels: Numbers, probabilities: Numbers, threshold: float = 0.5) -> Flags:
    """Return which rows are classified correctly, bool (N,); one without an answer, NaN, is not."""
    return np.where(labels == 1, probabilities >= threshold, probabilities < threshold)


def groups_at(groups: Groups | None, rows: Flags) -> Groups | None:
    return None if groups is None else groups[rows]


def design_effect(correct: Flags, groups: Groups) -> float:
    """Return how many times the variance of a share is that of as many independent rows; NaN where all are equal."""
    rows, p = len(correct), float(correct.mean())
    error, _ = clustered_error((correct - p) / rows, groups)
    return error**2 * rows / (p * (1 - p)) if 0 < p < 1 else math.nan


def estimate_share(correct: Flags, groups: Groups | None = None) -> Estimate:
    """Estimate a share of rows, bool (N,), by Wilson's interval of as many independent rows as they are worth.

    These are N / design effect, at t quantiles and N at most, or one a group for a share of 0 or 1: Korn and Graubard
    (1998), "Confidence intervals for proportions with small expected number of positive counts".
    """
    successes, rows = int(correct.sum()), len(correct)
    if groups is None:
        return wilson(successes, rows)
    number, effect, value = len(np.unique(groups)), design_effect(correct, groups), successes / rows
    if number < 2:
        return Estimate(value, math.nan, math.nan, "Wilson")
    quantile = student_t((1 + LEVEL) / 2, number - 1)
    worth = number if math.isnan(effect) else rows / max(1, effect * (quantile / Z) ** 2)
    return wilson(value * worth, worth)._replace(value=value)


def wilson(successes: float, rows: float) -> Estimate:
    """Estimate a share, as Wilson (1927), "Probable inference, the law of succession, and statistical inference"."""
    share, z = successes / rows, Z**2 / rows
    half = Z / (1 + z) * math.sqrt(share * (1 - share) / rows + z / (4 * rows))
    low, high = ends((share + z / 2) / (1 + z), half, 0, 1)
    return Estimate(share, low if successes else 0.0, high if successes < rows else 1.0, "Wilson")


def estimate_mean(
    values: Numbers, groups: Groups | None = None, lowest: float = -math.inf, highest: float = math.inf
) -> Estimate:
    """Estimate a mean over rows or, where whole ones are independent, over groups, that lies between two ends.

    The bootstrap-t of Efron (1981), "Nonparametric standard errors and confidence intervals": the same draws for the
    same number of rows; unlike the draws' own quantiles, its ends hold for losses, few of which are large.
    """
    places = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, sizes = (np.bincount(places, each).astype(np.float64) for each in (values, np.ones(len(values))))
    number, value = len(sums), float(values.mean())
    if number < (LEAST_ROWS if groups is None else LEAST_GROUPS) or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, "bootstrap-t")
    _, error = mean_and_error(sums, sizes)
    if number > MOST_DRAWN or error <= 1e-12 * abs(value):  # What is left of equal values is rounding.
        return Estimate(value, *ends(value, Z * float(error), lowest, highest), "normal")
    rng, statistics = np.random.default_rng(0), []
    together = 2**16 // number + 1  # draws, which stay in the cache
    for _ in range(0, min(DRAWS, MOST_WORK // number), together):
        drawn = rng.integers(0, number, (together, number))
        means, errors = mean_and_error(sums[drawn], sizes[drawn])
        with np.errstate(divide="ignore", invalid="ignore"):  # A draw of equal values is infinitely far, or nowhere.
            statistics.append(np.nan_to_num((means - value) / errors, nan=0, posinf=math.inf, neginf=-math.inf))
    high, low = np.quantile(np.concatenate(statistics), [0.025, 0.975], method="inverted_cdf").tolist()
    low, high = np.clip([value - low * error, value - high * error], lowest, highest).tolist()
    return Estimate(value, low, high, "bootstrap-t")


def mean_and_error(sums: Numbers, sizes: Numbers) -> tuple[Numbers, Numbers]:
    """Return the mean of rows, and its standard error, (...), from their sums and numbers in each group, (..., G)."""
    rows, number = sizes.sum(-1), sums.shape[-1]
    mean: Numbers = sums.sum(-1) / rows
    squares = np.square(sums - mean[..., None] * sizes).sum(-1)
    return mean, np.sqrt(number / (number - 1) * squares) / rows


class Reliability(NamedTuple):
    """How often what is given some probability happens, in BINS equal bins of probability; NaN in an empty one."""

    rows: npt.NDArray[np.int64]  # (BINS,)
    predicted: Numbers  # (BINS,) the mean probability
    observed: Numbers  # (BINS,) the share of class 1,
    ends: Numbers  # (BINS, 2) and its interval
    error: float  # the mean distance of the two over rows, the expected calibration error (ECE)
    calibrated_error: float  # below which 95 of 100 are of labels that are drawn with just these probabilities


def reliability(labels: Numbers, probabilities: Numbers, groups: Groups | None = None) -> Reliability:
    """Compare probabilities with how often they come true, as Guo et al. (2017), "On calibration", but for the last."""
    places = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    rows, bounds, rng = np.bincount(places, minlength=BINS), np.full((BINS, 2), math.nan), np.random.default_rng(0)
    for i in np.flatnonzero(rows):
        bounds[i] = estimate_share(labels[places == i] == 1, groups_at(groups, places == i))[1:3]
    ones, predicted = (np.bincount(places, values, BINS) for values in (labels, probabilities))
    drawn = [np.bincount(places, rng.random(len(labels)) < probabilities, BINS) for _ in range(CALIBRATED_DRAWS)]
    errors = np.array([abs(found - predicted).sum() for found in (ones, *drawn)])
    with np.errstate(invalid="ignore"):  # An empty bin has 0 / 0, which is NaN, as all have if there is no row.
        error, calibrated_error = errors[0] / len(labels), np.quantile(errors[1:], LEVEL) / len(labels)
        return Reliability(rows, predicted / rows, ones / rows, bounds, float(error), float(calibrated_error))
