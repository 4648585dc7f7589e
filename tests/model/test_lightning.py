"""A plain Lightning user gets what Lightning users expect, with no callback of this project named."""

import csv
import re
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, seed_everything
from lightning.pytorch import callbacks as own
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from project.data import NpyDataModule
from project.data.batches import TrainingBatches
from project.model import BinaryClassifier
from tests.data.test_datamodule import loaded
from tests.model import test_classifier as loops
from tests.model.test_classifier import by_hand, fit, new_trainer, prepared, seeded

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


@pytest.fixture
def data(blobs: Path) -> NpyDataModule:
    """60 training rows in batches of 25, 25 and 10, each in pieces with a ragged end."""
    data = NpyDataModule(blobs, batch_size=25, piece_rows=7)
    data.setup("fit")
    return data


def test_scalars_reach_any_logger_under_the_iterations_number(data: NpyDataModule, tmp_path: Path) -> None:
    """Training losses at 1, 2, ..., validations at 20, 40, ..., with Lightning's own defaults, and nothing else."""
    table = CSVLogger(tmp_path)
    defaults = {"num_sanity_val_steps": None, "log_every_n_steps": 50, "enable_checkpointing": True}
    course = fit(seeded(data), data, tmp_path, 70, logger=table, **defaults)
    expected = {"train/loss": dict(enumerate(course.losses, 1))}
    for name in "val/loss", "val/accuracy", "val/bce", "val/mse":
        expected[name] = {step: metrics[name] for step, metrics in course.metrics.items()}
    assert list(expected["val/loss"]) == [20, 40, 60]
    rows = list(csv.DictReader((Path(table.log_dir) / "metrics.csv").read_text().splitlines()))
    seen = {name: {int(row["step"]): float(row[name]) for row in rows if row[name]} for name in rows[0]}
    assert seen.keys() == {"step", *expected}
    for name, curve in expected.items():
        assert seen[name] == pytest.approx(curve, rel=1e-6)


def test_a_model_checkpoint_keeps_the_best_validation(blobs: Path, data: NpyDataModule, tmp_path: Path) -> None:
    """What load_from_checkpoint makes of it has the loss for which it was kept, and is not tested on another split."""
    keeper = own.ModelCheckpoint(tmp_path / "kept", monitor="val/loss")
    course = fit(seeded(data, lr=3), data, tmp_path, 100, callbacks=[keeper], enable_checkpointing=True)
    losses = [metrics["val/loss"] for metrics in course.metrics.values()]
    assert min(losses) < losses[-1]
    best = BinaryClassifier.load_from_checkpoint(keeper.best_model_path)
    trainer = new_trainer(tmp_path, logger=DummyLogger())
    (metrics,) = trainer.validate(best, datamodule=data, verbose=False)
    assert [keeper.best_model_score, metrics["val/loss"]] == pytest.approx([min(losses)] * 2, rel=1e-6)
    with pytest.raises(ValueError, match="the checkpoint was trained on split seed 0"):
        trainer.test(best, NpyDataModule(blobs, seed=1), ckpt_path=keeper.best_model_path)


class Decaying(BinaryClassifier):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), self.lr)
        return [optimizer], [{"scheduler": StepLR(optimizer, 15, 0.5), "interval": "step"}]


def test_schedulers_step_and_gradients_are_clipped_in_every_iteration(data: NpyDataModule, tmp_path: Path) -> None:
    """A loop written by hand has the rates that a LearningRateMonitor sees, and clips the whole batch's gradient."""
    torch.manual_seed(0)
    model, monitor = Decaying(2), own.LearningRateMonitor("step")
    ours = fit(model, data, tmp_path, 40, callbacks=[monitor], logger=CSVLogger(tmp_path), gradient_clip_val=0.05)
    rates = [0.8 * 0.5 ** (i // 15) for i in range(40)]
    assert monitor.lrs["lr-SGD"] == rates
    theirs = by_hand(0, *prepared(data, 0, 40), lr=lambda step: rates[step - 1], clip=0.05)
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-5)
    torch.testing.assert_close(ours.weights[-1], theirs.weights[-1], rtol=1e-5, atol=1e-5)


def test_the_finder_of_a_learning_rate_sees_the_loss_of_the_whole_batch(blobs: Path, tmp_path: Path) -> None:
    """Cut into pieces or not, it finds the same one, sets it, and leaves training where it was to begin."""
    found = []
    for piece_rows in 7, 16384:
        data = NpyDataModule(blobs, piece_rows=piece_rows)
        model, finder = seeded(data, seed=3), own.LearningRateFinder(1e-3, 3, num_training_steps=40)
        course = fit(model, data, tmp_path, 20, callbacks=[finder])
        assert finder.optimal_lr is not None
        assert model.lr == finder.optimal_lr.suggestion() != 0.8
        theirs = by_hand(3, *prepared(data, 3, 20), lr=lambda _, lr=model.lr: lr)  # type: ignore[misc]
        loops.assert_same_course(course, theirs)
        found.append(finder.optimal_lr.results["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_the_average_of_the_weights_is_validated_and_kept(data: NpyDataModule, tmp_path: Path) -> None:
    model = seeded(data)
    course = fit(model, data, tmp_path, 20, callbacks=[own.EMAWeightAveraging(decay=0.9)])
    average = course.weights[0]
    for weights in course.weights[1:]:
        average = [0.9 * a + 0.1 * w for a, w in zip(average, weights, strict=True)]
    torch.testing.assert_close([p.detach() for p in model.parameters()], average, rtol=1e-5, atol=1e-5)
    expected = loops.measure(average, prepared(data, 0, 20)[1]["val"], "bce")
    assert course.metrics[20]["val/loss"] == pytest.approx(expected["loss"], rel=1e-5)


def test_ordinary_loaders_train_and_predict(data: NpyDataModule, tmp_path: Path) -> None:
    """A DataLoader of a TensorDataset, against a loop written by hand with numpy's statistics of its rows."""
    x, y = 3 * data.train.features + 2, data.train.labels
    train, val = DataLoader(TensorDataset(x, y), 25), DataLoader(TensorDataset(x[::3], y[::3]), 7)
    model, scale = seeded(data), loops.standardized_by_hand(x)
    ours = fit(model, (train, val), tmp_path, 40)
    batches = [(scale(features), labels) for features, labels in train]
    theirs = by_hand(0, islice(cycle(batches), 40), {"val": (scale(x[::3]), y[::3])})
    loops.assert_same_course(ours, theirs)
    for loader in DataLoader(TensorDataset(x), 25), DataLoader(cast("Any", x), 25):
        answers = torch.cat(cast("list[Tensor]", new_trainer(tmp_path).predict(model, loader)))
        torch.testing.assert_close(answers, model(x).detach(), rtol=1e-6, atol=1e-7)


def test_takes_features_of_any_number_type() -> None:
    """Tensors and numpy arrays of floats and integers of any width give the same float32 probabilities."""
    for model in BinaryClassifier(2), BinaryClassifier(2, standardize=False):
        for kind in np.int8, np.int64, np.float16, np.float64:
            values, expected = np.array([[1, -2], [3, 4]], kind), model(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
            assert torch.equal(model(values), expected)
            assert torch.equal(model(torch.from_numpy(values)), expected)


class Logistic(LightningModule):
    """A module of one's own, which knows nothing of pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.validated = torch.nn.Linear(2, 1), list[tuple[int, ...]]()

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        return binary_cross_entropy_with_logits(self.layer(x), y)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.validated += [tuple(part.shape) for part in batch]

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_a_module_of_ones_own_trains_on_batches_of_raw_rows(data: NpyDataModule, tmp_path: Path) -> None:
    """Weights are those of a loop over the same rows, and an epoch is one pass; afterwards bare loops get pairs."""
    torch.manual_seed(3)
    model, plain, epochs = Logistic(), Logistic(), {"max_epochs": 3, "check_val_every_n_epoch": 1}
    plain.load_state_dict(model.state_dict())
    new_trainer(tmp_path, -1, val_check_interval=None, **epochs).fit(model, datamodule=data)
    order = TrainingBatches(data.train, 25, None, torch.initial_seed(), 3)
    for rows in map(order.rows, range(1, 10)):
        loss = plain.training_step([data.train.features[rows], data.train.labels[rows]], 0)
        gradients = torch.autograd.grad(loss, list(plain.parameters()))
        for weights, gradient in zip(plain.parameters(), gradients, strict=True):
            weights.data -= 0.1 * gradient
    torch.testing.assert_close(model.state_dict(), plain.state_dict(), rtol=1e-6, atol=1e-7)
    assert model.validated == 3 * [(20, 2), (20, 1)]
    new_trainer(tmp_path, 2).fit(seeded(data), datamodule=data)
    assert [tuple(part.shape) for part in next(iter(data.train_dataloader()))] == [(25, 2), (25, 1)]


@pytest.mark.filterwarnings("ignore:You're using the WeightAveraging callback, but loading")
def test_a_cli_of_ones_own_takes_the_number_of_features_from_the_data(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights begin as the seed's, also where a callback copies the model, and its checkpoints rebuild."""
    switches = ("logger", "enable_progress_bar", "enable_model_summary")
    options = [f"--data.root={blobs}", "--trainer.accelerator=cpu", *(f"--trainer.{name}=false" for name in switches)]
    options += ["--trainer.callbacks=EMAWeightAveraging", "--trainer.callbacks.decay=0"]  # that is no average
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["", "fit", "--seed_everything=5", "--trainer.max_steps=3", *options])
    cli = LightningCLI(BinaryClassifier, NpyDataModule, save_config_callback=None)
    seed_everything(5, verbose=False)
    assert all(map(torch.equal, cli.model.initial.values(), BinaryClassifier(2).parameters()))
    (saved,) = tmp_path.rglob("*.ckpt")
    again = BinaryClassifier.load_from_checkpoint(saved)
    assert all(map(torch.equal, again.state_dict().values(), cli.model.state_dict().values()))
    monkeypatch.setattr(sys, "argv", ["", "test", f"--ckpt_path={saved}", *options])
    tested, rows = LightningCLI(BinaryClassifier, NpyDataModule).model, cli.datamodule.test.features
    assert torch.equal(tested(rows), again(rows))
    with pytest.raises(ValueError, match="num_features: None; need a number, or a trainer with an NpyDataModule"):
        new_trainer(tmp_path).fit(BinaryClassifier(), DataLoader(TensorDataset(*cli.datamodule.train), 8))


def test_a_compiled_step_is_not_compiled_again_in_each_iteration(blobs: Path, tmp_path: Path) -> None:
    """Batches of 25 and of 10 rows, and 20 validation rows, have graphs of their own."""
    graphs = list[torch.fx.GraphModule]()

    def count(graph: torch.fx.GraphModule, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    data = loaded(blobs, batch_size=25)
    new_trainer(tmp_path, 40).fit(cast("Any", torch.compile(seeded(data), backend=count)), datamodule=data)
    assert 1 < len(graphs) < 8


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from ((torch.zeros(2), torch.zeros(1)) for _ in range(1000))  # Lightning reads the first few.
        raise AssertionError("it was read to an end that it need not have")


def test_what_cannot_work_is_refused_in_one_line(tmp_path: Path) -> None:
    pairs, wide = (TensorDataset(torch.rand(8, columns), torch.ones(8, 1)) for columns in (2, 3))
    flat, named = TensorDataset(torch.rand(8, 2), torch.ones(8)), [{"x": torch.rand(2), "y": torch.ones(1)}] * 8
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (pairs, {"accumulate_grad_batches": 2}, "accumulate_grad_batches: "),
        (pairs, {"callbacks": [own.GradientAccumulationScheduler({0: 2})]}, "accumulate_grad_batches: not supported"),
        (pairs, {"callbacks": [own.StochasticWeightAveraging(0.1, 2)]}, "StochasticWeightAveraging: counts epochs"),
        (flat, {}, "labels (8,); need (N, 1), as labels.reshape(-1, 1) is"),
        (named, {}, "batch: a dict; need a pair of tensors, features (N, j) and labels (N, 1)"),
        (pairs, {"plugins": MixedPrecision("16-mixed", "cpu")}, "precision: "),
        (Stream(), {}, "standardize: needs a loader that ends"),
        (wide, {}, "features (8, 3); need (N, 2)"),
    ]
    for rows, options, message in refused:
        with pytest.raises(ValueError, match=rf"^{re.escape(message)}[^\n]*$"):
            fit(BinaryClassifier(2), (DataLoader(rows, 8), DataLoader(pairs, 8)), tmp_path, 20, **options)
