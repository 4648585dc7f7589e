"""A network of a study is, but for rounding, the one that fit would have trained, whatever trains beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import LambdaCallback

from project.commands.trainer import make_trainer
from project.data import NpyDataModule
from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.study.classifiers import Classifiers
from project.study.networks import Network
from project.study.stack import EVALUATED, Splits
from tests.conftest import Write

VALUES: dict[str, Any] = dict(BinaryClassifier(2, hidden_features=8, lr=0.5).hparams)
# Where activations are compared there are no baselines.
DESIGN: dict[str, Any] = {"compare": "activation", "choose": "lr", "splits": 2, "seeds": 2}


def classifiers(options: dict[str, Any], **design: Any) -> Classifiers:
    """Return a study of networks with some options, or with lists of them, on two features."""
    values = {**VALUES, **options}
    return Classifiers(values.pop("num_features"), values=values, **{**DESIGN, **design})


def train(model: LightningModule, data: NpyDataModule, steps: int, callbacks: Sequence[Callback] = ()) -> None:
    make_trainer(steps, accelerator="cpu", callbacks=list(callbacks), logger=False).fit(model, datamodule=data)


def study(root: Path, options: dict[str, Any], *callbacks: Callback, **design: Any) -> tuple[Classifiers, torch.Tensor]:
    """Train a study in 60 iterations, and return it and what it measured, (3, 2, metrics, networks)."""
    model = classifiers(options, **design)
    train(model, Splits(2, root=root), 60, callbacks)
    return model, torch.stack(model.curves)


def alone(
    root: Path, network: Network, steps: int, batch_size: int | None = None
) -> tuple[torch.Tensor, BinaryClassifier]:
    """Train one network as fit does, and return what it logged, (validations, 2, metrics), and the model."""
    rows = []

    def keep(trainer: Trainer, _: LightningModule) -> None:
        logged = trainer.callback_metrics
        rows.append([[logged[f"{subset}/{name}"].item() for name in METRICS] for subset in EVALUATED])

    seed_everything(network.seed, verbose=False)
    data = NpyDataModule(root, seed=network.split, batch_size=batch_size, track_test=True)
    model = BinaryClassifier(data.num_features, **network.options)
    train(model, data, steps, [LambdaCallback(on_validation_end=keep)])
    return torch.tensor(rows, dtype=torch.float64), model


def overflow(trainer: Trainer, model: LightningModule) -> None:
    """Give the first network, before its last validation, finite weights that answer infinity less infinity."""
    if trainer.global_step == 60:
        for weights in list(model.get_submodule("stacks.0").parameters())[:2]:
            weights.data[0] = 3e38


@pytest.mark.process
@pytest.mark.parametrize(("features", "batch_size", "steps"), [(2, None, 1000), (30, 16, 100)])
def test_each_network_is_but_for_rounding_the_one_that_fit_trains(
    write_classes: Write, features: int, batch_size: int | None, steps: int
) -> None:
    """At the default rate, losses agree to 1e-5 relative at every validation, and accuracies wholly."""
    rng = np.random.default_rng(features)
    root = write_classes(*(rng.normal(mean, 1, (50, features)) for mean in (-0.5, 0.5)))
    options = {"num_features": features, "loss": ["bce", "mse"], "lr": BinaryClassifier(1).lr}
    model = classifiers(options, compare="loss")
    train(model, Splits(2, root=root, batch_size=batch_size), steps)
    assert model.steps == list(range(20, steps + 1, 20))
    curves = torch.stack(model.curves)
    for place in (3, 4, 5):  # Both losses, seeds and splits and a baseline are among them.
        expected, fitted = alone(root, model.networks[place], steps, batch_size)
        torch.testing.assert_close(curves[..., place], expected, rtol=1e-5, atol=1e-7)
        weights = model.classifier(place).net.state_dict()
        torch.testing.assert_close(weights, fitted.net.state_dict(), rtol=0, atol=1e-4)
    assert len({tuple(curves[-1, 0, :, place].tolist()) for place in range(10)}) == 10, "all are different networks"


def test_networks_with_other_options_train_in_stacks_of_their_own(blobs: Path) -> None:
    options = {"standardize": [True, False], "hidden_features": [3, 8]}
    model, curves = study(blobs, options, seeds=1, compare="standardize", choose="hidden_features")
    for place in range(0, 12, 3):
        torch.testing.assert_close(curves[..., place], alone(blobs, model.networks[place], 60)[0], rtol=1e-5, atol=1e-7)
    rebuilt = model.classifier(5)
    assert rebuilt.hparams == {"num_features": 2, **model.networks[5].options}
    assert (rebuilt.predict(np.load(blobs / "class_0.npy")) == 0).mean() > 0.5


def test_how_many_are_computed_together_changes_nothing(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = study(blobs, {})[1]
    monkeypatch.setattr("project.study.stack.CELLS", 1)
    monkeypatch.setattr("project.study.networks.MOST_TOGETHER", 3)
    many = study(blobs, {}, seeds=4)[1]
    torch.testing.assert_close(many[..., :2], few[..., :2], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("overflows", [False, True], ids=["", "weights that stay finite"])
def test_a_network_that_diverges_is_marked_and_harms_no_other(blobs: Path, overflows: bool) -> None:
    options: dict[str, Any] = {"loss": "mse", "activation": "relu", "lr": [0.1, 0.5, 3e38]}
    callbacks = [LambdaCallback(on_validation_start=overflow)] if overflows else []
    model, curves = study(blobs, options, *callbacks, seeds=1)
    assert model.diverged.tolist() == [overflows, False, True, False, False, True]
    assert curves[-1, ..., model.diverged].isnan().all()
    assert all(weights.isfinite().all() for weights in model.parameters()), "a checkpoint can be saved"
    calm = study(blobs, {**options, "lr": [0.1, 0.5]}, seeds=1)[1]
    torch.testing.assert_close(curves[..., [1, 3, 4]], calm[..., 1:], rtol=1e-6, atol=1e-8)
