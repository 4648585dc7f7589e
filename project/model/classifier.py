"""What an iteration computes and logs."""

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from project.errors import InputError, InputWarning
from project.model.loss import BCELoss, MSELoss
from project.model.net import NNet
from project.ranks import add_over_ranks, several_ranks

if TYPE_CHECKING:
    from project.data import NpyDataModule
    from project.data.batches import Batch

MOST_HIDDEN = 65_536
VAST_RATIO = 1e3  # between the deviations of two features, which one step size can no longer serve


class BinaryClassifier(LightningModule):
    """A two-layer network, its standardization, its criterion and SGD.

    Shape: raw features, float32 (N, num_features), to the probability of class 1, (N, 1) in [0, 1].

    Args:
        num_features: Number of features j; follows from the data.
        hidden_features: Width of the hidden layer, 1 to 65536.
        activation: Between the layers: tanh, relu, sigmoid, ... (see project.model.net).
        lr: SGD's step size, above 0.
        loss: The training criterion: binary cross-entropy (bce) or mean squared error (mse); both are logged.
        standardize: Scale features by the training subset's mean and deviation, kept in the model; or take them raw.

    Raises:
        InputError: if an option is out of its range.
    """

    mean: Tensor
    scale: Tensor
    net: NNet
    loss: str

    def __init__(
        self,
        num_features: int,
        hidden_features: int = 32,
        activation: str = "tanh",
        lr: float = 1.0,
        loss: Literal["bce", "mse"] = "bce",
        standardize: bool = True,
    ) -> None:
        super().__init__()
        if not (math.isfinite(lr) and lr > 0):
            raise InputError(f"--model.lr: {lr}; need a finite number above 0")
        if hidden_features > MOST_HIDDEN:
            raise InputError(f"--model.hidden_features: {hidden_features}; need 1 to {MOST_HIDDEN}")
        if loss not in ("bce", "mse"):
            raise InputError(f"--model.loss: {loss}; need bce or mse")
        self.save_hyperparameters(logger=False)
        # One Lightning step is one iteration, in however many pieces: the gradients are accumulated here.
        self.automatic_optimization = False
        self.net = NNet(num_features, hidden_features, activation)
        self.criteria = nn.ModuleDict({"bce": BCELoss(), "mse": MSELoss()})
        self.lr, self.loss, self.standardize = lr, loss, standardize
        # float64, because the deviation may be lost in the digits of a large mean
        self.register_buffer("mean", torch.zeros(num_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(num_features, dtype=torch.float64))

    def setup(self, stage: str) -> None:
        if stage != "fit" or (self._data is None and not self.standardize):
            return
        if self._data is None:
            raise InputError("standardize: needs the statistics of an NpyDataModule; pass one, or standardize=False")
        mean, std = self._data.statistics
        constant = torch.nonzero(std == 0)[:, 0].tolist()
        if self.standardize:
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(std > 0, 1 / std, 0))  # a constant feature becomes 0
            for column in constant:
                warnings.warn(f"column {column} is constant; standardized to 0", InputWarning, stacklevel=2)
        elif not constant and std.max() / std.min() >= VAST_RATIO:
            ratio = std.max() / std.min()
            warnings.warn(
                f"columns differ in scale by {ratio:.0e}; consider --model.standardize true", InputWarning, stacklevel=2
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["fingerprint"] = self._data.fingerprint if self._data else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse data or a split that the checkpoint was not trained on.

        This is the one hook that no way of loading skips: the datamodule's own state is restored after its setup, and
        not at all when its class has another name.
        """
        if self._trainer is not None and self._data is not None and self.trainer.state.fn != "predict":
            self._data.check_fingerprint(checkpoint["fingerprint"])

    @property
    def _data(self) -> "NpyDataModule | None":
        data: NpyDataModule | None = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it
        return data

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.lr)

    def forward(self, features: Tensor) -> Tensor:
        probability: Tensor = self.net(self.standardized(features))
        return probability

    def standardized(self, features: Tensor) -> Tensor:
        """Return the features as the network sees them, float32 (N, num_features)."""
        return ((features - self.mean) * self.scale).to(features.dtype) if self.standardize else features

    def training_step(self, batch: "Batch", batch_idx: int) -> Tensor:
        """Take one SGD step and return the batch's loss before it; the data come standardized.

        Not by ``manual_backward``: with several processes it would average their gradients, after every piece.
        """
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.zero_grad()
        batch_loss = torch.zeros((), device=self.device)
        for piece in batch:
            loss = self.criteria[self.loss](piece.labels, self.net(piece.features))
            loss.backward(torch.full_like(loss, piece.weight))
            batch_loss.add_(loss.detach(), alpha=piece.weight)
        if several_ranks():
            self._add_shares(batch_loss)
        optimizer.step()
        return batch_loss

    def _add_shares(self, batch_loss: Tensor) -> None:
        """Add up the losses and gradients of the processes, each of which has computed its share of the batch."""
        gradients = []
        for weights in self.net.parameters():
            if weights.grad is None:  # this process has no row of the batch
                weights.grad = torch.zeros_like(weights)
            gradients.append(weights.grad)
        add_over_ranks([batch_loss, *gradients])

    def on_validation_epoch_start(self) -> None:
        self._means = [torch.zeros(3, dtype=torch.float64, device=self.device) for _ in ("val", "test")]

    def validation_step(self, batch: "Batch", batch_idx: int, dataloader_idx: int = 0) -> None:
        """Add up the batch's BCE, MSE and accuracy; the second loader, if there is one, is the test subset's."""
        for piece in batch:
            y_hat = self.net(piece.features)
            losses = [criterion(piece.labels, y_hat) for criterion in self.criteria.values()]
            accuracy = ((y_hat >= 0.5) == (piece.labels == 1)).double().mean()
            self._means[dataloader_idx] += piece.weight * torch.stack([*losses, accuracy])

    def on_validation_epoch_end(self) -> None:
        for subset, means in zip(("val", "test"), self._means, strict=True):
            if subset == "val" or (self._data is not None and self._data.track_test):
                self._log_means(subset, means)

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        self._log_means("test", self._means[0])

    def _log_means(self, subset: str, means: Tensor) -> None:
        bce, mse, accuracy = means.tolist()
        loss = bce if self.loss == "bce" else mse
        metrics = {"loss": loss, "accuracy": accuracy, "bce": bce, "mse": mse}
        # In fit, History hands them to the loggers: Lightning would number the validation after iteration 20 as 19.
        logger = self.trainer.state.fn != "fit"
        named = {f"{subset}/{name}": value for name, value in metrics.items()}
        self.log_dict(named, logger=logger, sync_dist=True, reduce_fx="sum")  # each process has its share of the rows

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.forward(batch)
