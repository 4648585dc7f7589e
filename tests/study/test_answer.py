"""What is chosen and how values differ: with numbers worked out by hand, and test rows that no choice may look at."""

import numpy as np
import numpy.typing as npt

from project.evaluation.differences import corrected
from project.model.loss import METRICS
from project.study.answer import Compared, compare_with_first
from project.study.networks import Design, Network
from project.study.stack import TEST, VAL

LOSS = {name: list(METRICS).index(name) for name in ("bce", "mse")}
RATES = [4.0, 1.0, 2.0]  # in no order
DESIGN = Design({"loss": ["bce", "mse"], "lr": RATES, "activation": "tanh"}, "loss", "lr", splits=3, seeds=2)
NETWORKS = DESIGN.networks
BCE = np.array([network.options["loss"] == "bce" for network in NETWORKS])
RATE = np.array([network.options["lr"] for network in NETWORKS])


def draw_curves(seed: int) -> npt.NDArray[np.float64]:
    """Return what was measured after one iteration, (1, 2, metrics, networks)."""
    return np.random.default_rng(seed).uniform(1, 2, (1, 2, len(METRICS), len(NETWORKS)))


def compared(curves: npt.NDArray[np.float64], loss: str = "bce") -> Compared:
    tried = [options for options in DESIGN.combined if options["loss"] == loss]
    return Compared(loss, tried, "lr", NETWORKS, curves)


def test_the_lowest_mean_validation_loss_of_its_own_criterion_is_chosen_and_test_rows_are_not_looked_at() -> None:
    curves = draw_curves(0)
    curves[0, VAL, LOSS["mse"], ~BCE & (RATE == 2.0)] = 0.5
    for place, network in enumerate(NETWORKS):
        if network.options["lr"] == 4.0:
            curves[0, VAL, LOSS["bce"], place] = 0.1 * network.split + 0.01 * (network.seed % 2)
    for other in draw_curves(0), draw_curves(1):
        curves[0, TEST] = other[0, TEST]
        found = {loss: compared(curves, loss) for loss in LOSS}
        assert {loss: (each.option, each.at_edge) for loss, each in found.items()} == {
            "bce": (4.0, True),
            "mse": (2.0, False),
        }
    assert found["bce"].options == sorted(RATES)
    np.testing.assert_allclose(found["bce"].losses[:, 2], [0.005, 0.105, 0.205])
    for loss, each in found.items():
        options = {"loss": loss, "lr": each.option, "activation": "tanh"}
        expected = [[Network(split, 2 * split + seed, options) for seed in (0, 1)] for split in range(3)]
        assert [[NETWORKS[place] for place in of_split] for of_split in each.networks] == expected


def test_an_option_at_which_a_network_diverged_is_not_chosen_unless_all_did() -> None:
    curves = draw_curves(0)
    curves[0, VAL, LOSS["bce"]] = RATE
    assert compared(curves).option == 1.0
    curves[..., np.flatnonzero(RATE == 1.0)[1]] = np.nan
    assert (compared(curves).option, compared(curves).diverged) == (2.0, False)
    lost = compared(np.full_like(curves, np.nan))
    assert (lost.diverged, lost.at_edge) == (True, False)


def test_each_value_is_compared_with_the_first_over_splits_whose_seeds_are_averaged() -> None:
    for values in 1, 2, 4:
        design = Design(
            {"loss": "bce", "lr": 1.0, "width": list(range(values)), "activation": "identity"}, "width", "lr", 3, 2
        )
        curves = np.random.default_rng(2).normal(size=(2, 2, len(METRICS), len(design.networks)))
        each_value = [
            Compared(f"v{options['width']}", [options], "lr", design.networks, curves) for options in design.combined
        ]
        found = compare_with_first(each_value, (20, 60))
        names = [f"v{i}" for i in range(1, values)]
        assert [(each.metric, each.value, each.against) for each in found] == [
            (metric, name, "v0") for metric in METRICS for name in names
        ]
        for each in found:
            # Networks are in the order of splits, values and seeds.
            measured = curves[-1, TEST, list(METRICS).index(each.metric)].reshape(3, values, 2).mean(-1)
            difference = measured[:, int(each.value[1:])] - measured[:, 0]
            np.testing.assert_allclose(each.by_split, difference)
            np.testing.assert_allclose(each.found, corrected(difference, 20, 60, max(1, values - 1)))
            assert (each.p is None) == (values == 2)
            assert each.p is None or each.p >= each.found.p
