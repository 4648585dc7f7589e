"""What an iteration computes, against loops written out by hand: plain tensors, autograd and ``w - lr * gradient``."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional

from project.data import NpyDataModule
from project.data.batches import Batch, Loader, Piece, Subset, TrainingBatches
from project.errors import InputError, InputWarning
from project.model import BinaryClassifier
from tests.conftest import Write

Criterion = Callable[[Tensor, Tensor], Tensor]
Scale = Callable[[Tensor], Tensor]
CRITERIA: dict[str, Criterion] = {"bce": functional.binary_cross_entropy, "mse": functional.mse_loss}
METRICS = ("loss", "accuracy", "bce", "mse")


class Run(NamedTuple):
    """The loss of each iteration, before its update, and the metrics of each validation by its iteration's number."""

    losses: list[float]
    metrics: dict[int, dict[str, float]]


class Recorder(Callback):
    """Keeps what the trainer hands to callbacks."""

    def __init__(self) -> None:
        self.run = Run([], {})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.run.losses.append(outputs["loss"].item())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        self.run.metrics[trainer.global_step] = metrics


def new_trainer(
    folder: Path, steps: int = 1, interval: int = 20, callback: Callback | None = None, evaluates: bool = False
) -> Trainer:
    """Return a trainer that writes nothing; one that evaluates hands its metrics to a logger, so it needs one."""
    return Trainer(
        accelerator="cpu",
        max_steps=steps,
        val_check_interval=interval,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=callback,
        logger=DummyLogger() if evaluates else False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def fit(model: BinaryClassifier, data: NpyDataModule, folder: Path, steps: int, interval: int = 20) -> Run:
    """Train and return what happened."""
    recorder = Recorder()
    new_trainer(folder, steps, interval, recorder).fit(model, datamodule=data)
    return recorder.run


def seeded(data: NpyDataModule, seed: int = 0, **options: Any) -> BinaryClassifier:
    """Return a classifier whose weights are the seed's."""
    torch.manual_seed(seed)
    return BinaryClassifier(data.num_features, **options)


def seeded_weights(j: int, hidden: int = 32, seed: int = 0) -> list[Tensor]:
    """Return what torch's own layers draw from the seed."""
    torch.manual_seed(seed)
    layers = nn.Linear(j, hidden), nn.Linear(hidden, 1)
    return [p.detach().clone().requires_grad_() for layer in layers for p in layer.parameters()]


def probability(weights: list[Tensor], features: Tensor) -> Tensor:
    """Return the tanh network's output, written out."""
    w1, b1, w2, b2 = weights
    return 1 / (1 + torch.exp(-(torch.tanh(features @ w1.T + b1) @ w2.T + b2)))


def measure(weights: list[Tensor], subset: Subset, scale: Scale, loss: str) -> dict[str, float]:
    """Return all metrics of a subset as torch's own criteria give them on all of its rows together."""
    with torch.no_grad():
        y_hat = probability(weights, scale(subset.features))
    values = {name: criterion(y_hat, subset.labels).item() for name, criterion in CRITERIA.items()}
    right = [(p >= 0.5) == (y == 1) for p, y in zip(y_hat[:, 0].tolist(), subset.labels[:, 0].tolist(), strict=True)]
    return {"loss": values[loss], "accuracy": sum(right) / subset.rows, **values}


def by_hand(
    weights: list[Tensor],
    batches: Iterable[Subset],
    subsets: dict[str, Subset],
    *,
    scale: Scale,
    loss: str = "bce",
    lr: float = 1.0,
) -> Run:
    """Train the weights in place, and measure the subsets after every 20th iteration."""
    run = Run([], {})
    for step, batch in enumerate(batches, 1):
        value = CRITERIA[loss](probability(weights, scale(batch.features)), batch.labels)
        gradients = torch.autograd.grad(value, weights)
        run.losses.append(value.item())
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(lr * gradient)
        if step % 20 == 0:
            run.metrics[step] = {
                f"{name}/{metric}": value
                for name, subset in subsets.items()
                for metric, value in measure(weights, subset, scale, loss).items()
            }
    return run


def standardized_by_hand(train: Tensor) -> Scale:
    """Return the scaling by the mean and deviation that numpy finds in float64."""
    rows = train.numpy().astype(np.float64)
    mean, deviation = rows.mean(0), rows.std(0)
    return lambda features: torch.from_numpy(((features.numpy() - mean) / deviation).astype(np.float32))


def raw(features: Tensor) -> Tensor:
    return features


def assert_same_run(ours: Run, theirs: Run, rel: float = 1e-5) -> None:
    assert ours.losses == pytest.approx(theirs.losses, rel=rel)
    assert list(ours.metrics) == list(theirs.metrics)
    for step, metrics in theirs.metrics.items():
        assert ours.metrics[step] == pytest.approx(metrics, rel=rel), step


def assert_same_weights(model: BinaryClassifier, weights: list[Tensor], tolerance: float = 1e-5) -> None:
    for ours, theirs in zip(model.net.parameters(), weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So little data is no work for several threads, and where the cores are busy they wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def rings(write_classes: Write) -> Path:
    """A cloud at the origin inside a ring of about unit radius: not linearly separable, 80 rows a class."""
    rng = np.random.default_rng(5)
    angle = rng.uniform(0, 2 * np.pi, 80)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.3, (80, 2))
    return write_classes(rng.normal(0, 0.4, (80, 2)), ring, "rings")


def test_defaults_follow_a_loop_written_by_hand(tmp_path: Path) -> None:
    """1000 full-batch iterations at lr 1.0 on the sample, its features scaled by hand.

    From some initial weights, those of seed 0 among them, lr 1.0 passes through an instability that amplifies rounding
    until two loops part visibly, even in float64. From those of seed 3 it does not: only there can loops be compared.
    """
    data = NpyDataModule()
    data.setup("fit")
    model = seeded(data, seed=3)
    ours = fit(model, data, tmp_path, 1000)
    weights = seeded_weights(2, seed=3)
    scale = standardized_by_hand(data.train.features)
    theirs = by_hand(weights, repeat(data.train, 1000), {"val": data.val}, scale=scale)
    assert len(ours.losses) == 1000
    assert list(ours.metrics) == list(range(20, 1001, 20))
    assert_same_run(ours, theirs)
    assert ours.losses[-1] < 0.6 * ours.losses[0]  # it learned, so that the agreement means something
    assert_same_weights(model, weights, 1e-3)


def test_without_standardization_follows_a_loop_written_by_hand(rings: Path, tmp_path: Path) -> None:
    """1000 full-batch iterations at lr 1.0 on raw features: the notebook's arithmetic."""
    data = NpyDataModule(rings)
    data.setup("fit")
    model = seeded(data, seed=1, standardize=False)
    ours = fit(model, data, tmp_path, 1000)
    weights = seeded_weights(2, seed=1)
    theirs = by_hand(weights, repeat(data.train, 1000), {"val": data.val}, scale=raw)
    assert len(ours.losses) == 1000
    assert list(ours.metrics) == list(range(20, 1001, 20))
    assert_same_run(ours, theirs)
    assert ours.losses[-1] < 0.6 * ours.losses[0]
    assert_same_weights(model, weights, 1e-3)


def test_mini_batches_follow_a_loop_written_by_hand(rings: Path, tmp_path: Path) -> None:
    """97 iterations of 17 of the 96 rows, the last batch of each epoch 11: the rows are TrainingBatches.rows(i)."""
    data = NpyDataModule(rings, batch_size=17, piece_rows=5)
    data.setup("fit")
    ours = fit(seeded(data, seed=7, lr=0.3), data, tmp_path, 97)
    weights = seeded_weights(2, seed=7)
    order = TrainingBatches(data.train, batch_size=17, piece_rows=96, seed=7, iterations=97)

    def batches() -> Iterator[Subset]:
        for i in range(1, 98):
            rows = order.rows(i)
            assert len(rows) == (11 if i % 6 == 0 else 17)
            yield Subset(data.train.features[rows], data.train.labels[rows])

    scale = standardized_by_hand(data.train.features)
    theirs = by_hand(weights, batches(), {"val": data.val}, scale=scale, lr=0.3)
    assert_same_run(ours, theirs)


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_either_criterion_trains_and_both_are_logged(loss: str, rings: Path, tmp_path: Path) -> None:
    """With track_test also of the test subset, and nothing else is logged."""
    data = NpyDataModule(rings, piece_rows=37, track_test=True)
    data.setup("fit")
    ours = fit(seeded(data, loss=loss), data, tmp_path, 60)
    subsets = {"val": data.val, "test": data.test}
    scale = standardized_by_hand(data.train.features)
    theirs = by_hand(seeded_weights(2), repeat(data.train, 60), subsets, scale=scale, loss=loss)
    assert_same_run(ours, theirs)
    assert set(ours.metrics[60]) == {f"{subset}/{metric}" for subset in subsets for metric in METRICS}
    assert ours.metrics[60]["val/loss"] == ours.metrics[60][f"val/{loss}"]
    assert ours.metrics[60]["val/bce"] != ours.metrics[60]["val/mse"]


def test_test_subset_is_not_logged_unless_asked(blobs: Path, tmp_path: Path) -> None:
    data = NpyDataModule(blobs)
    ours = fit(seeded(data), data, tmp_path, 20)
    assert set(ours.metrics[20]) == {f"val/{metric}" for metric in METRICS}


@pytest.mark.parametrize("piece_rows", [1, 2])
def test_one_step_worked_by_hand(piece_rows: int, tmp_path: Path) -> None:
    """Two rows of class 1 through two relu units, with sums chosen so that every gradient is a short fraction.

    x = 1:  hidden (1, 0), z =  ln 3, p = 3/4, (p - y) / 2 = -1/8
    x = -1: hidden (0, 1), z = -ln 3, p = 1/4, (p - y) / 2 = -3/8
    """
    ln3 = math.log(3)
    model = BinaryClassifier(1, 2, "relu", lr=0.5, standardize=False)
    before = [[[1.0], [-1.0]], [0.0, 0.0], [[ln3, -ln3]], [0.0]]
    gradients = [
        [[-ln3 / 8], [-3 * ln3 / 8]],  # -1/8 * ln 3 * 1 and -3/8 * -ln 3 * -1
        [-ln3 / 8, 3 * ln3 / 8],
        [[-1 / 8, -3 / 8]],
        [-1 / 2],
    ]
    with torch.no_grad():
        for parameter, values in zip(model.net.parameters(), before, strict=True):
            parameter.copy_(torch.tensor(values))
    batch = Subset(torch.tensor([[1.0], [-1.0]]), torch.ones(2, 1)).pieces(piece_rows)
    recorder = Recorder()
    new_trainer(tmp_path, callback=recorder).fit(model, Loader([batch]), Loader([batch]))
    assert recorder.run.losses == pytest.approx([math.log(16 / 3) / 2], rel=1e-6)  # -(ln 3/4 + ln 1/4) / 2
    for parameter, start, gradient in zip(model.net.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), torch.tensor(start) - 0.5 * torch.tensor(gradient))


@pytest.mark.parametrize(
    ("batch_size", "piece_rows"),
    [(None, 1), (None, 7), (None, 59), (None, 60), (None, 1000), (25, 1), (25, 4), (25, 24), (25, 25), (1, 1)],
)
def test_cutting_a_batch_changes_nothing(batch_size: int | None, piece_rows: int, blobs: Path, tmp_path: Path) -> None:
    """60 training rows, whole or 25 + 25 + 10, in pieces with ragged ends: losses, metrics and weights are the same."""
    runs, models = [], []
    for rows in (piece_rows, 16384):
        data = NpyDataModule(blobs, batch_size=batch_size, piece_rows=rows)
        models.append(seeded(data, seed=3))
        runs.append(fit(models[-1], data, tmp_path, 20, interval=10))
    assert_same_run(runs[0], runs[1])
    assert_same_weights(models[0], [p.detach() for p in models[1].net.parameters()])


@pytest.mark.parametrize("batch_size", [60, 25])
def test_an_iteration_on_another_device_moves_nothing_and_waits_for_nothing(batch_size: int, blobs: Path) -> None:
    """Pretended tensors on a device that is not the CPU: to mix the two raises, and so does to look at a value."""
    data = NpyDataModule(blobs)
    data.setup("fit")
    elsewhere = torch.device("meta")
    model = BinaryClassifier(2).to(elsewhere)
    with FakeTensorMode(allow_non_fake_inputs=True):
        optimizer = LightningOptimizer(torch.optim.SGD(model.parameters(), 1.0))
        optimizer.step = optimizer.optimizer.step  # type: ignore[method-assign]  # without a trainer
        model.optimizers = lambda: optimizer  # type: ignore[method-assign, assignment, misc]
        train = data.selections["train"].gather(model.standardized, elsewhere, torch.uint8)
        for batch in TrainingBatches(train, batch_size, piece_rows=16, seed=0, iterations=4):
            assert model.training_step(batch, 0).device == elsewhere
        model.on_validation_epoch_start()
        model.validation_step(train.pieces(16), 0)
        with pytest.raises(DataDependentOutputException):  # once a validation
            model.on_validation_epoch_end()


def test_standardizes_in_float64(write_classes: Write, tmp_path: Path) -> None:
    """Features of mean 1e6 and deviation 1 come out with mean 0 and deviation 1: in float32 they would not."""
    rng = np.random.default_rng(0)
    data = NpyDataModule(write_classes(1e6 + rng.normal(0, 1, (500, 4)), 1e6 + rng.normal(0, 1, (500, 4))))
    model = seeded(data)
    fit(model, data, tmp_path, 1)
    seen = model.standardized(data.train.features)
    assert seen.dtype == torch.float32
    seen = seen.double()
    torch.testing.assert_close(seen.mean(0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(seen.std(0, correction=0), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-6)


def test_a_constant_feature_becomes_exactly_0(write_classes: Write, tmp_path: Path) -> None:
    """Whatever its value; the features beside it are scaled as ever, and training stays finite."""
    rng = np.random.default_rng(0)
    varying = rng.normal(0, 2, (2, 50, 1))
    constant = np.broadcast_to([0.1, -1e9, 3e-39], (50, 3))
    data = NpyDataModule(write_classes(*(np.hstack([column, constant]) for column in varying)))
    model = seeded(data)
    with warnings.catch_warnings(record=True) as recorded:  # on top of the filters that make any other an error
        warnings.simplefilter("always", InputWarning)
        run = fit(model, data, tmp_path, 20)
    assert [(warned.category, str(warned.message)) for warned in recorded] == [
        (InputWarning, f"column {column} is constant; standardized to 0") for column in (1, 2, 3)
    ]
    for subset in data.train, data.val, data.test:
        for features in subset.features, subset.features + 1:  # also where it is no longer the constant
            assert bool((model.standardized(features)[:, 1:] == 0).all())
    scale = standardized_by_hand(data.train.features[:, :1])
    torch.testing.assert_close(model.standardized(data.val.features)[:, :1], scale(data.val.features[:, :1]))
    assert all(math.isfinite(loss) for loss in run.losses)


def test_statistics_are_the_training_subsets(blobs: Path, tmp_path: Path) -> None:
    """Validation and test rows are scaled by numbers they had no part in; these are kept in the model's state."""
    data = NpyDataModule(blobs)
    model = seeded(data)
    fit(model, data, tmp_path, 1)
    train = data.train.features.numpy().astype(np.float64)
    state = model.state_dict()
    np.testing.assert_allclose(state["mean"].numpy(), train.mean(0), rtol=1e-12)
    np.testing.assert_allclose(1 / state["scale"].numpy(), train.std(0), rtol=1e-12)


def test_forward_takes_raw_features(blobs: Path, tmp_path: Path) -> None:
    """A trained model scales by itself; with standardize false it hands them on as they are."""
    data = NpyDataModule(blobs)
    for standardize in True, False:
        model = seeded(data, standardize=standardize)
        fit(model, data, tmp_path, 5)
        features = data.test.features
        scale = standardized_by_hand(data.train.features) if standardize else raw
        with torch.no_grad():
            expected = probability(list(model.net.parameters()), scale(features))
            torch.testing.assert_close(model(features), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("piece_rows", [1, 3, 7, 32, 1000])
def test_test_metrics_are_exact_over_pieces(piece_rows: int, rings: Path, tmp_path: Path) -> None:
    """The mean over the rows of the test subset, in pieces of whatever size."""
    data = NpyDataModule(rings, piece_rows=piece_rows)
    model = seeded(data, seed=2, loss="mse", standardize=False)
    (metrics,) = new_trainer(tmp_path, evaluates=True).test(model, datamodule=data, verbose=False)
    exact = [p.detach().double() for p in model.net.parameters()]
    subset = Subset(data.test.features.double(), data.test.labels.double())
    expected = measure(exact, subset, raw, "mse")
    assert metrics == pytest.approx({f"test/{name}": value for name, value in expected.items()}, rel=1e-6)
    assert metrics["test/accuracy"] == expected["accuracy"]


def test_validate_measures_the_validation_subset(rings: Path, tmp_path: Path) -> None:
    data = NpyDataModule(rings)
    model = seeded(data, seed=2, standardize=False)
    (metrics,) = new_trainer(tmp_path, evaluates=True).validate(model, datamodule=data, verbose=False)
    expected = measure([p.detach() for p in model.net.parameters()], data.val, raw, "bce")
    assert metrics == pytest.approx({f"val/{name}": value for name, value in expected.items()}, rel=1e-5)


def test_probability_one_half_is_class_1(tmp_path: Path) -> None:
    """With p = sigmoid(x): at x = 0 two rows of class 1 are right, one of class 0 is wrong; just below, 0 is right."""
    model = BinaryClassifier(1, 1, "identity", standardize=False)
    with torch.no_grad():
        for parameter, value in zip(model.net.parameters(), (1, 0, 1, 0), strict=True):
            parameter.fill_(value)
    features, labels = torch.tensor([[0.0], [0.0], [0.0], [-1e-3]]), torch.tensor([[1.0], [1.0], [0.0], [0.0]])
    pieces: Batch = [Piece(features, labels, 1.0)]
    (metrics,) = new_trainer(tmp_path, evaluates=True).test(model, Loader([pieces]), verbose=False)
    assert metrics["test/accuracy"] == 0.75


def test_predicts_every_row_in_order(blobs: Path, tmp_path: Path) -> None:
    """The probabilities of raw rows, in pieces of 4, 4 and 3."""
    rows = np.random.default_rng(8).normal(0, 2, (11, 2)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    model = seeded(NpyDataModule(blobs))
    fit(model, NpyDataModule(blobs), tmp_path, 5)
    data = NpyDataModule(blobs, piece_rows=4, predict=tmp_path / "rows.npy")
    pieces = cast("list[Tensor]", new_trainer(tmp_path).predict(model, datamodule=data))
    assert [tuple(piece.shape) for piece in pieces] == [(4, 1), (4, 1), (3, 1)]
    trained = NpyDataModule(blobs)
    trained.setup("fit")
    scale = standardized_by_hand(trained.train.features)
    expected = probability([p.detach() for p in model.net.parameters()], scale(torch.from_numpy(rows)))
    torch.testing.assert_close(torch.cat(pieces), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("lr", math.nan),
        ("lr", math.inf),
        ("lr", -math.inf),
        ("lr", 0.0),
        ("lr", -0.1),
        ("hidden_features", 0),
        ("hidden_features", -1),
        ("hidden_features", 10**9),
        ("hidden_features", 1_000_001),
        ("activation", "step"),
    ],
)
def test_refuses_options_out_of_range(option: str, value: object) -> None:
    """The error names the option and the value it got."""
    with pytest.raises(InputError) as caught:
        BinaryClassifier(2, **{option: value})  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"--model.{option}: {value}; need ")


def test_accepts_options_at_the_edge_of_their_range() -> None:
    model = BinaryClassifier(1, hidden_features=1, lr=5e-324)
    assert (model.lr, [p.numel() for p in model.net.parameters()]) == (5e-324, [1, 1, 1, 1])


def test_checkpoint_refuses_another_split(blobs: Path, tmp_path: Path) -> None:
    """It remembers the data it was trained on: the same split is tested, another seed's is not."""
    data = NpyDataModule(blobs)
    model = seeded(data)
    trainer = new_trainer(tmp_path)
    trainer.fit(model, datamodule=data)
    path = tmp_path / "some.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    assert torch.load(path, weights_only=True)["fingerprint"] == data.fingerprint
    (metrics,) = new_trainer(tmp_path, evaluates=True).test(
        seeded(data), NpyDataModule(blobs), ckpt_path=path, verbose=False
    )
    with torch.no_grad():
        expected = functional.binary_cross_entropy(model(data.test.features), data.test.labels)
    assert metrics["test/loss"] == pytest.approx(expected.item(), rel=1e-5)
    with pytest.raises(InputError, match=r"--data\.seed: the checkpoint was trained on split seed 0"):
        new_trainer(tmp_path, evaluates=True).test(
            seeded(data), NpyDataModule(blobs, seed=1), ckpt_path=path, verbose=False
        )
