"""Counts of how often a study's interval leaves out 0 where nothing differs, and how often the naive one does.

Two kinds of pairs that do not differ: the same loss from other initial weights, on the sample's own splits; and, on new
data for each pair, two options that each see one of two equally good features, so that one is better on the data at
hand and neither is on others. An interval that holds in 95 of 100 studies leaves out 0 in five; more than seven fail.

python -m tests.campaigns.intervals --pairs 1000 --splits 20 --seeds 20 --steps 1000 --rows 50
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from project.commands.trainer import make_trainer
from project.data.split import SUBSETS, split
from project.evaluation.differences import corrected
from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.study.classifiers import Classifiers
from project.study.splits import Splits
from project.study.stack import TEST
from tests.campaigns.summary import Summary, main

Numbers = npt.NDArray[np.float64]
STUDIED, SEEDS = 10, 3  # splits and seeds of a study, unless told otherwise
MOST = 0.07  # false alarms


def accuracies(splits: int, seeds: int, steps: int) -> Numbers:
    """Return the test accuracy, (splits, seeds), of networks on the sample that differ in split and seed alone."""
    values = dict(BinaryClassifier(num_features=2).hparams)
    counts = {"splits": splits, "seeds": seeds}
    model = Classifiers(values.pop("num_features"), values=values, compare="activation", choose="lr", **counts)
    make_trainer(max_steps=steps, accelerator="cpu", logger=False).fit(model, datamodule=Splits(splits))
    found: Numbers = model.curves[-1][TEST, list(METRICS).index("accuracy")].numpy().reshape(splits, seeds)
    assert np.isfinite(found).all()
    return found


def draw_seeds(found: Numbers, pairs: int) -> Iterator[tuple[Numbers, int, int]]:
    """Yield differences, in ten random splits, of three random seeds and three others, with the rows of test and train.

    Each split has seeds of its own, as in a study.
    """
    rng = np.random.default_rng(0)
    for _ in range(pairs):
        splits = rng.permuted(found[rng.choice(len(found), STUDIED, replace=False)], axis=1)
        yield splits[:, :SEEDS].mean(1) - splits[:, SEEDS : 2 * SEEDS].mean(1), 304, 912


def draw_features(rows: int, pairs: int) -> Iterator[tuple[Numbers, int, int]]:
    """Yield differences in ten splits of new data between the better thresholds of one feature and of another one."""
    rng = np.random.default_rng(0)
    for _ in range(pairs):
        classes = rng.normal([[[0.0]], [[1.0]]], 1, (2, rows, 2))
        differences = []
        for seed in range(STUDIED):
            dealt = [split(rows, rows, seed, label) for label in (0, 1)]
            train, test = (
                np.stack([features[each == subset] for features, each in zip(classes, dealt, strict=True)])
                for subset in (SUBSETS["train"], SUBSETS["test"])
            )
            above = test >= train.mean((0, 1))
            right = (above[1].mean(0) + 1 - above[0].mean(0)) / 2
            differences.append(right[0] - right[1])
        yield np.array(differences), test.shape[1] * 2, train.shape[1] * 2


def run(pairs: int, splits: int, seeds: int, steps: int, rows: int, seconds: float) -> Summary:
    """Count false alarms of either kind of pairs; time is not bounded, but by the numbers."""
    del seconds
    summary = Summary("intervals of pairs that do not differ")
    found = accuracies(splits, seeds, steps)
    kinds = {"other seeds": draw_seeds(found, pairs), "other data": draw_features(rows, pairs)}
    for name, studies in kinds.items():
        differences = [corrected(*study) for study in studies]
        alarms = sum(not each.low <= 0 <= each.high for each in differences)
        naive = sum(not each.naive_low <= 0 <= each.naive_high for each in differences)
        summary.counts[f"of {pairs} pairs ({name}) leave out 0, {naive} naive ones do"] = alarms
        if alarms > MOST * pairs:
            summary.failures.append(f"{name}: {alarms} of {pairs} pairs")
    return summary


if __name__ == "__main__":
    main(run, pairs=1000, splits=20, seeds=20, steps=1000, rows=50, seconds=600.0)
