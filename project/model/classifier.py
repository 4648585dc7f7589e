"""What an iteration computes and logs."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from project.data.batches import Piece
from project.data.scales import moments_of, tell_odd_scales
from project.model.loss import CRITERIA, METRICS
from project.model.net import NETWORKS, evaluating
from project.model.standardization import Standardization
from project.options import check, look_up

Batch = Sequence[Piece] | Sequence[Tensor]  # pieces of prepared rows, or raw features and labels


class BinaryClassifier(LightningModule):
    """A two-layer network, its standardization, its criterion and SGD.

    It trains on the batches of an NpyDataModule, which come prepared and in pieces, or of any loader of raw features
    (N, j) and labels (N, 1). Called, it takes raw features, (N, num_features), a tensor or numpy array of any float or
    integer type, to the probability of class 1, float32 (N, 1) in [0, 1].

    Args:
        num_features: Number of features j; follows from the data.
        hidden_features: Width of the hidden layer, 1 to 65536.
        activation: Between the layers: tanh, relu, sigmoid, ... (see project.model.net).
        lr: SGD's step size, above 0; an --optimizer has its own.
        loss: The training criterion: binary cross-entropy (bce) or mean squared error (mse); both are logged.
        standardize: Scale features by mean and deviation of the training rows, kept in the model.
        network: two_layer, or one of your own (see project.model.net).

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        num_features: int,
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
        self.net = look_up("network", network, NETWORKS)(num_features, hidden_features, activation)
        self.criterion = look_up("loss", loss, CRITERIA)()
        self.standardization = Standardization(num_features, standardize)
        self.lr, self.loss, self.standardize = lr, loss, standardize
        self.initial: dict[str, Tensor] = {}  # the parameters before the first iteration
        self._losses: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._answers: list[Tensor] = []

    def forward(self, features: Tensor | npt.NDArray[Any]) -> Tensor:
        raw = torch.as_tensor(features, device=self.standardization.mean.device)
        return cast("Tensor", self.net(self.standardized(raw)))

    @torch.no_grad()
    def predict_proba(self, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability of class 0 and of class 1, float64 (N, 2), for raw features (N, j), as scikit-learn.

        Raises:
            ValueError: if the features are not numbers, or not (N, j).
        """
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
    def width(self) -> int:
        """How many values a row takes in the hidden layer."""
        return int(self.hparams["hidden_features"])

    @property
    def _data(self) -> Any:
        """The datamodule, or None where the trainer was given loaders."""
        return getattr(self.trainer, "datamodule", None)

    def setup(self, stage: str) -> None:
        """Take the data's statistics, and refuse what would train wrongly without a word."""
        if stage != "fit":
            return
        if self.trainer.accumulate_grad_batches != 1:
            raise ValueError("accumulate_grad_batches: not supported; larger batches come from batch_size")
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise ValueError("precision: gradients that are scaled are not supported; need 32-true or bf16-mixed")
        self.initial = {name: weights.detach().cpu().clone() for name, weights in self.named_parameters()}
        if hasattr(self._data, "statistics"):
            self.standardize_by(*self._data.statistics)

    def on_train_start(self) -> None:
        """Measure, in one pass, what a plain loader gives: it has no statistics of its own."""
        self._losses.clear()
        if self.trainer.global_step > 0 or not self.standardize or hasattr(self._data, "statistics"):
            return
        moments = moments_of(self.trainer.train_dataloader, self.device, self.standardization.check)
        self.standardize_by(*self.trainer.strategy.broadcast((moments.mean, moments.std)))

    def standardize_by(self, mean: Tensor, std: Tensor) -> None:
        """Scale features from now on by their mean and deviation, (j,) each, and tell what is odd about them."""
        self.standardization.check(mean[None])
        tell_odd_scales(mean, std, self.standardize, getattr(self._data, "feature_names", None))
        self.standardization.take(mean, std)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), self.lr)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Add up the gradients of the batch's pieces, but for the last one, which Lightning's own backward adds.

        The value of the loss is the mean over the batch, its gradient the last piece's share. With several processes it
        is each one's part of that mean times their number, because Lightning averages over them.
        """
        optimizer = cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False))
        optimizer.zero_grad()
        loss, right = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        validated = (self.trainer.global_step + 1) % (self.trainer.val_check_batch or 1) == 0
        for x, y, weight in self.pieces(batch):
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            y_hat = self.net(x)
            loss = loss.detach() + weight * self.trainer.world_size * self.criterion(y, y_hat)
            if validated:  # Elsewhere nobody asks, and it would cost some microseconds in every iteration.
                right += weight * self.trainer.world_size * METRICS["accuracy"](y, y_hat.detach())
        if not loss.requires_grad:  # This process has no row of the batch, and the others wait for its gradients.
            loss = 0 * torch.stack([weights.sum() for weights in self.parameters()]).sum()
        outputs = {"loss": loss, "batch_loss": self.trainer.strategy.reduce(loss.detach(), reduce_op="mean")}
        if validated:
            outputs["batch_accuracy"] = self.trainer.strategy.reduce(right, reduce_op="mean")
        return outputs

    def optimizer_zero_grad(self, *args: Any) -> None:
        """Keep the gradients: Lightning calls this after training_step, which has zeroed them before."""

    def pieces(self, batch: Batch) -> Sequence[Piece]:
        """Return a batch as pieces of prepared rows on the model's device."""
        if batch and isinstance(batch[0], Tensor):
            x, y = cast("Sequence[Tensor]", batch)
            return [Piece(self.standardized(x), y.to(self.dtype), 1)]
        pieces = cast("Sequence[Piece]", batch)
        return [Piece(x.to(self.device), y.to(self.device), weight) for x, y, weight in pieces]

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Add up each metric over rows; the second loader, if there is one, is the test subset's."""
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
        rows = np.concatenate([answers.double().cpu().numpy() for answers in self._answers])
        labels, probabilities = rows[rows[:, 0].argsort(kind="stable")].T
        return labels, probabilities

    def on_validation_epoch_start(self) -> None:
        self._answers.clear()

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        self._log_means("val", "test")
        if self.trainer.state.fn == "fit":
            # Otherwise Lightning numbers the validation after iteration 20 as 19, and adds a curve of epochs.
            self.log("step", float(self.trainer.global_step), sync_dist=True)
            if self._losses:
                self.log("train/loss", self._losses[-1], logger=False, sync_dist=True)

    def on_test_epoch_end(self) -> None:
        self._log_means("test")

    def _log_means(self, *subsets: str) -> None:
        if self.trainer.world_size > 1 and self._answers:
            self._answers = gather_all_tensors(torch.cat(self._answers))
        for subset, sums in zip(subsets, self._sums, strict=False):
            rows, *totals = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
            metrics = {name: total / rows for name, total in zip(METRICS, totals, strict=True)}
            named = {f"{subset}/{name}": value for name, value in {"loss": metrics[self.loss], **metrics}.items()}
            self.log_dict(named, sync_dist=True)  # The processes agree already; Lightning would warn without it.
        self._sums.clear()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self._losses.append(outputs["batch_loss"])

    def on_validation_end(self) -> None:
        self.log_losses()

    on_train_end = on_validation_end

    def log_losses(self) -> None:
        """Hand each iteration's loss to the loggers, under its number; one by one, each would cost a millisecond."""
        if not self._losses:
            return
        losses = torch.stack(self._losses).tolist()
        self._losses.clear()
        for logger in self.trainer.loggers:
            for step, loss in enumerate(losses, self.trainer.global_step - len(losses) + 1):
                logger.log_metrics({"train/loss": loss}, step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["initial"] = self.initial
        checkpoint["fingerprint"] = getattr(self._data, "fingerprint", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse data or a split that the checkpoint was not trained on; no way of loading skips this hook."""
        self.initial = checkpoint["initial"]
        if self._trainer is not None and self.trainer.state.fn != "predict" and hasattr(self._data, "fingerprint"):
            self._data.check_fingerprint(checkpoint["fingerprint"])
