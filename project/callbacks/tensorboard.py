"""Scalars, pictures, graph, config and options for TensorBoard, and loggers that know the run folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from project.errors import InterruptedRunError
from project.model.loss import METRICS
from project.reports.plot import add_picture
from project.runs.checkpoint import first_rates
from project.runs.disk import tolerated
from project.runs.run import RunFolder

RESULTS = ("val/accuracy", "test/accuracy", "val/loss", "test/loss")  # scalars of which HPARAMS shows the last value


class RunLogger(TensorBoardLogger):
    """Lightning's logger for a run folder, or for None in other processes than the run's first, which log nothing.

    TensorBoard forgets what was logged from ``purge_step`` on, the first iteration that a resumed run repeats.
    """

    log_dir = root_dir = save_dir = ""
    criterion = "loss"  # what a training loss is called: several runs share a chart, and none shall mix two losses

    def __init__(self, folder: Path | None, purge_step: int = 0) -> None:
        # With the usual queue of 10, every validation would wait for the disk.
        super().__init__("", default_hp_metric=False, max_queue=1000, purge_step=purge_step)
        self.log_dir = self.root_dir = self.save_dir = str(folder or "")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | None], step: int | None = None) -> None:
        with tolerated(Path(self.log_dir)):
            for name, value in metrics.items():  # Lightning's own loop turns any failure into a ValueError.
                if value is not None:
                    tag = f"train/{self.criterion}" if name == "train/loss" else name
                    self.experiment.add_scalar(tag, value, step)

    @rank_zero_only
    def log_picture(self, name: str, picture: Image.Image, step: int) -> None:
        with tolerated(Path(self.log_dir)):
            add_picture(self.experiment, name, picture, step)

    def save(self) -> None:
        """Do nothing at each validation: the queue is written when it is full, and config.yaml says it all."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        with tolerated(Path(self.log_dir)):
            super().finalize(status)


class FolderLogger(DummyLogger):
    """Logs nothing, but tells the trainer the run folder."""

    save_dir = ""

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.save_dir = str(folder or "")


def run_loggers(trainer: Trainer) -> list[RunLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]


class TensorBoard(Callback):
    """Hands over chart layout, config and graph when training starts, the options and what they led to when it ends."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in run_loggers(trainer):
            logger.criterion = pl_module.hparams["loss"]
        if trainer.global_step > 0:  # A resumed run has told them.
            return
        charts = {name: ["Multiline", [f"{subset}/{name}" for subset in ("train", "val", "test")]] for name in METRICS}
        config = RunFolder.from_trainer(trainer).config
        row = torch.zeros(1, pl_module.hparams["num_features"], device=pl_module.device)
        # The graph shows how raw features become a probability.
        whole = torch.nn.Sequential(*map(pl_module.get_submodule, ("standardization", "net")))
        for logger in run_loggers(trainer):
            with tolerated(config.parent):
                logger.experiment.add_custom_scalars({"learning": charts})
                logger.experiment.add_graph(whole, row)
                logger.experiment.add_text("config", f"```yaml\n{config.read_text()}```")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rates = first_rates(trainer.optimizers[0].param_groups)
        changed = RunFolder.from_trainer(trainer).changed_options()
        others = sorted(changed.keys() - {"model.lr"}, key=lambda name: (not name.startswith("model."), name))
        options = ", ".join(f"{name.rpartition('.')[2]} {changed[name]}" for name in others if "optimizer" not in name)
        # A screen has room for three names before the results.
        shown: dict[str, Any] = {"optimizer": type(trainer.optimizers[0]).__name__, "options": options or "defaults"}
        shown["lr"] = rates[0] if len(rates) == 1 else str(rates)
        for logger in run_loggers(trainer):
            with tolerated(Path(logger.log_dir)):
                logger.log_hyperparams(shown, dict.fromkeys(RESULTS))  # Their values are logged already.

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            pl_module.log_losses()  # type: ignore[operator]  # It is a BinaryClassifier's own method.
