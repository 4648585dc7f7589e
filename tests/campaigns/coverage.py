"""Counts of how often each interval holds the truth, and how often a study's leaves out 0 where nothing differs.

Of a test there are two networks whose scores are normal, on rows alone or in groups that differ in how they are scored
and in how well. The share of intervals that hold what very many rows show is to be 0.92 to 0.985, or as is EXPECTED.

Of a study there are two kinds of pairs that do not differ: the same loss from other initial weights, on the sample's
own splits; and, on new data for each pair, two options that each see one of two equally good features, so that one is
better on the data at hand and neither is on others. An interval that holds in 95 of 100 studies leaves out 0 in five;
more than seven fail.
"""

import itertools
import math
from collections import defaultdict
from unittest.mock import patch

import numpy as np

from project.commands.trainer import make_trainer
from project.data.split import SUBSETS, Groups, split
from project.evaluation import evaluate, metrics
from project.evaluation.differences import compare_probabilities, corrected
from project.evaluation.estimate import Estimate, Numbers, align
from project.evaluation.thresholds import operating_points
from project.model import BinaryClassifier
from project.study.answer import ACCURACY
from project.study.classifiers import Classifiers
from project.study.stack import TEST, Splits
from tests.campaigns.summary import Summary, main

SIZES = {20: 10, 60: 12, 300: 30}  # rows, and the groups that they come in
EASE = (0.9, 0.6), (2.0, 1.5)  # how far the classes' scores lie from 0, in deviations: usually, and near the end
KNOWN = 400_000  # rows, which tell the truth
ODDS = 0.25  # of class 1, for predictive values
DRAWS = 1000  # of a bootstrap, which are enough for a share of two digits
# What is known of some numbers (see project.evaluation)
EXPECTED = {"bce": (0.88, 0.985), "mse": (0.86, 0.985), "accuracy difference": (0.92, 1), "auc difference": (0.92, 1)}
EXPECTED |= {"bce difference": (0.86, 0.985), "mse difference": (0.85, 0.985)}
Answers = tuple[Numbers, Numbers, Numbers, Groups]  # labels, probabilities of both networks, groups, (N,) each


def draw(rng: np.random.Generator, rows: int, number: int, ease: tuple[float, float]) -> Answers:
    """Return labels, the probabilities that two networks give, and in which groups the rows come, (N,) each."""
    labels, groups = np.repeat([0.0, 1.0], rows // 2), np.arange(rows) % number
    sides, (bias, skill) = 2 * labels - 1, rng.normal(size=(2, 3, number))[:, :, groups]
    noise = (bias + sides * skill) * math.sqrt(0.15) + rng.normal(size=(3, rows)) * math.sqrt(0.7)
    scores = sides * np.array(ease)[:, None] + math.sqrt(0.6) * noise[0] + math.sqrt(0.4) * noise[1:]
    a, b = 1 / (1 + np.exp(-2 * scores))
    return labels, a, b, groups


def estimate_all(labels: Numbers, a: Numbers, b: Numbers, groups: Groups | None) -> dict[str, Estimate]:
    """Return every estimate of a test, and of a comparison of two, by its name."""
    point = operating_points({"": 0.5}, labels, a, groups, ODDS)[""]
    values = {name: Estimate(point[name], *point[f"{name}_interval"], "") for name in ("ppv", "npv")}
    pairs = compare_probabilities(labels, a, b, groups)
    return {**evaluate(labels, a, groups), **values, **{f"{name} difference": found for name, found in pairs.items()}}


def cover(repetitions: int) -> dict[str, dict[str, list[float]]]:
    """Return the shares of intervals that hold the truth, one of each EASE, by number and rows."""
    found: dict[str, dict[str, list[float]]] = {}
    truths = {far: estimate_all(*draw(np.random.default_rng(1), KNOWN, KNOWN, far)[:3], None) for far in EASE}
    for (rows, number), grouped, (far, truth) in itertools.product(SIZES.items(), (False, True), truths.items()):
        rng, held = np.random.default_rng(0), defaultdict[str, list[bool]](list)
        for _ in range(repetitions):
            *answers, groups = draw(rng, rows, number if grouped else rows, far)
            for name, each in estimate_all(*answers, groups if grouped else None).items():
                held[name].append(each.low <= truth[name].value <= each.high)
        where = f"{rows} in {number}" if grouped else str(rows)
        for name, holds in held.items():
            found.setdefault(name, {}).setdefault(where, []).append(float(np.mean(holds)))
    return found


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


def run(repetitions: int, pairs: int, splits: int, seeds: int, steps: int, rows: int, seconds: float) -> Summary:
    """Count intervals that hold, and false alarms of either kind of pairs; time is not bounded, but by the numbers."""
    del seconds
    summary, accuracies = Summary("intervals"), train_networks(splits, seeds, steps)
    with patch.object(metrics, "DRAWS", DRAWS):
        table = cover(repetitions)
    lines = [["", *table["auc"]]]
    for name, of in table.items():
        lines.append([name, *("/".join(f"{share:.2f}" for share in both) for both in of.values())])
        low, high = EXPECTED.get(name, (0.92, 0.985))
        chance = 3 * math.sqrt(low * (1 - low) / repetitions)
        summary.counts["cells of coverage"] += len(of)
        for where, both in of.items():
            if not low - chance <= min(both) <= max(both) <= high + chance:
                summary.failures.append(f"{name}: {both} of {where}")
    print(align(lines))
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
    main(run, repetitions=2000, pairs=1000, splits=20, seeds=20, steps=1000, rows=50, seconds=600.0)
