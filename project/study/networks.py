"""The networks of a study: each combination of options, in each split, from each seed."""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from project.model.loss import CRITERIA
from project.options import check

Options = dict[str, Any]

RATE = "lr"  # the one option whose values train in one stack: a rate is a weight of the network's loss
MOST_TOGETHER = 64  # networks: their overhead is that of one by then, and other threads train more of them
BASELINE = "identity"  # the activation that makes the hidden layer none: the network is a logistic regression
TRIED: dict[str, list[Any]] = {"loss": list(CRITERIA), RATE: [0.25, 1.0, 4.0, 16.0]}  # unless other lists are given


class Network(NamedTuple):
    """What ``fit`` would be told to train the same network."""

    split: int  # data.seed
    seed: int  # seed_everything
    options: Options  # of the model


@dataclass
class Design:
    """What a study is asked: which networks to train, and which of their options to compare and to choose.

    ``values`` are all of the model's options, of which those to compare and to choose, named as "loss" or "model.loss",
    may be lists. The seeds of splits, and of networks in each, follow the first one. A ValueError tells what is wrong.
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
        for role in "compare", "choose":
            name = getattr(self, role).removeprefix("model.")
            if name not in self.values:
                raise ValueError(f"{role}: {name}; need one of {', '.join(f'model.{each}' for each in self.values)}")
            setattr(self, role, name)
        if self.compare == self.choose:
            raise ValueError(f"choose: model.{self.choose}; it is compared already, need another option")
        for name, values in self.values.items():
            if isinstance(values, list) and name not in (self.compare, self.choose):
                raise ValueError(f"model.{name}: {values}; a list is for the option to --compare or to --choose")
            if isinstance(values, list) and not 0 < len(values) == len(set(map(str, values))):
                raise ValueError(f"model.{name}: {values}; need different values")

    @property
    def combined(self) -> list[Options]:
        """Each combination of the options' values."""
        lists = [values if isinstance(values, list) else [values] for values in self.values.values()]
        return [dict(zip(self.values, each, strict=True)) for each in itertools.product(*lists)]

    @property
    def baselines(self) -> list[Options]:
        """The first compared value without a hidden layer, unless activations are studied or there is none anyway."""
        if "activation" in (self.compare, self.choose) or self.values["activation"] == BASELINE:
            return []
        first = self.combined[0][self.compare]
        return [{**options, "activation": BASELINE} for options in self.combined if options[self.compare] == first]

    @property
    def networks(self) -> list[Network]:
        """All networks, in the order of splits and, in each, of options and seeds."""
        networks = []
        for number in range(self.splits):
            # With the seeds of another split, what is special about them would look like what splits agree on.
            first = self.first_seed + number * self.seeds
            drawn = itertools.product([*self.combined, *self.baselines], range(first, first + self.seeds))
            networks += [Network(self.first_split + number, seed, options) for options, seed in drawn]
        return networks


def group_alike(networks: list[Network]) -> list[list[Network]]:
    """Group networks by what can train together: a few of one split whose options are equal, but for the rate."""
    alike: dict[Any, list[Network]] = defaultdict(list)
    for network in networks:
        alike[network.split, str({**network.options, RATE: None})].append(network)
    return [group[i : i + MOST_TOGETHER] for group in alike.values() for i in range(0, len(group), MOST_TOGETHER)]
