"""The networks of a study: each combination of options, in each split, from each seed."""

import inspect
import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

from project.model import BinaryClassifier
from project.model.loss import CRITERIA
from project.options import check

Options = dict[str, Any]

RATE = "lr"  # the one option whose values train in one stack: a rate is a weight of the network's loss
MOST_TOGETHER = 32  # networks: their overhead is that of one by then, and other threads train more of them
BASELINE = "identity"  # the activation that makes the hidden layer none: the network is a logistic regression

# What is compared and chosen unless lists are given.
TRIED: dict[str, list[Any]] = {"loss": list(CRITERIA), RATE: [0.25, 1.0, 4.0, 16.0]}


class Network(NamedTuple):
    """What ``fit`` would be told to train the same network."""

    split: int  # data.seed
    seed: int  # seed_everything
    options: Options  # of the model


@dataclass
class Design:
    """What a study is asked: which networks to train, and which of their options to compare and to choose.

    Args:
        values: All of the model's options, of which the one to compare and the one to choose may be lists of values. A
            list in TRIED of another option becomes that option's default.
        compare: The option whose values are compared, as in "loss" or "model.loss".
        choose: The option of which the best value is chosen for each of them.
        splits: Splits of the data, at least 1.
        seeds: Seeds of the initial weights and of the order of rows in each split, at least 1.
        first_split: The seed of the first split; the others follow one by one.
        first_seed: The first of all seeds, likewise.

    Raises:
        ValueError: if one of these is not what it should be; the model's options are not looked at closer.
    """

    values: Options
    compare: str
    choose: str
    splits: int
    seeds: int
    first_split: int = 0
    first_seed: int = 0

    def __post_init__(self) -> None:
        check(splits=self.splits, seeds=self.seeds)
        for role, option in (("compare", self.compare), ("choose", self.choose)):
            name = option.removeprefix("model.")
            if name not in self.values:
                raise ValueError(f"{role}: {option}; need one of {', '.join(f'model.{each}' for each in self.values)}")
            values = self.values[name]
            if isinstance(values, list) and (not values or len(set(map(str, values))) < len(values)):
                raise ValueError(f"model.{name}: {values}; need different values")
            setattr(self, role, name)
        if self.compare == self.choose:
            raise ValueError(f"choose: model.{self.choose}; it is compared already, need another option")
        self.values = dict(self.values)
        for name, values in self.values.items():
            if isinstance(values, list) and name not in (self.compare, self.choose):
                if values != TRIED.get(name):
                    raise ValueError(f"model.{name}: {values}; a list is for the option to --compare or to --choose")
                self.values[name] = inspect.signature(BinaryClassifier).parameters[name].default

    @property
    def combined(self) -> list[Options]:
        """Each combination of the options' values."""
        lists = [values if isinstance(values, list) else [values] for values in self.values.values()]
        return [dict(zip(self.values, each, strict=True)) for each in itertools.product(*lists)]

    @property
    def baselines(self) -> list[Options]:
        """The first compared value without a hidden layer, unless such networks are studied anyway."""
        combined, first = self.combined, self.combined[0][self.compare]
        if self.compare == "activation" or any(options["activation"] == BASELINE for options in combined):
            return []
        return [{**options, "activation": BASELINE} for options in combined if options[self.compare] == first]

    @property
    def networks(self) -> list[Network]:
        """All networks; a baseline is trained once a split, because its end hardly depends on the seed.

        Each split has seeds of its own. Those of another split would make what is special about their initial weights
        look like what splits agree on.
        """
        networks = []
        for number in range(self.splits):
            first = self.first_seed + number * self.seeds
            drawn = [*itertools.product(self.combined, range(first, first + self.seeds))]
            drawn += [(options, first) for options in self.baselines]
            networks += [Network(self.first_split + number, seed, options) for options, seed in drawn]
        return networks


def stacks_of(networks: list[Network]) -> list[list[Network]]:
    """Group networks by what can train together: a few of one split whose options are equal, but for the rate."""
    alike: dict[Any, list[Network]] = {}
    for network in networks:
        shape = tuple((name, value) for name, value in network.options.items() if name != RATE)
        alike.setdefault((network.split, shape), []).append(network)
    starts = [(each, start) for each in alike.values() for start in range(0, len(each), MOST_TOGETHER)]
    return [each[start : start + MOST_TOGETHER] for each, start in starts]
