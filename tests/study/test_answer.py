"""What is chosen and how values differ: with numbers worked out by hand, and test rows that no choice may look at."""

import numpy as np
import numpy.typing as npt

from project.model.loss import METRICS
from project.study.answer import Compared
from project.study.networks import Design, Network
from project.study.stack import TEST, VAL

LOSS = {name: list(METRICS).index(name) for name in ("bce", "mse")}
RATES = [4.0, 1.0, 2.0]  # in no order
DESIGN = Design({"loss": ["bce", "mse"], "lr": RATES, "activation": "tanh"}, "loss", "lr", splits=3, seeds=2)
NETWORKS = DESIGN.networks
RATE = np.array([network.options["lr"] for network in NETWORKS])


def draw_curves(seed: int) -> npt.NDArray[np.float64]:
    """Return what was measured after one iteration, (1, 2, metrics, networks)."""
    return np.random.default_rng(seed).uniform(1, 2, (1, 2, len(METRICS), len(NETWORKS)))


def compared(curves: npt.NDArray[np.float64], loss: str = "bce") -> Compared:
    tried = [options for options in DESIGN.combined if options["loss"] == loss]
    return Compared("loss", tried, "lr", NETWORKS, curves)


def test_the_lowest_mean_validation_loss_of_its_own_criterion_is_chosen_and_test_rows_are_not_looked_at() -> None:
    curves = draw_curves(0)
    curves[0, VAL, LOSS["mse"], RATE == 2.0] = 0.5
    for place, network in enumerate(NETWORKS):
        if network.options["lr"] == 4.0:
            curves[0, VAL, LOSS["bce"], place] = 0.1 * network.split + 0.01 * (network.seed % 2)
    for other in draw_curves(0), draw_curves(1):
        curves[0, TEST] = other[0, TEST]
        found = {loss: compared(curves, loss) for loss in LOSS}
        assert [(each.option, each.at_edge) for each in found.values()] == [(4.0, True), (2.0, False)]
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
