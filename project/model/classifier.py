"""The classifier: its network, its training step, and what it logs and keeps."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging
from torch import Tensor, distributed

from project.data import NpyDataModule
from project.data.batches import Piece
from project.model.loss import CRITERIA, METRICS, BatchMean, check_pair
from project.model.net import NETWORKS, Standardization, evaluating
from project.options import check, look_up


class BinaryClassifier(LightningModule):
    """A two-layer network, its standardization, its criterion and SGD.

    It trains on an NpyDataModule, or on any loader of raw features (N, num_features) and labels (N, 1). Called, it
    takes raw features, a tensor or array of any float or integer type, to the probability of class 1, float32 (N, 1).
    An option that is out of its range raises a ValueError.

    Args:
        num_features: Number of features j; null is that of the trainer's NpyDataModule, once it is set up.
        hidden_features: Width of the hidden layer, 1 to 65536.
        activation: Between the layers: tanh, relu, sigmoid, ... (see project.model.net).
        lr: SGD's step size, above 0; an --optimizer has its own.
        loss: The training criterion: binary cross-entropy (bce) or mean squared error (mse); both are logged.
        standardize: Scale features by mean and deviation of the training rows, kept in the model.
        network: two_layer, or one of your own (see project.model.net).
    """

    takes_pieces = True  # of prepared rows, which an NpyDataModule gives to no other module

    def __init__(
        self,
        num_features: int | None = None,
        hidden_features: int = 32,
        activation: str = "tanh",
        lr: float = 0.8,
        loss: str = "bce",
        standardize: bool = True,
        network: str = "two_layer",
    ) -> None:
        super().__init__()
        check(num_features=num_features, hidden_features=hidden_features, lr=lr)
        self.save_hyperparameters(logger=False)
        self.criterion = look_up("loss", loss, CRITERIA)()
        self.lr, self.loss, self.standardize = lr, loss, standardize
        self.width = hidden_features  # how many values a row takes in the hidden layer
        self.initial: dict[str, Tensor] = {}  # the parameters before the first iteration
        self._losses: list[Tensor] = []  # of the iterations since the last validation
        self._sums: list[Tensor] = []  # of the rows and of each metric over them, for each loader
        self._answers: list[Tensor] = []  # labels and probabilities, (n, 2), of an evaluation outside training
        self._network = look_up("network", network, NETWORKS), hidden_features, activation
        if num_features is not None:
            self._make_network(num_features)

    def _make_network(self, num_features: int) -> None:
        kind, *options = self._network
        self.net, self.standardization = kind(num_features, *options), Standardization(num_features, self.standardize)

    def configure_callbacks(self) -> list[Callback]:
        """Make the network, where it had to wait for the data; Lightning asks before any callback copies the model."""
        if not hasattr(self, "net"):
            if (data := self._data) is None:
                raise ValueError("num_features: None; need a number, or a trainer with an NpyDataModule")
            self.hparams["num_features"] = data.num_features  # A checkpoint rebuilds from it.
            self._make_network(data.num_features)
        return []

    def forward(self, features: Tensor | npt.NDArray[Any]) -> Tensor:
        return cast("Tensor", self.net(self.standardized(torch.as_tensor(features, device=self.device))))

    @torch.no_grad()
    def predict_proba(self, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probabilities of class 0 and 1, float64 (N, 2), for features, numbers (N, j), as scikit-learn."""
        rows = np.asarray(features)
        if rows.dtype.kind not in "fiu":
            raise ValueError(f"features of dtype {rows.dtype}; need numbers")
        with evaluating([self]):
            ones = self(torch.from_numpy(rows.astype(np.float64))).double().cpu().numpy()
        return np.concatenate([1 - ones, ones], 1)

    def predict(self, features: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the label 0 or 1, int64 (N,), of raw features (N, j): 1 where its probability is at least 0.5."""
        return (self.predict_proba(features)[:, 1] >= 0.5).astype(np.int64)

    def standardized(self, features: Tensor) -> Tensor:
        """Return raw features as the network sees them, (N, num_features)."""
        self.standardization.check(features)
        return cast("Tensor", self.standardization(features)).to(self.dtype)

    @property
    def _data(self) -> NpyDataModule | None:
        """The data, or None where there is no trainer, or one that was given loaders."""
        data = None
        with suppress(RuntimeError):  # Lightning raises it where no trainer is attached.
            data = getattr(self.trainer, "datamodule", None)
        return data if isinstance(data, NpyDataModule) else None

    def setup(self, stage: str) -> None:
        """Take the moments of the data, and refuse what would train wrongly without a word."""
        self._answers.clear()
        if stage != "fit":
            return
        kinds = {type(callback) for callback in self.trainer.callbacks}  # type: ignore[attr-defined]  # Lightning attaches it.
        if self.trainer.accumulate_grad_batches != 1 or GradientAccumulationScheduler in kinds:
            raise ValueError("accumulate_grad_batches: not supported; larger batches come from batch_size")
        if self.trainer.max_epochs == -1 and StochasticWeightAveraging in kinds:
            raise ValueError("StochasticWeightAveraging: counts epochs, and max_steps alone is one; give max_epochs")
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise ValueError("precision: gradients that are scaled are not supported; need 32-true or bf16-mixed")
        self.initial = {name: weights.detach().cpu().clone() for name, weights in self.named_parameters()}
        if (data := self._data) is not None:
            self.standardization.take(data.classes.moments, data.feature_names)

    def on_train_start(self) -> None:
        """Measure, in one pass, the features that a plain loader gives."""
        self._losses.clear()
        for group in (group for optimizer in self.trainer.optimizers for group in optimizer.param_groups):
            group.setdefault("first_lr", float(group["lr"]))  # A scheduler changes the rate.
        if self.standardize and self.trainer.global_step == 0 and self._data is None:
            moments = self.standardization.measure(self.trainer.train_dataloader)
            self.standardization.take(self.trainer.strategy.broadcast(moments))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), self.lr)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        self.zero_grad()
        mean = BatchMean(self)
        for x, y, weight in self.pieces(batch):  # There is one piece, of weight 1, unless the batch is large.
            y_hat = self.net(x)
            loss = self.criterion(y, y_hat)
            mean.add(weight, loss, y, y_hat)
        return mean.outputs()

    def optimizer_zero_grad(self, *args: Any) -> None:
        """Keep the gradients: Lightning calls this after training_step, which has zeroed them before."""

    def pieces(self, batch: Any) -> Sequence[Piece]:
        """Return a batch, of pieces or a plain loader's (x, y), as pieces of prepared rows on the model's device."""
        if isinstance(batch, list) and all(isinstance(part, Piece) for part in batch):
            return [Piece(x.to(self.device), y.to(self.device), weight) for x, y, weight in batch]
        x, y = check_pair(batch)
        return [Piece(self.standardized(x), y.to(self.dtype), 1)]

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Add up each metric over rows; a second loader is the test subset's."""
        if dataloader_idx == len(self._sums):
            self._sums.append(torch.zeros(1 + len(METRICS), dtype=torch.float64, device=self.device))
        for x, y, _ in self.pieces(batch):
            y_hat = self.net(x)
            values = [metric(y, y_hat) for metric in METRICS.values()]
            self._sums[dataloader_idx] += len(y) * torch.stack([torch.ones_like(y_hat[0, 0]), *values])
            if self.trainer.state.fn != "fit" and dataloader_idx == 0:
                self._answers.append(torch.cat([y, y_hat], 1))

    test_step = validation_step

    def predict_step(self, batch: Tensor | Sequence[Tensor], batch_idx: int) -> Tensor:
        return self.forward(batch if isinstance(batch, Tensor) else batch[0])

    @property
    def answers(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Labels and probabilities, (N,) each, of the rows of the last evaluation, those of class 0 first."""
        rows = torch.cat(self._answers).double().cpu().numpy()
        labels, probabilities = rows[rows[:, 0].argsort(kind="stable")].T
        return labels, probabilities

    def on_validation_epoch_end(self) -> None:
        if self.trainer.state.fn == "fit":
            # Otherwise Lightning numbers the validation after iteration 20 as 19, and adds a curve of epochs.
            self.log("step", float(self.trainer.global_step), sync_dist=True)
            if self._losses:
                self.log("train/loss", self._losses[-1], logger=False, sync_dist=True)
            self.log_losses()
        elif self.trainer.world_size > 1:
            shares: list[Any] = [None] * self.trainer.world_size
            distributed.all_gather_object(shares, [answers.cpu() for answers in self._answers])
            self._answers = [answers for share in shares for answers in share]
        subsets = ("test",) if self.trainer.state.fn == "test" else ("val", "test")
        for subset, sums in zip(subsets, self._sums, strict=False):
            rows, *totals = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
            means = {f"{subset}/{name}": total / rows for name, total in zip(METRICS, totals, strict=True)}
            means = {f"{subset}/loss": means[f"{subset}/{self.loss}"], **means}
            self.log_dict(means, sync_dist=True)  # The processes agree already; Lightning would warn without it.
        self._sums.clear()

    on_test_epoch_end = on_validation_epoch_end

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._losses.append(outputs["batch_loss"])

    def log_losses(self) -> None:
        """Hand each iteration's loss to the loggers, under its number; one by one, each would cost a millisecond."""
        losses = torch.stack(self._losses).tolist() if self._losses else []
        self._losses.clear()
        for logger in self.trainer.loggers:
            for step, loss in enumerate(losses, self.trainer.global_step - len(losses) + 1):
                logger.log_metrics({"train/loss": loss}, step)

    on_train_end = log_losses

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["initial"] = self.initial
        checkpoint["optimizers"] = [type(optimizer).__name__ for optimizer in self.trainer.optimizers]
        checkpoint["fingerprint"] = self._data and self._data.classes.fingerprint

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse data or a split that the checkpoint was not trained on; no way of loading skips this hook."""
        self.initial = checkpoint["initial"]
        if (data := self._data) is not None and self.trainer.state.fn != "predict":
            data.classes.check_same(checkpoint["fingerprint"])
