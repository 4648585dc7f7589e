"""The networks of a study, those of them that train together, and what cannot be studied."""

from typing import Any

import pytest

from project.study.networks import MOST_TOGETHER, Design, Network, group_alike

VALUES: dict[str, Any] = {"loss": ["bce", "mse"], "lr": [1, 2], "activation": "tanh"}
ONE = {**VALUES, "loss": "bce"}


def design(
    values: dict[str, Any], compare: str = "model.loss", choose: str = "lr", splits: int = 1, seeds: int = 1
) -> Design:
    return Design(values, compare, choose, splits, seeds, first_split=7, first_seed=5)


def test_each_combination_is_there_once_in_order_and_the_first_value_without_a_hidden_layer() -> None:
    expected = [("bce", 1), ("bce", 2), ("mse", 1), ("mse", 2)]
    assert design(VALUES).combined == [{"loss": loss, "lr": rate, "activation": "tanh"} for loss, rate in expected]
    assert design(VALUES).baselines == [{"loss": "bce", "lr": rate, "activation": "identity"} for rate in (1, 2)]
    for values, compare in (ONE, "activation"), ({**ONE, "activation": "identity"}, "model.loss"):
        assert design(values, compare).baselines == []


def test_each_split_has_seeds_of_its_own_of_which_a_baseline_has_one() -> None:
    assert design({**ONE, "lr": 1}, splits=2, seeds=2).networks == [
        Network(split, seed, {"loss": "bce", "lr": 1, "activation": activation})
        for split, seeds in ((7, (5, 6)), (8, (7, 8)))
        for seed, activation in ((seeds[0], "tanh"), (seeds[1], "tanh"), (seeds[0], "identity"))
    ]


def test_stacks_are_of_one_split_and_shape_and_not_too_large() -> None:
    networks = design({**ONE, "activation": ["tanh", "relu"]}, "activation", splits=2, seeds=20).networks
    stacks = group_alike(networks)
    assert sorted(map(len, stacks)) == [40 - MOST_TOGETHER] * 4 + [MOST_TOGETHER] * 4
    assert all(network in networks for stack in stacks for network in stack)
    assert all(len({(each.split, each.options["activation"]) for each in stack}) == 1 for stack in stacks)


def test_what_cannot_be_studied_is_refused() -> None:
    lists = {**VALUES, "activation": ["tanh", "relu"]}
    for changed, words in [
        ({"splits": 0}, "splits: 0; need at least 1"),
        ({"seeds": 0}, "seeds: 0; need at least 1"),
        ({"compare": "nothing"}, "compare: nothing; need one of model.loss, model.lr, model.activation"),
        ({"choose": "model.loss"}, "choose: model.loss; it is compared already, need another option"),
        ({"values": {**VALUES, "lr": [1.0, 1.0]}}, r"model.lr: \[1.0, 1.0\]; need different values"),
        ({"values": {**VALUES, "lr": []}}, r"model.lr: \[\]; need different values"),
        (
            {"values": lists},
            r"model.activation: \['tanh', 'relu'\]; a list is for the option to --compare or to --choose",
        ),
    ]:
        with pytest.raises(ValueError, match=f"^{words}$"):
            design(**{"values": VALUES, **changed})
