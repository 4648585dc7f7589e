"""The answer of a study: the best option for each compared value, and how the values then differ."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from project.evaluation.differences import Difference, corrected, holm, sentence
from project.evaluation.estimate import Numbers
from project.figures.study import plain
from project.model.loss import METRICS
from project.reports import report
from project.study.classifiers import Classifiers
from project.study.networks import BASELINE, Network, Options
from project.study.stack import TEST, VAL, Splits

ACCURACY = list(METRICS).index("accuracy")  # its number among the metrics
WORDS = {**report.WORDS, "accuracy": "test accuracy"}  # of metrics, on test rows


class Compared:
    """One value of the compared option, at the option that its validation loss after the last iteration chooses for it.

    The options that were tried differ in the one to choose. Networks are in the order of splits and, in each, of seeds;
    ``curves`` (V, 2, metrics, networks) hold what was measured on validation and on test rows, which no choice sees.
    """

    def __init__(
        self, compare: str, tried: list[Options], choose: str, networks: list[Network], curves: Numbers
    ) -> None:
        are_numbers = all(isinstance(options[choose], (int, float)) for options in tried)
        if are_numbers:
            tried = sorted(tried, key=lambda options: options[choose])
        splits = len({network.split for network in networks})
        numbers = [[n for n, network in enumerate(networks) if network.options == options] for options in tried]
        tables = [np.array(each).reshape(splits, -1) for each in numbers]  # (S, K) numbers of networks, for each
        means = [curves[..., table].mean(-1) for table in tables]
        self.loss, self.value = tried[0]["loss"], tried[0][compare]
        # A number alone does not say what it is of.
        self.name = self.value if isinstance(self.value, str) else f"{compare} {plain(self.value)}"
        self.options = [options[choose] for options in tried]  # R, of which one is chosen
        # The validation loss of each split at each of these, the mean over seeds, (S, R); NaN if a network diverged.
        self.losses: Numbers = np.stack([each[-1, VAL, list(METRICS).index(self.loss)] for each in means], 1)
        self.chosen = best = int(np.argmin(np.nan_to_num(self.losses.mean(0), nan=np.inf)))
        self.option, self.networks = self.options[best], tables[best]
        self.curves: Numbers = means[best]  # (V, 2, metrics, S) at the chosen option, the mean over seeds
        self.accuracy: Numbers = self.curves[-1, TEST, ACCURACY]  # (S,) at the end, on test rows
        self.diverged = bool(np.isnan(self.losses[:, best]).any())  # at every option, or another one were chosen
        # A still better number may lie beyond those that were tried.
        self.at_edge = are_numbers and len(means) > 1 and best in (0, len(means) - 1) and not self.diverged


class Comparison(NamedTuple):
    """A value's difference from the first one, value minus first, in a metric on test rows."""

    value: Compared
    against: Compared
    metric: str
    found: Difference
    by_split: Numbers  # (S,) the difference in each split
    p: float | None  # Holm's, where it is one of several comparisons

    @property
    def names(self) -> tuple[str, str]:
        """The names of both values, as in "hidden_features 8" and "2"."""
        return self.value.name, plain(self.against.value)


def compare_with_first(values: Sequence[Compared], rows: tuple[int, int]) -> list[Comparison]:
    """Compare each value with the first one in each metric; ``rows`` are how many a split tests and trains on."""
    first, *others = values
    comparisons = []
    for number, metric in enumerate(METRICS):
        by_split = [other.curves[-1, TEST, number] - first.curves[-1, TEST, number] for other in others]
        found = [corrected(each, *rows, len(others)) for each in by_split]
        adjusted = holm([each.p for each in found]) if len(found) > 1 else [None] * len(found)
        for other, *rest in zip(others, found, by_split, adjusted, strict=True):
            comparisons.append(Comparison(other, first, metric, *rest))
    return comparisons


class Answer:
    """What a study found, from its trained networks and their data."""

    def __init__(self, model: Classifiers, data: Splits) -> None:
        design, rows = model.design, data.classes.rows
        self.compare, self.choose, self.rows = design.compare, design.choose, (rows["test"], rows["train"])
        self.steps = np.array(model.steps, np.float64)  # (V,) the validated iterations
        self.curves: Numbers = torch.stack(model.curves).numpy()  # (V, 2, metrics, networks) as measured then
        values = defaultdict[str, list[Options]](list)
        for options in design.combined:
            values[str(options[self.compare])].append(options)
        trained = self.choose, model.networks, self.curves
        self.values = {name: Compared(self.compare, tried, *trained) for name, tried in values.items()}
        # The first value without a hidden layer, at its own best option.
        self.baseline = Compared("activation", design.baselines, *trained) if design.baselines else None
        self.comparisons = compare_with_first(list(self.values.values()), self.rows)
        found = [each for each in self.comparisons if each.metric == "accuracy"]
        # Whether the values differ in test accuracy, a sentence for each comparison.
        self.verdicts = [sentence(each.found, each.names, WORDS["accuracy"], each.p) for each in found]

    @property
    def sentences(self) -> list[str]:
        """What was found in words, the comparisons first."""
        lines, values, name = [*self.verdicts], list(self.values.values()), self.choose
        for each in values:
            chosen = f"{each.name}: {name} {plain(each.option)}"
            tried = f", of {', '.join(map(plain, each.options))}" if len(each.options) > 1 else ""
            best = f"{chosen} has the lowest validation loss{tried}; test accuracy {each.accuracy.mean():.3f}"
            lost = f"{each.name}: at every {name} that was tried a network diverged; try smaller ones"
            lines.append(lost if each.diverged else best)
            if each.at_edge:
                lines.append(f"{chosen} is at the edge of what was tried; better ones may lie beyond: try more of them")
        if self.baseline is not None:
            gain = corrected(values[0].accuracy - self.baseline.accuracy, *self.rows)
            words = f"without a hidden layer (activation {BASELINE}, {name} {plain(self.baseline.option)})"
            verdict = sentence(gain, (values[0].name, BASELINE), WORDS["accuracy"])
            lines.append(f"{words}: test accuracy {self.baseline.accuracy.mean():.3f}; {verdict}")
        return [*lines, "guessing: test accuracy 0.500"]
