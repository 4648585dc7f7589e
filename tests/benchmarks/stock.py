"""The same work as the usual Lightning tutorial does it."""

import copy

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from raw import History, accuracy, bce, build_net, draw, load, parse
from stopwatch import Stopwatch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


class Classifier(LightningModule):
    """Lightning's automatic optimization, and ``self.log`` in every step."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.net = build_net(num_features)
        self.history: History = ([], [])

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = bce(y, self.net(x))
        self.log("train_loss", loss, prog_bar=True)
        self.history[0].append(loss.item())
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        y_hat = self.net(x)
        self.log_dict({"val_loss": bce(y, y_hat), "val_accuracy": accuracy(y, y_hat)}, prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        loss, share = (self.trainer.callback_metrics[name].item() for name in ("val_loss", "val_accuracy"))
        self.history[1].append((self.trainer.global_step, loss, share))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.8)


if __name__ == "__main__":
    options = parse()
    torch.manual_seed(0)
    data = load(options.root)
    train, val = (
        DataLoader(TensorDataset(*rows), options.batch_size or len(rows[0]), shuffle=rows is data[0])
        for rows in data[:2]
    )
    model = Classifier(data[0][0].shape[1])
    before = copy.deepcopy(model.net)
    callbacks: list[Callback] = [Stopwatch(options.first, options.steps)] if options.first else []
    callbacks.append(ModelCheckpoint(monitor="val_loss", save_last=True))
    grid = {"val_check_interval": options.interval, "check_val_every_n_epoch": None, "log_every_n_steps": 1}
    machine = {"accelerator": "cpu", "logger": TensorBoardLogger("."), "callbacks": callbacks}
    Trainer(max_steps=options.steps, max_epochs=-1, **grid, **machine).fit(model, train, val)
    if not options.first:
        draw(data, model.history, before, model.net)
