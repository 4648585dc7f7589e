"""Which networks a study has: each combination of options, in each split, from each seed."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RATE = "lr"  # the one option whose values train in one stack: a rate is a weight of the network's loss

Options = dict[str, Any]


class Network(NamedTuple):
    """What ``fit`` would be told to train the same network."""

    split: int  # data.seed
    seed: int  # seed_everything
    options: Options  # of the model


def combinations(values: Mapping[str, Any]) -> list[Options]:
    """Return each combination of options, of which any may be given as a list of its values."""
    lists = [value if isinstance(value, list) else [value] for value in values.values()]
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*lists)]


def stacks_of(combined: Sequence[Options], splits: Sequence[int], seeds: Sequence[int]) -> list[list[Network]]:
    """Group the networks of all combinations, splits and seeds by what can train together.

    These are networks of one split whose options are equal, but for the rate.
    """
    stacks: dict[Any, list[Network]] = {}
    for split, options, seed in itertools.product(splits, combined, seeds):
        shape = tuple((name, value) for name, value in options.items() if name != RATE)
        stacks.setdefault((split, shape), []).append(Network(split, seed, options))
    return list(stacks.values())
