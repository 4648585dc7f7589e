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
        several = len(self.options) > 1 and are_numbers(self.options)
        return several and self.chosen in (0, len(self.options) - 1) and not self.diverged


class Comparison(NamedTuple):
    """How a value differs from the first one, in a metric on test rows: value minus first."""

    value: str
    against: str
    metric: str
    found: Difference
    by_split: Numbers  # (S,) the difference in each split
    p: float | None  # Holm's, where it is one of several comparisons

    def sentence(self) -> str:
        return sentence(self.found, (self.value, self.against), WORDS.get(self.metric, self.metric), self.p)


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
    def verdicts(self) -> list[str]:
        """Whether the values differ in test accuracy, a sentence for each comparison."""
        return [each.sentence() for each in self.comparisons if each.metric == "accuracy"]

    def accuracy(self, compared: Compared) -> Numbers:
        """Return the test accuracy in each split after the last iteration, (S,)."""
        return average_seeds(self.curves[-1, TEST, list(METRICS).index("accuracy")], compared.networks)


def are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) for value in values)


def average_seeds(measured: Numbers, networks: Indices) -> Numbers:
    """Return the mean over seeds, (..., S), of what was measured, (..., networks), of the networks (S, K)."""
    means: Numbers = measured[..., networks].mean(-1)
    return means


def choose_options(
    networks: Sequence[Network], combined: Sequence[Options], measured: Numbers, compare: str, choose: str
) -> dict[str, Compared]:
    """Choose an option for each compared value by the validation loss, and return them by the values' names.

    Args:
        networks: all of a study.
        combined: the combinations of options to choose among.
        measured: (2, metrics, networks), on validation and test rows; nothing here looks at the latter.
        compare: the option whose values are compared.
        choose: the option that is chosen.
    """
    found = {}
    for name in dict.fromkeys(str(options[compare]) for options in combined):
        candidates = [options for options in combined if str(options[compare]) == name]
        if are_numbers([options[choose] for options in candidates]):
            candidates.sort(key=lambda options: options[choose])
        tables = [numbers_of(options, networks) for options in candidates]
        loss = candidates[0]["loss"]
        losses = np.stack([average_seeds(measured[VAL, list(METRICS).index(loss)], each) for each in tables], 1)
        chosen = int(np.argmin(np.nan_to_num(losses.mean(0), nan=np.inf)))
        tried = [options[choose] for options in candidates]
        found[name] = Compared(name, loss, tried, losses, chosen, tables[chosen])
    return found


def numbers_of(options: Options, networks: Sequence[Network]) -> Indices:
    """Return the numbers of the networks of some options as (splits, seeds)."""
    found = [number for number, network in enumerate(networks) if network.options == options]
    found.sort(key=lambda number: (networks[number].split, networks[number].seed))
    return np.array(found).reshape(len({networks[number].split for number in found}), -1)


def compare_with_first(
    values: Sequence[Compared], measured: Numbers, test_rows: int, train_rows: int
) -> list[Comparison]:
    """Compare each value with the first one in each metric on test rows; seeds are averaged within their split."""
    first, *others = values
    level = simultaneous(max(1, len(others)))
    comparisons = []
    for metric, of_networks in zip(METRICS, measured[TEST], strict=True):
        expected = average_seeds(of_networks, first.networks)
        by_split = [average_seeds(of_networks, other.networks) - expected for other in others]
        found = [corrected(each, test_rows, train_rows, level) for each in by_split]
        adjusted = holm([each.p for each in found]) if len(found) > 1 else [None] * len(found)
        for other, difference, each, p in zip(others, found, by_split, adjusted, strict=True):
            comparisons.append(Comparison(other.name, first.name, metric, difference, each, p))
    return comparisons


def find_answer(model: Classifiers, data: Splits) -> Answer:
    """Choose and compare among a study's networks, and choose among its baselines."""
    design, steps, curves = model.design, np.array(model.steps, np.float64), torch.stack(model.curves).numpy()
    values, baselines = (
        choose_options(model.networks, combined, curves[-1], design.compare, design.choose)
        for combined in (design.combined, design.baselines)
    )
    rows = data.classes.rows["test"], data.classes.rows["train"]
    comparisons = compare_with_first(list(values.values()), curves[-1], *rows)
    baseline = next(iter(baselines.values()), None)
    return Answer(design.compare, design.choose, steps, curves, values, comparisons, baseline, rows)


def sentences(answer: Answer) -> list[str]:
    """Say in words what a study found, the comparisons first."""
    values, name = list(answer.values.values()), answer.choose
    lines = answer.verdicts
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
        first, without = answer.accuracy(values[0]), answer.accuracy(answer.baseline)
        words = f"without a hidden layer (activation {BASELINE}, {name} {plain(answer.baseline.option)})"
        gain = sentence(corrected(first - without, *answer.rows), (values[0].name, BASELINE), WORDS["accuracy"])
        lines.append(f"{words}: test accuracy {without.mean():.3f}; {gain}")
    lines.append("guessing: test accuracy 0.500")
    return lines
