"""The same work as the usual Lightning tutorial does it; with ``--loop``, the iterations alone are timed."""

import copy
import time

import torch
import torch.utils.tensorboard  # which the logger imports when it first writes
from arguments import parse
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from raw import bce, build_net, draw, load
from stopwatch import Stopwatch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


class Classifier(LightningModule):
    """Lightning's automatic optimization, and ``self.log`` in every step."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.net = build_net(num_features)
        self.history: dict[str, list[float]] = {"train_loss": [], "val_step": [], "val_loss": [], "val_accuracy": []}

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = bce(y, self(x))
        self.log("train_loss", loss, prog_bar=True)
        self.history["train_loss"].append(loss.item())
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        y_hat = self(x)
        self.log("val_loss", bce(y, y_hat), prog_bar=True)
        self.log("val_accuracy", ((y_hat >= 0.5) == (y == 1)).float().mean(), prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        metrics = self.trainer.callback_metrics
        self.history["val_step"].append(self.trainer.global_step)
        for name in "val_loss", "val_accuracy":
            self.history[name].append(metrics[name].item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.8)


def main() -> None:
    options = parse(__doc__, "--loop")
    torch.manual_seed(0)
    data = load(options.root)
    train = TensorDataset(data.x_train, data.y_train)
    val = TensorDataset(data.x_val, data.y_val)
    train_loader = DataLoader(train, options.batch_size or len(train), shuffle=True)
    val_loader = DataLoader(val, options.batch_size or len(val))
    model = Classifier(data.x_train.shape[1])
    before = copy.deepcopy(model.net)
    last = options.warmup + options.iterations
    stopwatch = Stopwatch(options.warmup, last)
    callbacks: list[Callback] = [stopwatch]
    if options.validate_every:
        callbacks.append(ModelCheckpoint(monitor="val_loss", save_last=True))
    trainer = Trainer(
        max_steps=last,
        max_epochs=-1,
        accelerator="cpu",
        val_check_interval=options.validate_every or None,
        check_val_every_n_epoch=None if options.validate_every else 1,
        limit_val_batches=None if options.validate_every else 0,
        enable_checkpointing=bool(options.validate_every),
        log_every_n_steps=1,
        logger=TensorBoardLogger("."),
        callbacks=callbacks,
    )
    start = time.perf_counter()
    trainer.fit(model, train_loader, val_loader)
    if options.loop:
        print()  # ends the progress bar's line
        print(stopwatch.seconds if options.warmup else time.perf_counter() - start)
        return
    draw(data, model.history, before, model.net)


if __name__ == "__main__":
    main()
