"""What is chosen and how values differ: with numbers worked out by hand, and test rows that no choice may look at."""

import numpy as np
import pytest

from project.evaluation.differences import corrected
from project.model.loss import METRICS
from project.study.answer import Compared, choose_options, compare_with_first
from project.study.networks import Design, Network, Options
from project.study.stack import TEST, VAL

LOSS = {name: list(METRICS).index(name) for name in ("bce", "mse")}
RATES = [4.0, 1.0, 2.0]  # in no order


def made(losses: list[str]) -> tuple[list[Network], np.ndarray]:
    """Return networks of 3 splits and 2 seeds, and numbers measured of them, (2, metrics, networks)."""
    networks = Design({"loss": losses, "lr": RATES, "activation": "tanh"}, "loss", "lr", 3, 2).networks
    measured = np.random.default_rng(0).uniform(1, 2, (2, len(METRICS), len(networks)))
    return networks, measured


def chosen(networks: list[Network], measured: np.ndarray) -> dict[str, Compared]:
    combined = list[Options]()
    for network in networks:
        if network.options not in combined and network.options["activation"] == "tanh":
            combined.append(network.options)
    return choose_options(networks, combined, measured, "loss", "lr")


def test_the_lowest_mean_validation_loss_of_its_own_criterion_is_chosen() -> None:
    networks, measured = made(["bce", "mse"])
    for place, network in enumerate(networks):
        if network.options == {"loss": "mse", "lr": 2.0, "activation": "tanh"}:
            measured[VAL, LOSS["mse"], place] = 0.5
        if network.options["lr"] == 4.0 and network.options["activation"] == "tanh":
            measured[VAL, LOSS["bce"], place] = 0.1 * network.split + 0.01 * (network.seed % 2)
    found = chosen(networks, measured)
    assert {name: each.option for name, each in found.items()} == {"bce": 4.0, "mse": 2.0}
    assert found["bce"].options == sorted(RATES)
    np.testing.assert_allclose(found["bce"].losses[:, 2], [0.005, 0.105, 0.205])
    assert [found[name].at_edge for name in ("bce", "mse")] == [True, False]
    for each in found.values():
        rows = [[networks[place] for place in of_split] for of_split in each.networks]
        assert [[(n.split, n.seed) for n in row] for row in rows] == [
            [(split, 2 * split + seed) for seed in (0, 1)] for split in range(3)
        ]
        assert {(n.options["loss"], n.options["lr"]) for row in rows for n in row} == {(each.name, each.option)}


def test_the_choice_does_not_look_at_test_rows() -> None:
    networks, measured = made(["bce", "mse"])
    other = measured.copy()
    other[TEST] = np.random.default_rng(1).uniform(-9, 9, other[TEST].shape)
    one, two = chosen(networks, measured), chosen(networks, other)
    assert {name: each.option for name, each in one.items()} == {name: each.option for name, each in two.items()}


def test_an_option_at_which_a_network_diverged_is_not_chosen_unless_all_did() -> None:
    networks, measured = made(["bce"])
    rates = np.array([network.options["lr"] for network in networks])
    measured[VAL, LOSS["bce"]] = rates
    assert chosen(networks, measured)["bce"].option == 1.0
    measured[:, :, np.flatnonzero(rates == 1.0)[1]] = np.nan
    assert chosen(networks, measured)["bce"].option == 2.0
    measured[:] = np.nan
    lost = chosen(networks, measured)["bce"]
    assert lost.diverged
    assert not lost.at_edge


@pytest.mark.parametrize("values", [1, 2, 4])
def test_each_value_is_compared_with_the_first_over_splits_whose_seeds_are_averaged(values: int) -> None:
    measured = np.random.default_rng(2).normal(size=(2, len(METRICS), values * 6))
    places = np.arange(values * 6).reshape(values, 3, 2)
    compared = [Compared(f"v{i}", "bce", [1.0], np.zeros((3, 1)), 0, places[i]) for i in range(values)]
    found = compare_with_first(compared, measured, (20, 60))
    assert [(each.metric, each.value, each.against) for each in found] == [
        (metric, f"v{i}", "v0") for metric in METRICS for i in range(1, values)
    ]
    for each in found:
        of_value, of_first = (
            measured[TEST, list(METRICS).index(each.metric), places[i]].mean(1) for i in (int(each.value[1:]), 0)
        )
        expected = corrected(of_value - of_first, 20, 60, 1 - 0.05 / max(1, values - 1))
        np.testing.assert_allclose(each.found, expected)
        np.testing.assert_allclose(each.by_split, of_value - of_first)
        assert (each.p is None) == (values == 2)
        assert each.p is None or each.p >= each.found.p
