"""What a study found: which option suits each compared value best, and how the values then differ."""

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

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
VAL, TEST = 0, 1  # of what was measured
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
        numbers = all(isinstance(option, (int, float)) for option in self.options)
        return numbers and len(self.options) > 1 and self.chosen in (0, len(self.options) - 1) and not self.diverged


class Comparison(NamedTuple):
    """How a value differs from the first one, in a metric on test rows: value minus first."""

    value: str
    against: str
    metric: str
    found: Difference
    each: Numbers  # (S,) the difference in each split
    p: float | None  # Holm's, where it is one of several comparisons

    def sentence(self) -> str:
        return sentence(self.found, (self.value, self.against), WORDS.get(self.metric, self.metric), self.p)


def best_of(
    networks: Sequence[Network], among: Sequence[int], measured: Numbers, compare: str, option: str
) -> dict[str, Compared]:
    """Choose an option for each compared value by the validation loss, and return them by the values' names.

    Args:
        networks: all of a study.
        among: the numbers of some, those of each value and option from the same splits and seeds.
        measured: (2, metrics, networks), on validation and test rows; nothing here looks at the latter.
        compare: the option whose values are compared.
        option: the option that is chosen.
    """
    places: dict[str, dict[Any, list[int]]] = {}
    for place in among:
        network = networks[place]
        of_value = places.setdefault(str(network.options[compare]), {})
        of_value.setdefault(network.options[option], []).append(place)
    splits = len({network.split for network in networks})
    found = {}
    for name, of_value in places.items():
        are_numbers = all(isinstance(value, (int, float)) for value in of_value)
        options = sorted(of_value) if are_numbers else list(of_value)
        tables = [table(of_value[each], networks, splits) for each in options]
        loss = networks[int(tables[0][0, 0])].options["loss"]
        losses = np.stack([by_split(measured[VAL, list(METRICS).index(loss)], each) for each in tables], 1)
        means = np.where(np.isnan(losses).any(0), np.inf, losses.mean(0))
        chosen = int(np.argmin(means))
        found[name] = Compared(name, loss, options, losses, chosen, tables[chosen])
    return found


def table(places: Sequence[int], networks: Sequence[Network], splits: int) -> Indices:
    """Return the numbers of networks that differ in split and seed alone as (S, K)."""
    ordered = sorted(places, key=lambda place: (networks[place].split, networks[place].seed))
    return np.array(ordered).reshape(splits, -1)


def differences(values: Sequence[Compared], measured: Numbers, test_rows: int, train_rows: int) -> list[Comparison]:
    """Compare each value with the first one in each metric on test rows; seeds are averaged within their split."""
    first, *others = values
    found = []
    for number, metric in enumerate(METRICS):
        each_split = [
            by_split(measured[TEST, number], other.networks) - by_split(measured[TEST, number], first.networks)
            for other in others
        ]
        level = simultaneous(max(1, len(others)))
        tests = [corrected(each, test_rows, train_rows, level) for each in each_split]
        adjusted = holm([test.p for test in tests]) if len(tests) > 1 else [None] * len(tests)
        names = [(other.name, first.name, metric) for other in others]
        found += [Comparison(*row) for row in zip(*zip(*names, strict=True), tests, each_split, adjusted, strict=True)]
    return found


class Answer(NamedTuple):
    """What a study found, and what it was found from."""

    compare: str
    choose: str
    steps: Numbers  # (V,) the validated iterations
    curves: Numbers  # (V, 2, metrics, networks) what was measured then, on validation and test rows
    values: dict[str, Compared]
    comparisons: list[Comparison]
    baseline: Compared | None  # networks without a hidden layer, at their own best option
    rows: tuple[int, int]  # of test and of train

    @property
    def end(self) -> Numbers:
        """What was measured after the last iteration."""
        measured: Numbers = self.curves[-1]
        return measured

    @property
    def verdicts(self) -> list[str]:
        """Whether the values differ in test accuracy, a sentence for each comparison."""
        return [each.sentence() for each in self.comparisons if each.metric == "accuracy"]

    def accuracy(self, of: Compared) -> Numbers:
        """Return the test accuracy in each split, (S,)."""
        return by_split(self.end[TEST, list(METRICS).index("accuracy")], of.networks)


def by_split(values: Numbers, networks: Indices) -> Numbers:
    """Return the mean over seeds, (..., S), of what was measured, (..., networks), of those of some numbers, (S, K)."""
    means: Numbers = values[..., networks].mean(-1)
    return means


def find_answer(model: Classifiers, data: Splits, asked: Sequence[Options], compare: str, choose: str) -> Answer:
    """Choose and compare among the networks of the asked options; the others are baselines."""
    steps, measured = np.array(model.steps, np.float64), torch.stack(model.curves).numpy()
    own = [place for place, network in enumerate(model.networks) if network.options in asked]
    rest = [place for place, network in enumerate(model.networks) if network.options not in asked]
    values, without = (best_of(model.networks, places, measured[-1], compare, choose) for places in (own, rest))
    baseline, counts = next(iter(without.values()), None), data.first.classes.rows
    rows = counts["test"], counts["train"]
    comparisons = differences(list(values.values()), measured[-1], *rows)
    return Answer(compare, choose, steps, measured, values, comparisons, baseline, rows)


def sentences(answer: Answer) -> list[str]:
    """Say in words what a study found, the comparisons first."""
    values, name = list(answer.values.values()), answer.choose
    lines = answer.verdicts
    for each in values:
        at, accuracy = f"{each.name}: {name} {plain(each.option)}", answer.accuracy(each).mean()
        tried = f", of {', '.join(map(plain, each.options))}" if len(each.options) > 1 else ""
        if each.diverged:
            lines.append(f"{each.name}: at every {name} that was tried a network diverged; try smaller ones")
        else:
            lines.append(f"{at} has the lowest validation loss{tried}; test accuracy {accuracy:.3f}")
        if each.at_edge:
            lines.append(f"{at} is at the edge of what was tried, and better ones may lie beyond: try more of them")
    if answer.baseline is not None:
        first, without = answer.accuracy(values[0]), answer.accuracy(answer.baseline)
        words = f"without a hidden layer (activation {BASELINE}, {name} {plain(answer.baseline.option)})"
        gain = sentence(corrected(first - without, *answer.rows), (values[0].name, BASELINE), WORDS["accuracy"])
        lines.append(f"{words}: test accuracy {without.mean():.3f}; {gain}")
    lines.append("guessing: test accuracy 0.500")
    return lines
