"""The networks of a study."""

from typing import Any

from project.study.networks import Design, Network

VALUES: dict[str, Any] = {"loss": ["bce", "mse"], "lr": [1, 2], "activation": "tanh"}
ARGUMENTS = {"values": VALUES, "compare": "model.loss", "choose": "lr", "splits": 2, "seeds": 2}


def design(**changed: Any) -> Design:
    return Design(**{**ARGUMENTS, **changed}, first_split=7, first_seed=5)


def test_each_combination_is_there_with_the_seeds_of_each_split_also_of_the_first_value_without_a_hidden_layer() -> (
    None
):
    assert design().networks == [
        Network(split, seed, {"loss": loss, "lr": rate, "activation": activation})
        for split, seeds in ((7, (5, 6)), (8, (7, 8)))
        for loss, activation in (("bce", "tanh"), ("mse", "tanh"), ("bce", "identity"))
        for rate in (1, 2)
        for seed in seeds
    ]
    assert design(values={**VALUES, "activation": "identity"}).baselines == []
    assert design(values={**VALUES, "loss": "bce"}, compare="activation").baselines == []
