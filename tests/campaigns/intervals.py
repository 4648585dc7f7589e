"""Counts of how often a study's interval leaves out 0 where nothing differs, and how often the naive one does.

Two kinds of pairs that do not differ: the same loss from other initial weights, on the sample's own splits; and, on new
data for each pair, two options that each see one of two equally good features, so that one is better on the data at
hand and neither is on others. An interval that holds in 95 of 100 studies leaves out 0 in five; more than seven fail.
"""

import numpy as np

from project.commands.trainer import make_trainer
from project.data.split import SUBSETS, split
from project.evaluation.differences import corrected
from project.evaluation.estimate import Numbers
from project.model import BinaryClassifier
from project.study.answer import ACCURACY
from project.study.classifiers import Classifiers
from project.study.stack import TEST, Splits
from tests.campaigns.summary import Summary, main


def train_networks(splits: int, seeds: int, steps: int) -> Numbers:
    """Return the test accuracy, (splits, seeds), of networks on the sample that differ in split and seed alone."""
    values = dict(BinaryClassifier(num_features=2).hparams)
    design = {"compare": "activation", "choose": "lr", "splits": splits, "seeds": seeds}
    model = Classifiers(values.pop("num_features"), values=values, **design)
    make_trainer(max_steps=steps, accelerator="cpu", logger=False).fit(model, datamodule=Splits(splits))
    return model.curves[-1][TEST, ACCURACY].numpy().reshape(splits, seeds)


def compare_seeds(found: Numbers, rng: np.random.Generator) -> tuple[Numbers, float]:
    """Return the differences, in ten random splits, of three seeds and three others; and the ratio of test to train."""
    splits = rng.permuted(found[rng.choice(len(found), 10, replace=False)], axis=1)  # Each has its own seeds.
    return splits[:, :3].mean(1) - splits[:, 3:6].mean(1), 304 / 912


def compare_features(rows: int, rng: np.random.Generator) -> tuple[Numbers, float]:
    """Return the differences in ten splits of new data between thresholds of one feature and another one; and ratio."""
    classes = rng.normal([[[0.0]], [[1.0]]], 1, (2, rows, 2))
    differences = []
    for seed in range(10):
        dealt = np.stack([split(rows, rows, seed, label) for label in (0, 1)])
        train, test = (classes[dealt == SUBSETS[name]].reshape(2, -1, 2) for name in ("train", "test"))
        above = (test >= train.mean((0, 1))).mean(1)  # the share of each class, by each feature
        right = (above[1] + 1 - above[0]) / 2
        differences.append(right[0] - right[1])
    return np.array(differences), test.shape[1] / train.shape[1]


def run(pairs: int, splits: int, seeds: int, steps: int, rows: int, seconds: float) -> Summary:
    """Count false alarms of either kind of pairs; time is not bounded, but by the numbers."""
    del seconds
    summary, accuracies = Summary("intervals of pairs that do not differ"), train_networks(splits, seeds, steps)
    for name, compare, given in ("other seeds", compare_seeds, accuracies), ("other data", compare_features, rows):
        rng = np.random.default_rng(0)
        found = [corrected(*compare(given, rng)) for _ in range(pairs)]
        alarms = sum(not each.low <= 0 <= each.high for each in found)
        naive = sum(not each.naive_low <= 0 <= each.naive_high for each in found)
        summary.counts[f"of {pairs} pairs ({name}) leave out 0, {naive} naive ones do"] = alarms
        if alarms > 0.07 * pairs:
            summary.failures.append(f"{name}: {alarms} of {pairs} pairs")
    return summary


if __name__ == "__main__":
    main(run, pairs=1000, splits=20, seeds=20, steps=1000, rows=50, seconds=600.0)
