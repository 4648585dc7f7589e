"""What is chosen and how values differ: with numbers worked out by hand, and test rows that no choice may look at."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from project.model.loss import METRICS
from project.study.answer import ACCURACY, Compared, find_lowest
from project.study.networks import Design, Network
from project.study.stack import TEST, VAL

LOSS = {name: list(METRICS).index(name) for name in ("bce", "mse")}
RATES = [4.0, 1.0, 2.0]  # in no order
DESIGN = Design({"loss": ["bce", "mse"], "lr": RATES, "activation": "tanh"}, "model.loss", "lr", splits=3, seeds=2)
NETWORKS = DESIGN.networks
RATE = np.array([network.options["lr"] for network in NETWORKS])


def test_each_combination_is_there_also_of_the_first_value_without_a_hidden_layer() -> None:
    """With the seeds of each split."""
    assert replace(DESIGN, splits=2, first_split=7, first_seed=5).networks == [
        Network(split, seed, {"loss": loss, "lr": rate, "activation": activation})
        for split, seeds in ((7, (5, 6)), (8, (7, 8)))
        for loss, activation in (("bce", "tanh"), ("mse", "tanh"), ("bce", "identity"))
        for rate in RATES
        for seed in seeds
    ]
    assert replace(DESIGN, values={**DESIGN.values, "activation": "identity"}).baselines == []
    assert replace(DESIGN, values={**DESIGN.values, "loss": "bce"}, compare="activation").baselines == []


def draw_curves(seed: int) -> npt.NDArray[np.float64]:
    """Return what was measured after one iteration, (1, 2, metrics, networks)."""
    return np.random.default_rng(seed).uniform(1, 2, (1, 2, len(METRICS), len(NETWORKS)))


def compared(curves: npt.NDArray[np.float64], loss: str = "bce") -> Compared:
    tried = [options for options in DESIGN.combined if options["loss"] == loss]
    return Compared("loss", tried, "lr", NETWORKS, curves)


def test_each_split_chooses_by_its_own_validation_loss_and_no_test_row_is_looked_at() -> None:
    curves = draw_curves(0)
    curves[0, VAL, LOSS["mse"], RATE == 2.0] = 0.5
    for place, network in enumerate(NETWORKS):
        if network.options["lr"] == (1.0, 4.0, 4.0)[network.split]:
            curves[0, VAL, LOSS["bce"], place] = 0.1 * network.split + 0.01 * (network.seed % 2)
    for other in draw_curves(0), draw_curves(1):
        curves[0, TEST] = other[0, TEST]
        found = {loss: compared(curves, loss) for loss in LOSS}
        assert [(each.choice, each.at_edge) for each in found.values()] == [
            ("4 in 2 of 3 splits, 1 in 1", True),
            ("2 in 3 of 3 splits", False),
        ]
    assert (found["bce"].options, found["bce"].chosen_options) == (sorted(RATES), [1.0, 4.0, 4.0])
    np.testing.assert_allclose(found["bce"].losses[range(3), [0, 2, 2]], [0.005, 0.105, 0.205])
    for loss, each in found.items():
        for split, (places, rate) in enumerate(zip(each.networks, each.chosen_options, strict=True)):
            options = {"loss": loss, "lr": rate, "activation": "tanh"}
            assert [NETWORKS[place] for place in places] == [
                Network(split, 2 * split + seed, options) for seed in (0, 1)
            ]
            np.testing.assert_allclose(each.tested[:, split], curves[0, TEST][:, places].mean(1))


def test_the_lowest_loss_so_far_is_the_first_one_and_a_network_that_diverged_has_none() -> None:
    losses = np.random.default_rng(0).integers(0, 20, (12, 40)) / 10
    losses[7:, 0] = np.nan
    expected = [[np.argmin(losses[: step + 1, each]) for each in range(40)] for step in range(12)]
    np.testing.assert_array_equal(find_lowest(losses)[:7], expected[:7])
    np.testing.assert_array_equal(find_lowest(losses)[7:, 1:], np.array(expected)[7:, 1:])
    assert find_lowest(losses)[7:, 0].tolist() == [*range(7, 12)]


def test_an_option_at_which_a_network_of_the_split_diverged_is_not_chosen_unless_all_did() -> None:
    curves = draw_curves(0)
    curves[0, VAL, LOSS["bce"]] = RATE
    curves[..., np.flatnonzero(RATE == 1.0)[1]] = np.nan
    assert (compared(curves).choice, compared(curves).diverged) == ("1 in 2 of 3 splits, 2 in 1", False)
    lost = compared(np.full_like(curves, np.nan))
    assert (lost.diverged, lost.at_edge) == (True, False)


def test_what_is_told_is_unbiased_although_splits_test_on_rows_that_others_validate() -> None:
    """Of 10 equally good features, with 50 rows a class; one choice for all splits finds the luckiest of them."""
    rng, features, splits = np.random.default_rng(0), 10, 10
    design = Design({"loss": "mse", "lr": [*range(features)], "activation": "identity"}, "loss", "lr", splits, seeds=1)
    told, pooled, true = [], [], []
    for _ in range(200):
        classes, curves = (
            rng.normal([[[-0.25]], [[0.25]]], 1, (2, 50, features)),
            np.empty((1, 2, 3, splits * features)),
        )
        for number in range(splits):
            dealt = rng.permuted(np.repeat([[0, 1, 2]], 2, 0).repeat((30, 10, 10), 1), axis=1)
            train, *others = (classes[dealt == subset].reshape(2, -1, features) for subset in range(3))
            middle = train.mean((0, 1))
            own = slice(features * number, features * (number + 1))
            for subset, rows in enumerate(others):
                curves[0, subset, :, own] = ((rows > middle) == [[[False]], [[True]]]).mean((0, 1))
            true.append(norm.cdf([middle + 0.25, 0.25 - middle]).mean())
        curves[0, VAL, LOSS["mse"]] *= -1
        told.append(Compared("loss", design.combined, "lr", design.networks, curves).accuracy.mean())
        by_feature = curves[0].reshape(2, 3, splits, features).mean(2)
        pooled.append(by_feature[TEST, ACCURACY, by_feature[VAL, LOSS["mse"]].argmin()])
    assert abs(np.mean(told) - np.mean(true)) < 0.01
    assert np.mean(pooled) - np.mean(true) > 0.02
