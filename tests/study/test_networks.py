"""Which networks a study has, and which of them train together."""

from project.study.networks import MOST_TOGETHER, Network, baselines_of, combinations, networks_of, stacks_of


def test_each_combination_is_there_once_in_order() -> None:
    found = combinations({"loss": ["bce", "mse"], "lr": [1, 2], "activation": "tanh"})
    assert [(options["loss"], options["lr"]) for options in found] == [("bce", 1), ("bce", 2), ("mse", 1), ("mse", 2)]
    assert all(options["activation"] == "tanh" for options in found)


def test_the_baseline_is_the_first_value_without_a_hidden_layer_unless_that_is_studied() -> None:
    combined = combinations({"loss": ["bce", "mse"], "lr": [1, 2], "activation": "tanh"})
    expected = [{"loss": "bce", "lr": rate, "activation": "identity"} for rate in (1, 2)]
    assert baselines_of(combined, "loss") == expected
    assert baselines_of(combined, "activation") == []
    assert baselines_of(combinations({"loss": "bce", "activation": ["identity"]}), "loss") == []


def test_each_split_has_seeds_of_its_own_of_which_a_baseline_has_one() -> None:
    found = networks_of([{"lr": 1}], [{"lr": 2}], [0, 1], [5, 6, 7, 8])
    assert found == [
        Network(split, seed, {"lr": rate})
        for split, seeds in ((0, (5, 6)), (1, (7, 8)))
        for seed, rate in ((seeds[0], 1), (seeds[1], 1), (seeds[0], 2))
    ]


def test_stacks_are_of_one_split_and_shape_and_not_too_large() -> None:
    combined = combinations({"lr": [1, 2], "activation": ["tanh", "relu"]})
    networks = networks_of(combined, [], [0, 1], list(range(40)))
    stacks = stacks_of(networks)
    assert sorted(map(len, stacks)) == [40 - MOST_TOGETHER] * 4 + [MOST_TOGETHER] * 4
    assert all(network in networks for stack in stacks for network in stack)
    assert all(len({(each.split, each.options["activation"]) for each in stack}) == 1 for stack in stacks)
