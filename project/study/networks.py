"""Which networks a study has: each combination of options, in each split, from each seed."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RATE = "lr"  # the one option whose values train in one stack: a rate is a weight of the network's loss

MOST_TOGETHER = 32  # networks: their overhead is that of one by then, and other threads train more of them

BASELINE = "identity"  # the activation that makes the hidden layer none: the network is a logistic regression

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


def baselines_of(combined: Sequence[Options], compare: str) -> list[Options]:
    """Return what the first compared value is without a hidden layer, unless such networks are studied anyway."""
    if compare == "activation" or any(options["activation"] == BASELINE for options in combined):
        return []
    return [{**options, "activation": BASELINE} for options in combined if options[compare] == combined[0][compare]]


def networks_of(
    combined: Sequence[Options], baselines: Sequence[Options], splits: Sequence[int], seeds: Sequence[int]
) -> list[Network]:
    """Return the networks of a study; a baseline is trained once a split: its end hardly depends on the seed.

    Each split has as many seeds, and its own ones. Those of another split would make what is special about their
    initial weights look like what splits agree on.
    """
    each = len(seeds) // len(splits)
    networks = []
    for number, split in enumerate(splits):
        own = seeds[number * each : (number + 1) * each]
        drawn = [*itertools.product(combined, own), *itertools.product(baselines, own[:1])]
        networks += [Network(split, seed, options) for options, seed in drawn]
    return networks


def stacks_of(networks: Sequence[Network]) -> list[list[Network]]:
    """Group networks by what can train together: a few of one split whose options are equal, but for the rate."""
    alike: dict[Any, list[Network]] = {}
    for network in networks:
        shape = tuple((name, value) for name, value in network.options.items() if name != RATE)
        alike.setdefault((network.split, shape), []).append(network)
    starts = [(each, start) for each in alike.values() for start in range(0, len(each), MOST_TOGETHER)]
    return [each[start : start + MOST_TOGETHER] for each, start in starts]
