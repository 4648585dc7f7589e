"""The answer of a study: each compared value at the options that are chosen for it, and how the values then differ."""

import math
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from project.errors import join_words
from project.evaluation.differences import Difference, corrected, holm, sentence
from project.evaluation.estimate import Numbers
from project.evaluation.metrics import WORDS
from project.figures.study import plain
from project.model.loss import METRICS
from project.study.classifiers import Classifiers
from project.study.networks import BASELINE, Network, Options
from project.study.stack import TEST, VAL, Splits

ACCURACY = list(METRICS).index("accuracy")  # its number among the metrics
WITHOUT = "without a hidden layer"


class Compared:
    """A compared value, in each split at the option of its lowest validation loss there, after the last iteration.

    The options that were tried differ in the one to choose. A split's test rows are validation rows of others, so that
    a choice by all of them would know the test rows. Networks are in the order of splits and, in each, of seeds;
    ``curves`` (V, 2, metrics, networks) hold what was measured on validation and on test rows.
    """

    def __init__(
        self, compare: str, tried: list[Options], choose: str, networks: list[Network], curves: Numbers
    ) -> None:
        are_numbers = all(isinstance(options[choose], (int, float)) for options in tried)
        if are_numbers:
            tried = sorted(tried, key=lambda options: options[choose])
        splits = len({network.split for network in networks})
        numbers = [[n for n, network in enumerate(networks) if network.options == options] for options in tried]
        tables = np.reshape(numbers, (len(tried), splits, -1))  # (R, S, K) numbers of networks
        self.loss, self.value = tried[0]["loss"], tried[0][compare]
        # A number alone does not say what it is of.
        self.name = self.value if isinstance(self.value, str) else f"{compare} {plain(self.value)}"
        self.options = [options[choose] for options in tried]  # R, of which each split chooses one
        # The validation loss of each split at each of these, the mean over seeds, (S, R); NaN if a network diverged.
        self.losses: Numbers = curves[-1, VAL, list(METRICS).index(self.loss)][tables].mean(-1).T
        self.chosen = np.nan_to_num(self.losses, nan=np.inf).argmin(1)  # (S,) numbers of options
        self.chosen_options = [self.options[number] for number in self.chosen]
        counts = [f"{option} in {number}" for option, number in Counter(map(plain, self.chosen_options)).most_common()]
        counts[0] += f" of {splits} splits"
        self.choice = ", ".join(counts)  # as in "1 in 9 of 10 splits, 4 in 1"
        self.networks = tables[self.chosen, np.arange(splits)]  # (S, K) at the chosen options
        self.curves: Numbers = curves[..., self.networks].mean(-1)  # (V, 2, metrics, S) of these, the mean over seeds
        self.tested: Numbers = self.curves[-1, TEST]  # (metrics, S) at the end
        self.accuracy = self.tested[ACCURACY]  # (S,)
        self.diverged = bool(np.isnan(self.accuracy).any())  # in some split at every option, or another one were chosen
        # In half of the splits or more, a still better number may lie beyond those that were tried.
        ends = int(np.isin(self.chosen, (0, len(tried) - 1)).sum())
        self.at_edge = are_numbers and len(tried) > 1 and 2 * ends >= splits and not self.diverged


class Comparison(NamedTuple):
    """A value's difference from another one, value minus other, in a metric on test rows."""

    value: Compared
    against: Compared
    names: tuple[str, str]  # of both, as in "hidden_features 8" and "2"
    metric: str
    measure: str  # what the metric is called on test rows
    by_split: Numbers  # (S,) the difference in each split
    found: Difference  # Its interval is one of all comparisons' that hold at once,
    p: float  # and this is Holm's for all of them.


def compare_each(pairs: list[tuple[Compared, Compared, tuple[str, str]]], ratio: float) -> list[Comparison]:
    """Compare two values of each pair in each metric, accuracy first; ``ratio`` is that of test to training rows."""
    comparisons = []
    for number, metric in enumerate(METRICS):
        measure = {**WORDS, "accuracy": "test accuracy"}.get(metric, metric)
        for value, against, names in pairs:
            by_split = value.tested[number] - against.tested[number]
            found = corrected(by_split, ratio, len(pairs) * len(METRICS))
            comparisons.append(Comparison(value, against, names, metric, measure, by_split, found, math.nan))
    adjusted = holm([each.found.p for each in comparisons])
    return [each._replace(p=p) for each, p in zip(comparisons, adjusted, strict=True)]


def find_lowest(losses: Numbers) -> npt.NDArray[np.int64]:
    """Return which validation had the lowest loss until each one, (V, networks), of losses alike; a NaN is lowest."""
    is_lower = ~(np.diff(np.minimum.accumulate(losses), axis=0, prepend=np.inf) >= 0)
    return np.maximum.accumulate(np.where(is_lower, np.arange(len(losses))[:, None], 0))


class Answer:
    """What a study found, from its trained networks and their data.

    ``at`` says whether a network is told after its last iteration, or after that of its lowest validation loss;
    ``margin`` is the smallest difference in accuracy that matters.
    """

    def __init__(self, model: Classifiers, data: Splits, at: str = "last", margin: float = 0.02) -> None:
        design, self.model, self.data, self.at, self.margin = model.design, model, data, at, margin
        self.compare, self.choose = design.compare, design.choose
        self.steps = np.array(model.steps, np.float64)  # (V,) the validated iterations
        self.curves: Numbers = torch.stack(model.curves).numpy()  # (V, 2, metrics, networks) as measured then
        own = [list(METRICS).index(network.options["loss"]) for network in model.networks]
        best = find_lowest(self.curves[:, VAL, own, range(len(own))])
        stopped = np.take_along_axis(self.curves, best[:, None, None], 0)  # had each ended at its lowest loss so far
        self.best_step, self.best_tested = self.steps[best[-1]], stopped[-1, TEST]  # (networks,), (metrics, networks)
        values = defaultdict[str, list[Options]](list)
        for options in design.combined:
            values[str(options[self.compare])].append(options)
        trained = self.choose, model.networks, stopped if at == "best" else self.curves
        self.values = {name: Compared(self.compare, tried, *trained) for name, tried in values.items()}
        first, *others = self.values.values()
        pairs = [(other, first, (other.name, plain(first.value))) for other in others]
        self.baseline = None
        if design.baselines:  # the first value without a hidden layer, at its own best options
            self.baseline = Compared("activation", design.baselines, *trained)
            pairs.append((first, self.baseline, ("networks with", WITHOUT)))
        rows = [each.classes.rows for each in data.by_seed.values()]
        self.comparisons = compare_each(pairs, float(np.mean([of["test"] / of["train"] for of in rows])))
        margins = {"accuracy": margin}  # Of losses, none holds for all data.
        self.verdicts = [
            sentence(each.found, each.names, each.measure, each.p, margins.get(each.metric))
            for each in self.comparisons
        ]

    @property
    def sentences(self) -> list[str]:
        """What was found in words, the comparisons first."""
        lines, named = self.verdicts.copy(), {each.name: each for each in self.values.values()}
        if self.baseline is not None:
            named[f"{WITHOUT} (activation {BASELINE})"] = self.baseline
        for name, each in named.items():
            lost = f"{name}: in a split, a network diverged at every {self.choose} that was tried; try smaller ones"
            told = f"{name}: test accuracy {each.accuracy.mean():.3f}"
            if self.at == "best":
                middle = np.median(self.best_step[each.networks])
                told += f" at the lowest validation loss, after {middle:.0f} iterations in the median"
            by = f"each split chose its {self.choose} by validation loss: {each.choice}"
            lines.append(lost if each.diverged else f"{told}; {by}")
        if at_edge := [name for name, each in named.items() if each.at_edge]:
            edge = f"in half of the splits or more, {self.choose} is at the edge of what was tried"
            lines.append(f"{join_words(at_edge)}: {edge}; better ones may lie beyond: try more of them")
        if self.data.classes.groups is not None:
            others = f"; --data.split groups estimates for new {self.data.group_name}"
            apart = ": no group has rows in two subsets of a split"
            lines.append(f"an estimate for {self.data.claim}{apart if self.data.split == 'groups' else others}")
        return [*lines, "guessing: test accuracy 0.500"]
