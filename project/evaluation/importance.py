"""By how much answers get worse when a feature says nothing."""

from collections.abc import Callable

import numpy as np

from project.data.checks import Features
from project.data.split import Groups
from project.evaluation.estimate import Estimate, Numbers, ends
from project.evaluation.metrics import LEAST_GROUPS, LEAST_ROWS, is_right, row_losses
from project.evaluation.student import clustered_error

PERMUTATIONS = 30


def permutation_importance(
    answer: Callable[[Features], Numbers], features: Features, labels: Numbers, groups: Groups | None = None
) -> list[dict[str, Estimate]]:
    """Estimate, by "accuracy" and "bce", by how much each of j features betters the answers, which are asked for.

    Breiman (2001), "Random forests", section 10: a feature is permuted among rows, so that it says nothing, and all
    else stays. A row counts as the one whose answer changes and as the one whose value it changes to, because another
    sample would have other rows of both kinds; permutations are the same for all features and calls.

    Args:
        answer: from rows (N, j) to their probabilities of class 1, (N,).
        features: (N, j), of which no one is changed.
        labels: (N,) of 0 and 1.
        groups: (N,) the group of each row, where whole groups are independent, or None for independent rows.
    """
    rng, rows = np.random.default_rng(0), len(labels)
    givers = np.stack([rng.permutation(rows) for _ in range(PERMUTATIONS)])
    before, repeated = losses(labels, answer(features)), np.tile(labels, PERMUTATIONS)
    found: list[dict[str, Estimate]] = [{} for _ in range(features.shape[1])]
    for column, estimates in enumerate(found):
        changed, answers = features.copy(), []
        for places in givers:
            changed[:, column] = features[places, column]
            answers.append(answer(changed))
        for name, after in losses(repeated, np.concatenate(answers)).items():
            worse = after.reshape(PERMUTATIONS, rows) - before[name]
            given = np.bincount(givers.ravel(), worse.ravel(), rows) / PERMUTATIONS
            estimates[name] = estimate_by_t(worse.mean(0) + given - given.mean(), groups)
    return found


def losses(labels: Numbers, probabilities: Numbers) -> dict[str, Numbers]:
    """Return of each row, (N,), whether its answer is wrong, as the loss of accuracy, and its log loss."""
    wrong = (~is_right(labels, probabilities)).astype(np.float64)
    return {"accuracy": wrong, "bce": row_losses(labels, probabilities)["bce"]}


def estimate_by_t(values: Numbers, groups: Groups | None) -> Estimate:
    """Estimate a mean over rows, (N,), or groups, by Student's t; the bootstrap would take a minute for 15 features."""
    value, of = float(values.mean()), np.arange(len(values)) if groups is None else groups
    if len(np.unique(of)) < (LEAST_ROWS if groups is None else LEAST_GROUPS):
        return Estimate(value, np.nan, np.nan, "t")
    error, quantile = clustered_error((values - value) / len(values), of)
    return Estimate(value, *ends(value, quantile * error), "t")
