"""The answer of a study: the best option for each compared value, and how the values then differ."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from project.evaluation.differences import Difference, corrected, holm, sentence, simultaneous
from project.figures.study import plain
from project.model.loss import METRICS
from project.study.classifiers import Classifiers
from project.study.networks import BASELINE, Network, Options
from project.study.splits import Splits
from project.study.stack import TEST, VAL

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
WORDS = {"accuracy": "test accuracy", "bce": "log loss", "mse": "Brier score"}  # of metrics, on test rows


class Compared(NamedTuple):
    """One value of the compared option, at the option that was chosen for it."""

    name: str  # the value
    loss: str  # the criterion that its networks train on
    options: list[Any]  # what was to be chosen from
    losses: Numbers  # (S, R) validation loss of each split at each of those, the mean over seeds; NaN if one diverged
    chosen: int  # number of the option of the lowest mean over splits
    networks: Indices  # (S, K) numbers of its networks there

    @property
    def option(self) -> Any:
        return self.options[self.chosen]

    @property
    def diverged(self) -> bool:
        """Whether networks diverged at every option, so that none could be chosen."""
        return bool(np.isnan(self.losses).any(0).all())

    @property
    def at_edge(self) -> bool:
        """Whether a still better number may lie beyond those that were tried."""
        last = len(self.options) - 1
        return last > 0 and are_numbers(self.options) and self.chosen in (0, last) and not self.diverged


class Comparison(NamedTuple):
    """How a value differs from the first one, in a metric on test rows: value minus first."""

    value: str
    against: str
    metric: str
    found: Difference
    by_split: Numbers  # (S,) the difference in each split
    p: float | None  # Holm's, where it is one of several comparisons


def are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) for value in values)


def average_seeds(measured: Numbers, networks: Indices) -> Numbers:
    """Return the mean over seeds, (..., S), of what was measured, (..., networks), of the networks (S, K)."""
    means: Numbers = measured[..., networks].mean(-1)
    return means


def choose_options(
    networks: Sequence[Network], combined: Sequence[Options], measured: Numbers, compare: str, choose: str
) -> dict[str, Compared]:
    """Choose, among combined options, one for each compared value by the validation loss; return them by its name.

    The networks are in the order of splits and, in each, of seeds. ``measured`` is (2, metrics, networks), on
    validation and test rows; nothing here looks at the latter.
    """
    found = {}
    splits = len({network.split for network in networks})
    for name in dict.fromkeys(str(options[compare]) for options in combined):
        candidates = [options for options in combined if str(options[compare]) == name]
        if are_numbers([options[choose] for options in candidates]):
            candidates.sort(key=lambda options: options[choose])
        numbers = [[n for n, network in enumerate(networks) if network.options == options] for options in candidates]
        tables = [np.array(each).reshape(splits, -1) for each in numbers]
        loss = candidates[0]["loss"]
        losses = np.stack([average_seeds(measured[VAL, list(METRICS).index(loss)], each) for each in tables], 1)
        chosen = int(np.argmin(np.nan_to_num(losses.mean(0), nan=np.inf)))
        found[name] = Compared(name, loss, [each[choose] for each in candidates], losses, chosen, tables[chosen])
    return found


def compare_with_first(values: Sequence[Compared], measured: Numbers, rows: tuple[int, int]) -> list[Comparison]:
    """Compare each value with the first one in each metric; ``rows`` are how many a split tests and trains on."""
    first, *others = values
    level = simultaneous(max(1, len(others)))
    comparisons = []
    for metric, of_networks in zip(METRICS, measured[TEST], strict=True):
        expected = average_seeds(of_networks, first.networks)
        by_split = [average_seeds(of_networks, other.networks) - expected for other in others]
        found = [corrected(each, *rows, level) for each in by_split]
        adjusted = holm([each.p for each in found]) if len(found) > 1 else [None] * len(found)
        for other, difference, each, p in zip(others, found, by_split, adjusted, strict=True):
            comparisons.append(Comparison(other.name, first.name, metric, difference, each, p))
    return comparisons


class Answer:
    """What a study found, from its trained networks and their data."""

    def __init__(self, model: Classifiers, data: Splits) -> None:
        design, rows = model.design, data.classes.rows
        self.compare, self.choose, self.rows = design.compare, design.choose, (rows["test"], rows["train"])
        self.steps = np.array(model.steps, np.float64)  # (V,) the validated iterations
        self.curves: Numbers = torch.stack(model.curves).numpy()  # (V, 2, metrics, networks) as measured then
        self.values, without = (
            choose_options(model.networks, combined, self.curves[-1], self.compare, self.choose)
            for combined in (design.combined, design.baselines)
        )
        self.baseline = next(iter(without.values()), None)  # without a hidden layer, at its own best option
        self.comparisons = compare_with_first(list(self.values.values()), self.curves[-1], self.rows)

    @property
    def verdicts(self) -> list[str]:
        """Whether the values differ in test accuracy, a sentence for each comparison."""
        found = [each for each in self.comparisons if each.metric == "accuracy"]
        return [sentence(each.found, (each.value, each.against), WORDS["accuracy"], each.p) for each in found]

    def accuracy(self, compared: Compared) -> Numbers:
        """Return the test accuracy in each split after the last iteration, (S,)."""
        return average_seeds(self.curves[-1, TEST, list(METRICS).index("accuracy")], compared.networks)


def sentences(answer: Answer) -> list[str]:
    """Say in words what a study found, the comparisons first."""
    lines, values, name = answer.verdicts, list(answer.values.values()), answer.choose
    for each in values:
        chosen, accuracy = f"{each.name}: {name} {plain(each.option)}", answer.accuracy(each).mean()
        tried = f", of {', '.join(map(plain, each.options))}" if len(each.options) > 1 else ""
        if each.diverged:
            lines.append(f"{each.name}: at every {name} that was tried a network diverged; try smaller ones")
        else:
            lines.append(f"{chosen} has the lowest validation loss{tried}; test accuracy {accuracy:.3f}")
        if each.at_edge:
            lines.append(f"{chosen} is at the edge of what was tried, and better ones may lie beyond: try more of them")
    if answer.baseline is not None:
        without = answer.accuracy(answer.baseline)
        gain = corrected(answer.accuracy(values[0]) - without, *answer.rows)
        words = f"without a hidden layer (activation {BASELINE}, {name} {plain(answer.baseline.option)})"
        verdict = sentence(gain, (values[0].name, BASELINE), WORDS["accuracy"])
        lines.append(f"{words}: test accuracy {without.mean():.3f}; {verdict}")
    return [*lines, "guessing: test accuracy 0.500"]
