"""Which networks a study has, which of them train together, and what cannot be studied."""

from typing import Any

import pytest

from project.study.networks import MOST_TOGETHER, TRIED, Design, Network, stacks_of

VALUES: dict[str, Any] = {"loss": ["bce", "mse"], "lr": [1, 2], "activation": "tanh"}


def design(
    values: dict[str, Any], compare: str = "model.loss", choose: str = "lr", splits: int = 1, seeds: int = 1
) -> Design:
    return Design(values, compare, choose, splits, seeds, first_split=7, first_seed=5)


def test_each_combination_is_there_once_in_order() -> None:
    found = design(VALUES).combined
    assert [(options["loss"], options["lr"]) for options in found] == [("bce", 1), ("bce", 2), ("mse", 1), ("mse", 2)]
    assert all(options["activation"] == "tanh" for options in found)


def test_the_baseline_is_the_first_value_without_a_hidden_layer_unless_that_is_studied() -> None:
    expected = [{"loss": "bce", "lr": rate, "activation": "identity"} for rate in (1, 2)]
    assert design(VALUES).baselines == expected
    assert design({**VALUES, "loss": "bce"}, "activation").baselines == []
    assert design({**VALUES, "activation": "identity"}).baselines == []


def test_each_split_has_seeds_of_its_own_of_which_a_baseline_has_one() -> None:
    found = design({"loss": "bce", "lr": 1, "activation": "tanh"}, splits=2, seeds=2).networks
    assert found == [
        Network(split, seed, {"loss": "bce", "lr": 1, "activation": activation})
        for split, seeds in ((7, (5, 6)), (8, (7, 8)))
        for seed, activation in ((seeds[0], "tanh"), (seeds[1], "tanh"), (seeds[0], "identity"))
    ]


def test_stacks_are_of_one_split_and_shape_and_not_too_large() -> None:
    values = {"loss": "bce", "lr": [1, 2], "activation": ["tanh", "relu"]}
    networks = design(values, "activation", splits=2, seeds=20).networks
    stacks = stacks_of(networks)
    assert sorted(map(len, stacks)) == [40 - MOST_TOGETHER] * 4 + [MOST_TOGETHER] * 4
    assert all(network in networks for stack in stacks for network in stack)
    assert all(len({(each.split, each.options["activation"]) for each in stack}) == 1 for stack in stacks)


def test_a_default_list_of_another_option_becomes_its_default() -> None:
    found = design({**VALUES, **TRIED, "activation": ["tanh", "relu"]}, "activation")
    assert found.values == {"loss": "bce", "lr": TRIED["lr"], "activation": ["tanh", "relu"]}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"splits": 0}, "splits: 0; need at least 1"),
        ({"seeds": 0}, "seeds: 0; need at least 1"),
        ({"compare": "nothing"}, "compare: nothing; need one of model.loss, model.lr, model.activation"),
        ({"choose": "model.loss"}, "choose: model.loss; it is compared already, need another option"),
        ({"values": {**VALUES, "lr": [1.0, 1.0]}}, r"model.lr: \[1.0, 1.0\]; need different values"),
        ({"values": {**VALUES, "lr": []}}, r"model.lr: \[\]; need different values"),
        (
            {"values": {**VALUES, "activation": ["tanh", "relu"]}},
            r"model.activation: \['tanh', 'relu'\]; a list is for the option to --compare or to --choose",
        ),
    ],
)
def test_what_cannot_be_studied_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        design(**{"values": VALUES, **changed})
