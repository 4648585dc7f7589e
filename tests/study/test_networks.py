"""The networks of a study, and what cannot be studied."""

from typing import Any

import pytest

from project.study.networks import Design, Network

VALUES: dict[str, Any] = {"loss": ["bce", "mse"], "lr": [1, 2], "activation": "tanh"}
ARGUMENTS = {"values": VALUES, "compare": "model.loss", "choose": "lr", "splits": 2, "seeds": 2}


def design(**changed: Any) -> Design:
    return Design(**{**ARGUMENTS, **changed}, first_split=7, first_seed=5)


def test_each_combination_is_there_with_the_seeds_of_each_split_and_the_first_value_without_a_hidden_layer() -> None:
    assert design().networks == [
        Network(split, seed, {"loss": loss, "lr": rate, "activation": activation})
        for split, seeds in ((7, (5, 6)), (8, (7, 8)))
        for loss, activation, own in (("bce", "tanh", seeds), ("mse", "tanh", seeds), ("bce", "identity", seeds[:1]))
        for rate in (1, 2)
        for seed in own
    ]
    assert design(values={**VALUES, "activation": "identity"}).baselines == []
    assert design(values={**VALUES, "loss": "bce"}, compare="activation").baselines == []


def test_what_cannot_be_studied_is_refused() -> None:
    lists = {**VALUES, "activation": ["tanh", "relu"]}
    for option, value, words in [
        ("splits", 0, "splits: 0; need at least 1"),
        ("seeds", 0, "seeds: 0; need at least 1"),
        ("compare", "nothing", "compare: nothing; need one of model.loss, model.lr, model.activation"),
        ("choose", "model.loss", "choose: model.loss; it is compared already, need another option"),
        ("values", {**VALUES, "lr": [1, 1.0, 1]}, r"model.lr: \[1, 1.0, 1\]; need different values"),
        ("values", {**VALUES, "lr": []}, r"model.lr: \[\]; need different values"),
        (
            "values",
            lists,
            r"model.activation: \['tanh', 'relu'\]; a list is for the option to --compare or to --choose",
        ),
    ]:
        with pytest.raises(ValueError, match=f"^{words}$"):
            design(**{option: value})
