"""A network of a study is the network that fit would have trained, whatever trains beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from project.commands.trainer import make_trainer
from project.data import NpyDataModule
from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.study.classifiers import Classifiers
from project.study.networks import MOST_TOGETHER, Network
from project.study.splits import Splits
from tests.conftest import Write

OPTIONS: dict[str, Any] = {
    "hidden_features": 8,
    "activation": "tanh",
    "lr": 0.5,
    "loss": "bce",
    "standardize": True,
    "network": "two_layer",
}


class Curves(Callback):
    """Keeps what Lightning logged at each validation of a single network, (2, metrics) each."""

    def __init__(self) -> None:
        self.rows: list[list[list[float]]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logged = trainer.callback_metrics
        self.rows.append([[logged[f"{subset}/{name}"].item() for name in METRICS] for subset in ("val", "test")])


def trainer(steps: int, *callbacks: Callback) -> Trainer:
    return make_trainer(max_steps=steps, accelerator="cpu", callbacks=list(callbacks), logger=False)


def design(splits: int, seeds: int, compare: str = "activation", choose: str = "lr", **options: Any) -> dict[str, Any]:
    """Return the arguments of a design; where activations are compared it has no baselines."""
    values = {**OPTIONS, **options}
    return {"values": values, "compare": compare, "choose": choose, "splits": splits, "seeds": seeds}


def study(
    root: Path,
    steps: int,
    seeds: int = 2,
    batch_size: int | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> tuple[Classifiers, torch.Tensor]:
    """Train a study of two splits, and return it and what it measured, (validations, 2, metrics, networks)."""
    data = Splits(2, root=root, batch_size=batch_size)
    model = Classifiers(data.num_features, **design(2, seeds, **options))
    trainer(steps, *callbacks).fit(model, datamodule=data)
    return model, torch.stack(model.curves)


def alone(root: Path, network: Network, steps: int, batch_size: int | None = None) -> torch.Tensor:
    """Train one network as fit does, and return what it measured, (validations, 2, metrics)."""
    seed_everything(network.seed, verbose=False)
    data, curves = NpyDataModule(root, seed=network.split, batch_size=batch_size, track_test=True), Curves()
    trainer(steps, curves).fit(BinaryClassifier(data.num_features, **network.options), datamodule=data)
    return torch.tensor(curves.rows, dtype=torch.float64)


def write_blobs(write_classes: Write, features: int, rows: int = 50) -> Path:
    rng = np.random.default_rng(features)
    return write_classes(rng.normal(-0.5, 1, (rows, features)), rng.normal(0.5, 1, (rows, features)))


@pytest.mark.process
@pytest.mark.parametrize(
    ("features", "batch_size", "steps"),
    [(1, 16, 100), (2, None, 1000), (30, None, 100), (30, 16, 200)],
)
def test_each_network_is_the_one_that_fit_trains(
    write_classes: Write, features: int, batch_size: int | None, steps: int
) -> None:
    """At the default rate, losses agree to 1e-5 relative at every validation; both criteria train together."""
    root, rate = write_blobs(write_classes, features), BinaryClassifier(1).lr
    model, curves = study(root, steps, batch_size=batch_size, compare="loss", lr=rate, loss=["bce", "mse"])
    assert model.steps == list(range(20, steps + 1, 20))
    for place in (0, 3, 4, 8):  # Both losses, seeds and splits and a baseline are among them.
        network = model.networks[place]
        expected = alone(root, network, steps, batch_size)
        torch.testing.assert_close(curves[..., place], expected, rtol=1e-5, atol=1e-7)
    assert len({tuple(curves[-1, 0, :, place].tolist()) for place in range(10)}) == 10, "all are different networks"


def test_networks_with_other_options_train_in_stacks_of_their_own(blobs: Path) -> None:
    options: dict[str, Any] = {"compare": "standardize", "standardize": [True, False], "hidden_features": [3, 8]}
    model, curves = study(blobs, 40, seeds=1, choose="hidden_features", **options)
    for place in range(0, 12, 3):
        torch.testing.assert_close(curves[..., place], alone(blobs, model.networks[place], 40), rtol=1e-5, atol=1e-7)
    rebuilt = model.classifier(5)
    answers = rebuilt(np.load(blobs / "class_0.npy"))
    labels = torch.zeros_like(answers)
    assert rebuilt.hparams == {"num_features": 2, **model.networks[5].options}
    assert 0 < METRICS["accuracy"](labels, answers) <= 1


def test_how_many_train_beside_a_network_changes_nothing(blobs: Path) -> None:
    seeds = MOST_TOGETHER + 3
    many, few = study(blobs, 40, seeds)[1], study(blobs, 40, 2)[1]
    torch.testing.assert_close(many[..., :2], few[..., :2], rtol=1e-6, atol=1e-8)


def test_pieces_of_rows_too_many_for_the_cache_change_nothing(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = study(blobs, 40)[1]
    monkeypatch.setattr("project.study.stack.CELLS", 1)
    torch.testing.assert_close(study(blobs, 40)[1], whole, rtol=1e-6, atol=1e-8)


def test_a_network_that_diverges_is_marked_and_harms_no_other(blobs: Path) -> None:
    rates = [0.5, 3e38]
    model, curves = study(blobs, 60, seeds=1, lr=rates, loss="mse", activation="relu")
    assert model.diverged.tolist() == [network.options["lr"] == rates[1] for network in model.networks]
    assert curves[..., model.diverged].isnan().all()
    assert all(weights.isfinite().all() for weights in model.parameters()), "a checkpoint can be saved"
    calm = study(blobs, 60, seeds=1, lr=rates[0], loss="mse", activation="relu")[1]
    torch.testing.assert_close(curves[..., ~model.diverged], calm, rtol=1e-6, atol=1e-8)


class Overflow(Callback):
    """Gives the first network, before a validation, finite weights that answer infinity less infinity."""

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 40:
            stack = pl_module.get_submodule("stacks.0")
            for weights in list(stack.parameters())[:2]:
                weights.data[0] = 3e38


def test_a_network_whose_weights_stay_finite_and_whose_losses_do_not_is_marked_too(blobs: Path) -> None:
    options: dict[str, Any] = {"seeds": 1, "lr": [0.1, 0.5], "activation": "relu"}
    model, curves = study(blobs, 60, **options, callbacks=[Overflow()])
    assert model.diverged.tolist() == [True, False, False, False]
    assert curves[0].isfinite().all()
    assert curves[1:, ..., 0].isnan().all()
    torch.testing.assert_close(curves[..., 1:], study(blobs, 60, **options)[1][..., 1:], rtol=0, atol=0)


def test_weights_are_drawn_as_fit_draws_them_and_cost_no_random_numbers() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    model = Classifiers(2, **design(1, 2, lr=[0.1, 1.0]), first_split=7, first_seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    for place, network in enumerate(model.networks):
        torch.manual_seed(network.seed)
        expected = BinaryClassifier(2, **network.options).net.state_dict()
        found = model.classifier(place).net.state_dict()
        assert all(torch.equal(found[name], weights) for name, weights in expected.items())
    with pytest.raises(ValueError, match="lr: -1"):
        Classifiers(2, **design(1, 1, lr=[1.0, -1]))
