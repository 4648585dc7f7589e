"""The classifier against loops written out by hand: plain tensors, autograd and ``w - lr * gradient``."""

import math
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional

from project.data import NpyDataModule
from project.data.batches import Subset, TrainingBatches
from project.errors import InputWarning
from project.model import BCELoss, BinaryClassifier, NNet
from project.model.net import ACTIVATIONS
from tests.conftest import Write

Scale = Callable[[Tensor], Tensor]
Rows = tuple[Tensor, Tensor]
CRITERIA = {"bce": functional.binary_cross_entropy, "mse": functional.mse_loss}


class Course(NamedTuple):
    """The loss of each iteration before its update, what each validation logs, and the weights after each iteration."""

    losses: list[float]
    metrics: dict[int, dict[str, float]]
    weights: list[list[Tensor]]


def new_trainer(folder: Path, steps: int = 1, **options: Any) -> Trainer:
    """Return a trainer that writes nothing; one that evaluates hands its metrics to a logger, so it needs one."""
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "logger"), False)
    grid = {"max_steps": steps, "val_check_interval": 20, "check_val_every_n_epoch": None, "num_sanity_val_steps": 0}
    fixed = {"accelerator": "cpu", "log_every_n_steps": 1, "default_root_dir": folder}
    return Trainer(**{**quiet, **grid, **fixed, **options})


def fit(model: LightningModule, data: Any, folder: Path, steps: int, **options: Any) -> Course:
    """Train on a datamodule, or on two loaders, and return what happened."""
    course = Course([], {}, [])

    def record(_: Trainer, model: LightningModule, outputs: Any, *__: Any) -> None:
        assert torch.equal(outputs["loss"], outputs["batch_loss"])  # One process has the whole batch.
        course.losses.append(outputs["batch_loss"].item())
        course.weights.append([p.detach().clone() for p in model.parameters()])

    def validated(trainer: Trainer, *_: Any) -> None:
        if not trainer.sanity_checking:
            course.metrics[trainer.global_step] = {name: v.item() for name, v in trainer.callback_metrics.items()}

    callbacks = [LambdaCallback(on_train_batch_end=record, on_validation_end=validated), *options.pop("callbacks", [])]
    trainer = new_trainer(folder, steps, callbacks=callbacks, **options)
    trainer.fit(model, *([None, None, data] if isinstance(data, NpyDataModule) else data))
    return course


def seeded(data: NpyDataModule, seed: int = 0, **options: Any) -> BinaryClassifier:
    """Return a classifier whose weights are the seed's."""
    torch.manual_seed(seed)
    return BinaryClassifier(data.num_features, **options)


def probability(weights: Iterable[Tensor], features: Tensor) -> Tensor:
    """Return the tanh network's output, written out."""
    w1, b1, w2, b2 = weights
    return 1 / (1 + torch.exp(-(torch.tanh(features @ w1.T + b1) @ w2.T + b2)))


def measure(weights: Iterable[Tensor], rows: Rows, loss: str) -> dict[str, float]:
    """Return all metrics of prepared rows as torch's own criteria give them on all of them together."""
    with torch.no_grad():
        y_hat = probability(weights, rows[0])
    values = {name: criterion(y_hat, rows[1]).item() for name, criterion in CRITERIA.items()}
    right = ((y_hat >= 0.5) == rows[1].bool()).sum().item()
    return {"loss": values[loss], "accuracy": right / len(y_hat), **values}


def by_hand(
    seed: int,
    batches: Iterable[Rows],
    subsets: dict[str, Rows],
    loss: str = "bce",
    lr: Callable[[int], float] = lambda _: 0.8,
    clip: float = math.inf,
) -> Course:
    """Train what torch's own layers draw from a seed on prepared rows; measure the subsets after every 20th iteration.

    The lr is that of an iteration counted from 1; together, its gradients are no longer than clip (torch adds 1e-6).
    """
    torch.manual_seed(seed)
    layers = nn.Linear(2, 32), nn.Linear(32, 1)
    weights = [p.detach().clone().requires_grad_() for layer in layers for p in layer.parameters()]
    course = Course([], {}, [])
    for step, (features, labels) in enumerate(batches, 1):
        value = CRITERIA[loss](probability(weights, features), labels)
        gradients = torch.autograd.grad(value, weights)
        length = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        course.losses.append(value.item())
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(lr(step) * min(1, clip / (length + 1e-6)) * gradient)
        course.weights.append([weight.detach().clone() for weight in weights])
        if step % 20 == 0:
            course.metrics[step] = {"step": step, "train/loss": value.item()}
            for name, rows in subsets.items():
                measured = measure(weights, rows, loss).items()
                course.metrics[step] |= {f"{name}/{metric}": value for metric, value in measured}
    return course


def standardized_by_hand(train: Tensor) -> Scale:
    """Return the scaling by the mean and deviation that numpy finds in float64."""
    rows = train.numpy().astype(np.float64)
    mean, deviation = rows.mean(0), rows.std(0)
    return lambda features: torch.from_numpy(((features.numpy() - mean) / deviation).astype(np.float32))


def prepared(data: NpyDataModule, seed: int, steps: int, scale: Any = None) -> tuple[list[Rows], dict[str, Rows]]:
    """Return the prepared rows of each iteration, uncut, and those of the subsets that are measured."""
    scale = scale or standardized_by_hand(data.train.features)
    x, y = scale(data.train.features), data.train.labels
    order = TrainingBatches(data.train, data.batch_size or len(y), piece_rows=len(y), seed=seed, iterations=steps)
    subsets = {"val": data.val, **({"test": data.test} if data.track_test else {})}
    batches = [(x[order.rows(i)], y[order.rows(i)]) for i in range(1, steps + 1)]
    return batches, {name: (scale(subset.features), subset.labels) for name, subset in subsets.items()}


def assert_same_course(ours: Course, theirs: Course, weights: float = 1e-5) -> None:
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-5)
    assert ours.metrics == {step: pytest.approx(metrics, rel=1e-5) for step, metrics in theirs.metrics.items()}
    torch.testing.assert_close(ours.weights[-1], theirs.weights[-1], rtol=weights, atol=weights)


@pytest.mark.parametrize(
    ("seed", "steps", "data_options", "model_options"),
    [
        (0, 200, {"root": None}, {}),  # the defaults on the sample
        (1, 20, {"piece_rows": 1}, {"standardize": False}),  # the notebook's arithmetic, row by row
        (7, 97, {"batch_size": 17, "piece_rows": 5}, {"lr": 0.3}),  # of 60 rows; the last batch of each epoch has 9
        (3, 40, {"batch_size": 25, "piece_rows": 24}, {}),  # pieces of 24 and 1
        (0, 60, {"piece_rows": 37, "track_test": True}, {"loss": "mse"}),
    ],
)
def test_training_follows_a_loop_written_by_hand(
    seed: int, steps: int, data_options: Any, model_options: Any, blobs: Path, tmp_path: Path
) -> None:
    """Losses, weights, answers and all that is logged are the uncut loop's; so is what is evaluated afterwards."""
    data = NpyDataModule(**{"root": blobs, **data_options})
    data.setup("fit")
    model = seeded(data, seed, **model_options)
    ours = fit(model, data, tmp_path, steps)
    scale = standardized_by_hand(data.train.features) if model.standardize else torch.clone
    batches, subsets = prepared(data, seed, steps, scale)
    theirs = by_hand(seed, batches, subsets, model.loss, lambda _: model.lr)
    assert_same_course(ours, theirs, weights=1e-3)
    assert ours.losses[-1] < 0.9 * ours.losses[0]  # It learned, so that the agreement means something.
    trainer = new_trainer(tmp_path, logger=DummyLogger())
    for name, evaluate in ("val", trainer.validate), ("test", trainer.test):
        evaluate(model, datamodule=data, verbose=False)
        rows = scale(getattr(data, name).features), getattr(data, name).labels
        for metric, value in measure(model.net.parameters(), rows, model.loss).items():
            assert trainer.callback_metrics[f"{name}/{metric}"].item() == pytest.approx(value, rel=1e-5)
        labels, answers = map(torch.from_numpy, model.answers)
        assert labels.tolist() == rows[1][:, 0].tolist()
        expected = probability(model.net.parameters(), rows[0])[:, 0]
        for found in answers, model(getattr(data, name).features)[:, 0]:
            torch.testing.assert_close(found.float(), expected, rtol=1e-6, atol=1e-7)


def test_bits_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    """With the coursework's own network, criterion and torch's SGD, on the sample and nothing approximate."""
    data = NpyDataModule()
    model = seeded(data)
    ours = fit(model, data, tmp_path, 100)
    x, y = model.standardized(data.train.features), data.train.labels
    torch.manual_seed(0)
    net, criterion = NNet(), BCELoss()
    optimizer = torch.optim.SGD(net.parameters(), 0.8)
    for loss, weights in zip(ours.losses, ours.weights, strict=True):
        optimizer.zero_grad()
        value = criterion(y, net(x))
        value.backward()
        optimizer.step()
        assert value.item() == loss
        assert all(map(torch.equal, net.parameters(), weights))


def test_an_iteration_on_another_device_waits_for_nothing(blobs: Path, tmp_path: Path) -> None:
    """Pretended tensors on a device that is not the CPU: to mix the two raises, and so does to look at a value."""
    data, elsewhere = NpyDataModule(blobs), torch.device("meta")
    data.setup("fit")
    model = BinaryClassifier(2).to(elsewhere)
    model.trainer = new_trainer(tmp_path)
    with FakeTensorMode(allow_non_fake_inputs=True):
        optimizer = torch.optim.SGD(model.parameters(), 1.0)
        x = data.train.features.to(elsewhere)
        train = Subset(model.standardized(x), data.train.rows, data.train.held)
        for batch in TrainingBatches(train, 25, piece_rows=16, seed=0, iterations=3):
            outputs = model.training_step(batch, 0)
            assert outputs["loss"].device == outputs["batch_loss"].device == elsewhere
            outputs["loss"].backward()
            optimizer.step()
            model.on_train_batch_end(outputs, batch, 0)
        model.validation_step(train.whole(16), 0)
        model.test_step(train.whole(16), 0)
        assert model.predict_step(x, 0).device == elsewhere
        with pytest.raises(DataDependentOutputException):  # once a validation
            model.on_validation_epoch_end()


def test_odd_columns_train_and_are_named(write_classes: Write, tmp_path: Path) -> None:
    """Constants become 0. An offset of 2^27 leaves float64 all its digits, and float32, raw or in the file, too few."""
    rows, offset = np.random.default_rng(0).integers(-512, 512, (2, 50, 2)) / 64 + [[[-2.0]], [[2.0]]], 2.0**27
    constants, far = np.broadcast_to([0.1, -1e9, 3e-39], (2, 50, 3)), rows + offset
    made = {"near": rows, "far": far, "coarse": far.astype(np.float32), "constant": np.concatenate([constants, far], 2)}
    told, losses = {}, {}
    for name, arrays in made.items():
        data = NpyDataModule(write_classes(*arrays, name=name))
        model = seeded(data, standardize=name != "coarse")
        with warnings.catch_warnings(record=True) as recorded:
            warnings.simplefilter("always", InputWarning)
            losses[name] = fit(model, data, tmp_path, 20).losses
        told[name] = " ".join(str(warned.message) for warned in recorded)
    assert not model.standardized(data.test.features + 1)[:, :3].any()  # also where it is no longer the constant
    assert losses["far"] == pytest.approx(losses["near"], rel=1e-6)
    named = "(in figures: feature 1, feature 2 and feature 3)"
    assert told["near"] == told["far"] == ""
    assert told["constant"] == f"columns 0, 1 and 2 are constant; standardized to 0 {named}"
    assert "columns 0 and 1 vary by less than float32 can tell apart" in told["coarse"]
    assert "columns 0 and 1: float32 has few digits for what varies about so large a mean" in told["coarse"]


def test_refuses_arguments_out_of_range() -> None:
    """The error speaks of the class's own argument, of the value it got and of its range, not of a command's option."""
    for argument, value, need in (
        ("num_features", 0, "at least 1"),
        ("activation", "than", f"one of {', '.join(ACTIVATIONS)}"),
        ("lr", math.nan, "a number above 0 and below 3.4e38"),
        ("loss", "mae", "one of bce, mse"),
    ):
        with pytest.raises(ValueError, match=f"^{argument}: {value}; need {need}"):
            BinaryClassifier(**{"num_features": 2, argument: value})
