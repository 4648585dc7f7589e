"""What an iteration computes, against loops written out by hand: plain tensors, autograd and ``w - lr * gradient``."""

import math
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional

from project.data import NpyDataModule
from project.data.batches import Loader, Piece, Subset, TrainingBatches, cut
from project.errors import InputWarning
from project.model import BinaryClassifier
from tests.conftest import Write

Scale = Callable[[Tensor], Tensor]
Rows = tuple[Tensor, Tensor]
CRITERIA = {"bce": functional.binary_cross_entropy, "mse": functional.mse_loss}
METRICS = ("loss", "accuracy", "bce", "mse")


class Course(NamedTuple):
    """The loss of each iteration, before its update, and what each validation logs, by its iteration."""

    losses: list[float]
    metrics: dict[int, dict[str, float]]


class Recorder(Callback):
    """Keeps what the trainer hands to callbacks."""

    def __init__(self) -> None:
        self.course = Course([], {})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert torch.equal(outputs["loss"], outputs["batch_loss"])  # One process has the whole batch.
        self.course.losses.append(outputs["batch_loss"].item())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
            self.course.metrics[trainer.global_step] = metrics


def new_trainer(folder: Path, steps: int = 1, interval: int = 20, **options: Any) -> Trainer:
    """Return a trainer that writes nothing; one that evaluates hands its metrics to a logger, so it needs one."""
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "logger"), False)
    grid = {"max_steps": steps, "val_check_interval": interval, "check_val_every_n_epoch": None}
    fixed = {"accelerator": "cpu", "num_sanity_val_steps": 0, "log_every_n_steps": 1, "default_root_dir": folder}
    return Trainer(**{**quiet, **grid, **fixed, **options})


def fit(model: LightningModule, data: Any, folder: Path, steps: int, interval: int = 20, **options: Any) -> Course:
    """Train on a datamodule, or on two loaders, and return what happened."""
    recorder = Recorder()
    callbacks = [recorder, *options.pop("callbacks", [])]
    loaders = {"datamodule": data} if isinstance(data, NpyDataModule) else dict(zip(LOADERS, data, strict=True))
    new_trainer(folder, steps, interval, callbacks=callbacks, **options).fit(model, **loaders)
    return recorder.course


LOADERS = ("train_dataloaders", "val_dataloaders")


def seeded(data: NpyDataModule, seed: int = 0, **options: Any) -> BinaryClassifier:
    """Return a classifier whose weights are the seed's."""
    torch.manual_seed(seed)
    return BinaryClassifier(data.num_features, **options)


def seeded_weights(j: int, seed: int = 0) -> list[Tensor]:
    """Return what torch's own layers draw from the seed."""
    torch.manual_seed(seed)
    layers = nn.Linear(j, 32), nn.Linear(32, 1)
    return [p.detach().clone().requires_grad_() for layer in layers for p in layer.parameters()]


def probability(weights: Iterable[Tensor], features: Tensor) -> Tensor:
    """Return the tanh network's output, written out."""
    w1, b1, w2, b2 = weights
    return 1 / (1 + torch.exp(-(torch.tanh(features @ w1.T + b1) @ w2.T + b2)))


def measure(weights: Iterable[Tensor], rows: Rows, loss: str) -> dict[str, float]:
    """Return all metrics of prepared rows as torch's own criteria give them on all of them together."""
    with torch.no_grad():
        y_hat = probability(weights, rows[0])
    values = {name: criterion(y_hat, rows[1]).item() for name, criterion in CRITERIA.items()}
    right = [(p >= 0.5) == (y == 1) for p, y in zip(y_hat[:, 0].tolist(), rows[1][:, 0].tolist(), strict=True)]
    return {"loss": values[loss], "accuracy": sum(right) / len(right), **values}


def by_hand(
    weights: list[Tensor],
    batches: Iterable[Rows],
    subsets: dict[str, Rows],
    loss: str = "bce",
    lr: Callable[[int], float] = lambda _: 1.0,
    clip: float = math.inf,
) -> Course:
    """Train the weights in place on prepared rows, and measure the subsets after every 20th iteration.

    The lr is that of an iteration counted from 1; gradients together longer than clip are made as long as it, but for the 1e-6 that torch adds.
    """
    course = Course([], {})
    for step, (features, labels) in enumerate(batches, 1):
        value = CRITERIA[loss](probability(weights, features), labels)
        gradients = torch.autograd.grad(value, weights)
        length = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        course.losses.append(value.item())
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(lr(step) * min(1, clip / (length + 1e-6)) * gradient)
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


def batches_of(data: NpyDataModule, scale: Scale, seed: int, steps: int) -> list[Rows]:
    """Return the prepared rows of each iteration, uncut."""
    x, y = scale(data.train.features), data.train.labels
    order = TrainingBatches(data.train, data.batch_size or len(y), piece_rows=len(y), seed=seed, iterations=steps)
    return [(x[order.rows(i)], y[order.rows(i)]) for i in range(1, steps + 1)]


def raw(features: Tensor) -> Tensor:
    return features


def assert_same_course(ours: Course, theirs: Course, rel: float = 1e-5) -> None:
    assert ours.losses == pytest.approx(theirs.losses, rel=rel)
    assert list(ours.metrics) == list(theirs.metrics)
    for step, metrics in theirs.metrics.items():
        assert ours.metrics[step] == pytest.approx(metrics, rel=rel), step


def assert_same_weights(model: BinaryClassifier, weights: Iterable[Tensor], tolerance: float = 1e-5) -> None:
    for ours, theirs in zip(model.net.parameters(), weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.fixture
def rings(write_classes: Write) -> Path:
    """A cloud at the origin inside a ring of about unit radius: not linearly separable, 80 rows a class."""
    rng = np.random.default_rng(5)
    angle = rng.uniform(0, 2 * np.pi, 80)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.3, (80, 2))
    return write_classes(rng.normal(0, 0.4, (80, 2)), ring, "rings")


@pytest.mark.parametrize(
    ("seed", "steps", "data_options", "model_options"),
    [
        (3, 1000, {"root": None}, {}),  # the defaults on the sample
        (1, 1000, {}, {"standardize": False}),  # the notebook's arithmetic
        (7, 97, {"batch_size": 17, "piece_rows": 5}, {"lr": 0.3}),  # of 96 rows; the last batch of each epoch has 11
        (0, 60, {"piece_rows": 37, "track_test": True}, {"loss": "bce"}),
        (0, 60, {"piece_rows": 37, "track_test": True}, {"loss": "mse"}),
    ],
)
def test_training_follows_a_loop_written_by_hand(
    seed: int, steps: int, data_options: Any, model_options: Any, rings: Path, tmp_path: Path
) -> None:
    """Losses, weights and all that is logged are the loop's, and nothing else is logged.

    From some initial weights, those of seed 0 on the sample among them, lr 1.0 passes through an instability that
    amplifies rounding until two loops part visibly, even in float64. From those of seed 3 it does not.
    """
    data = NpyDataModule(**{"root": rings, **data_options})
    data.setup("fit")
    model = seeded(data, seed, **model_options)
    ours = fit(model, data, tmp_path, steps)
    weights = seeded_weights(2, seed)
    scale = standardized_by_hand(data.train.features) if model.standardize else raw
    batches = batches_of(data, scale, seed, steps)
    if data.batch_size:
        assert [len(rows) for _, rows in batches[:12]] == [17, 17, 17, 17, 17, 11] * 2
    names = ("val", "test") if data.track_test else ("val",)
    subsets = {name: (scale(getattr(data, name).features), getattr(data, name).labels) for name in names}
    theirs = by_hand(weights, batches, subsets, model.loss, lambda _: model.lr)
    assert len(ours.losses) == steps
    assert list(ours.metrics) == list(range(20, steps + 1, 20))
    assert_same_course(ours, theirs)
    assert_same_weights(model, weights, 1e-3)
    if steps == 1000:
        assert ours.losses[-1] < 0.6 * ours.losses[0]  # It learned, so that the agreement means something.


@pytest.mark.parametrize("piece_rows", [1, 2, None])
def test_one_step_worked_by_hand(piece_rows: int | None, tmp_path: Path) -> None:
    """Two rows of class 1 through two relu units, with sums chosen so that every gradient is a short fraction.

    x = 1:  hidden (1, 0), z =  ln 3, p = 3/4, (p - y) / 2 = -1/8
    x = -1: hidden (0, 1), z = -ln 3, p = 1/4, (p - y) / 2 = -3/8
    The batch comes in pieces, or as the plain pair that a DataLoader gives.
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
    x, y = torch.tensor([[1.0], [-1.0]]), torch.ones(2, 1)
    loader = Loader([cut(x, y, piece_rows, 2) if piece_rows else [x, y]])
    course = fit(model, (loader, loader), tmp_path, 1)
    assert course.losses == pytest.approx([math.log(16 / 3) / 2], rel=1e-6)  # -(ln 3/4 + ln 1/4) / 2
    for parameter, start, gradient in zip(model.net.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), torch.tensor(start) - 0.5 * torch.tensor(gradient))


@pytest.mark.parametrize(
    ("batch_size", "piece_rows"),
    [(None, 1), (None, 7), (None, 59), (None, 60), (None, 1000), (25, 1), (25, 4), (25, 24), (25, 25), (1, 1)],
)
def test_cutting_a_batch_changes_nothing(batch_size: int | None, piece_rows: int, blobs: Path, tmp_path: Path) -> None:
    """60 training rows, whole or 25 + 25 + 10, in pieces with ragged ends: losses, metrics and weights are the same."""
    courses, models = [], []
    for rows in (piece_rows, 16384):
        data = NpyDataModule(blobs, batch_size=batch_size, piece_rows=rows)
        models.append(seeded(data, seed=3))
        courses.append(fit(models[-1], data, tmp_path, 20, interval=10))
    assert_same_course(courses[0], courses[1])
    assert_same_weights(models[0], [p.detach() for p in models[1].net.parameters()])


@pytest.mark.parametrize("batch_size", [60, 25])
def test_an_iteration_on_another_device_waits_for_nothing(batch_size: int, blobs: Path, tmp_path: Path) -> None:
    """Pretended tensors on a device that is not the CPU: to mix the two raises, and so does to look at a value."""
    data = NpyDataModule(blobs)
    data.setup("fit")
    elsewhere = torch.device("meta")
    model = BinaryClassifier(2).to(elsewhere)
    model.trainer = new_trainer(tmp_path)
    with FakeTensorMode(allow_non_fake_inputs=True):
        optimizer = torch.optim.SGD(model.parameters(), 1.0)
        model.optimizers = lambda **_: optimizer  # type: ignore[method-assign, assignment]  # without a whole fit
        x, y = data.train.features.to(elsewhere), data.train.labels.to(elsewhere)
        train = Subset(model.standardized(x), y, data.train.rows, data.train.held)
        for batch in TrainingBatches(train, batch_size, piece_rows=16, seed=0, iterations=4):
            outputs = model.training_step(batch, 0)
            assert outputs["loss"].device == outputs["batch_loss"].device == elsewhere
            outputs["loss"].backward()
            optimizer.step()
            model.on_train_batch_end(outputs, batch, 0)
        model.validation_step(train.whole(16), 0)
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
        course = fit(model, data, tmp_path, 20)
    assert [(warned.category, str(warned.message)) for warned in recorded] == [
        (InputWarning, f"column {column} is constant; standardized to 0") for column in (1, 2, 3)
    ]
    for subset in data.train, data.val, data.test:
        for features in subset.features, subset.features + 1:  # also where it is no longer the constant
            assert bool((model.standardized(features)[:, 1:] == 0).all())
    scale = standardized_by_hand(data.train.features[:, :1])
    torch.testing.assert_close(model.standardized(data.val.features)[:, :1], scale(data.val.features[:, :1]))
    assert all(math.isfinite(loss) for loss in course.losses)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_trained_model_takes_raw_features(standardize: bool, blobs: Path, tmp_path: Path) -> None:
    """It keeps the training subset's mean and deviation in its state, in which validation and test rows had no part."""
    data = NpyDataModule(blobs)
    model = seeded(data, standardize=standardize)
    fit(model, data, tmp_path, 5)
    train = data.train.features.numpy().astype(np.float64)
    mean, deviation = (train.mean(0), train.std(0)) if standardize else (np.zeros(2), np.ones(2))
    state = model.state_dict()
    np.testing.assert_allclose(state["mean"].numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(1 / state["scale"].numpy(), deviation, rtol=1e-12)
    features = data.test.features
    scale = standardized_by_hand(data.train.features) if standardize else raw
    with torch.no_grad():
        torch.testing.assert_close(
            model(features), probability(model.net.parameters(), scale(features)), rtol=1e-6, atol=1e-7
        )


@pytest.mark.parametrize("name", ["val", "test"])
@pytest.mark.parametrize("piece_rows", [1, 3, 7, 32, 1000])
def test_metrics_are_exact_over_pieces(piece_rows: int, name: str, rings: Path, tmp_path: Path) -> None:
    """The mean over the rows of the validation or test subset, in pieces of whatever size."""
    data = NpyDataModule(rings, piece_rows=piece_rows)
    model = seeded(data, seed=2, loss="mse", standardize=False)
    trainer = new_trainer(tmp_path, logger=DummyLogger())
    (metrics,) = (trainer.validate if name == "val" else trainer.test)(model, datamodule=data, verbose=False)
    exact = [p.detach().double() for p in model.net.parameters()]
    subset = getattr(data, name)
    expected = measure(exact, (subset.features.double(), subset.labels.double()), "mse")
    assert metrics == pytest.approx({f"{name}/{metric}": value for metric, value in expected.items()}, rel=1e-6)
    assert metrics[f"{name}/accuracy"] == expected["accuracy"]


def test_probability_one_half_is_class_1(tmp_path: Path) -> None:
    """With p = sigmoid(x): at x = 0 two rows of class 1 are right, one of class 0 is wrong; just below, 0 is right."""
    model = BinaryClassifier(1, 1, "identity", standardize=False)
    with torch.no_grad():
        for parameter, value in zip(model.net.parameters(), (1, 0, 1, 0), strict=True):
            parameter.fill_(value)
    features, labels = torch.tensor([[0.0], [0.0], [0.0], [-1e-3]]), torch.tensor([[1.0], [1.0], [0.0], [0.0]])
    loader = Loader([[Piece(features, labels, 1.0)]])
    (metrics,) = new_trainer(tmp_path, logger=DummyLogger()).test(model, loader, verbose=False)
    assert metrics["test/accuracy"] == 0.75


def test_predicts_every_row_in_order(blobs: Path, tmp_path: Path) -> None:
    """The probabilities of raw rows, in pieces of 4, 4 and 3."""
    rows = np.random.default_rng(8).normal(0, 2, (11, 2)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    trained = NpyDataModule(blobs)
    model = seeded(trained)
    fit(model, trained, tmp_path, 5)
    data = NpyDataModule(blobs, piece_rows=4, predict=tmp_path / "rows.npy")
    pieces = cast("list[Tensor]", new_trainer(tmp_path).predict(model, datamodule=data))
    assert [tuple(piece.shape) for piece in pieces] == [(4, 1), (4, 1), (3, 1)]
    scale = standardized_by_hand(trained.train.features)
    expected = probability([p.detach() for p in model.net.parameters()], scale(torch.from_numpy(rows)))
    torch.testing.assert_close(torch.cat(pieces), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("lr", value) for value in (math.nan, math.inf, -math.inf, 0.0, -0.1)],
        *[("hidden_features", value) for value in (0, -1, 10**9, 65_537)],
        *[("activation", "step"), ("loss", "mae"), ("num_features", 0)],
    ],
)
def test_refuses_options_out_of_range(option: str, value: object) -> None:
    """The error names the classifier's own argument and the value it got."""
    with pytest.raises(ValueError, match="need") as caught:
        BinaryClassifier(**{"num_features": 2, option: value})  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"{option}: {value}; need ")


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
    again = new_trainer(tmp_path, logger=DummyLogger())
    (metrics,) = again.test(seeded(data), NpyDataModule(blobs), ckpt_path=path, verbose=False)
    with torch.no_grad():
        expected = functional.binary_cross_entropy(model(data.test.features), data.test.labels)
    assert metrics["test/loss"] == pytest.approx(expected.item(), rel=1e-5)
    with pytest.raises(ValueError, match="the checkpoint was trained on split seed 0"):
        again.test(seeded(data), NpyDataModule(blobs, seed=1), ckpt_path=path, verbose=False)
