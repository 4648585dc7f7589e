"""Scalars, pictures, graph, config and options for TensorBoard; a full disk ends nothing."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from project.errors import InterruptedRunError
from project.runs.disk import tolerated
from project.runs.run import RunFolder

CHARTS = {
    "loss": ["Multiline", ["train/loss", "val/loss"]],
    "accuracy": ["Multiline", ["val/accuracy", "test/accuracy"]],
}
RESULTS = ("val/accuracy", "val/loss", "test/accuracy", "test/loss")  # scalars of which HPARAMS shows the last value
LEFT_OUT = ("balance", "num_features", "track_test")  # HPARAMS shows the first five names, of which lr shall be one.


class RunLogger(TensorBoardLogger):
    """Lightning's logger for a run folder.

    Args:
        folder: The run folder; None in other processes than the run's first, which log nothing.
        purge_step: The first iteration that a resumed run repeats; TensorBoard forgets what was logged from there on.
    """

    def __init__(self, folder: Path | None, purge_step: int = 0) -> None:
        # With the usual queue of 10, every validation would wait for the disk.
        super().__init__("", default_hp_metric=False, max_queue=1000, purge_step=purge_step)
        self.folder = folder

    @property
    def log_dir(self) -> str:
        return str(self.folder or "")

    root_dir = save_dir = log_dir

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | None], step: int | None = None) -> None:
        with tolerated(Path(self.log_dir)):
            for name, value in metrics.items():  # Lightning's own loop turns any failure into a ValueError.
                if value is not None:
                    self.experiment.add_scalar(name, value, step)

    @rank_zero_only
    def log_picture(self, name: str, picture: Image.Image, step: int) -> None:
        with tolerated(Path(self.log_dir)):
            # TensorBoard shows groups in the order of their names, and scalars shall be first.
            self.experiment.add_image(f"views/{name}", np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    @rank_zero_only
    def save(self) -> None:
        """Do nothing at each validation: the queue is written when it is full, and config.yaml says it all."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        with tolerated(Path(self.log_dir)):
            super().finalize(status)


class FolderLogger(DummyLogger):
    """Logs nothing, but tells the trainer the run folder, or None in other processes than the run's first."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.folder = folder

    @property
    def save_dir(self) -> str:
        return str(self.folder or "")


def run_loggers(trainer: Trainer) -> list[RunLogger]:
    """Return the loggers of a trainer that write into a run folder."""
    return [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]


class TensorBoard(Callback):
    """Hands over chart layout, config and graph when training starts, the options and what they led to when it ends."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        config = RunFolder.from_trainer(trainer).config
        if trainer.global_step > 0:  # A resumed run has told them.
            return
        row = torch.zeros(1, pl_module.hparams["num_features"], device=pl_module.device)
        # The graph shows how raw features become a probability.
        whole = torch.nn.Sequential(*map(pl_module.get_submodule, ("standardization", "net")))
        for logger in run_loggers(trainer):
            with tolerated(config.parent):
                logger.experiment.add_custom_scalars({"learning": CHARTS})
                logger.experiment.add_graph(whole, row)
                if config.exists():  # The command line has written it.
                    command = f"`python -m project fit --config {quote(str(config))}`"
                    title = f"criterion {pl_module.hparams['loss']}: {command}"
                    logger.experiment.add_text("config", f"{title}\n\n```yaml\n{config.read_text()}```")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        options = {**pl_module.hparams, **datamodule.hparams, "seed_everything": torch.initial_seed()}
        plain: dict[str, Any] = {
            name: value if isinstance(value, (int, float)) else str(value)
            for name, value in options.items()
            if name not in LEFT_OUT
        }
        for logger in run_loggers(trainer):
            with tolerated(Path(logger.log_dir)):
                # The values are logged already, at their iterations.
                logger.log_hyperparams(plain, dict.fromkeys(RESULTS))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            pl_module.log_losses()  # type: ignore[operator]  # It is a BinaryClassifier's own method.
