"""When TensorBoard learns more than scalars, and that a full disk ends nothing that it is told."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only

from project.disk import tolerated
from project.errors import InterruptedRunError

CURVES = {"loss": ["train/loss", "val/loss"], "accuracy": ["val/accuracy", "test/accuracy"]}
CHARTS = {name: ["Multiline", curves] for name, curves in CURVES.items()}


class RunLogger(TensorBoardLogger):
    """Lightning's logger for a folder that only the run's first process knows, and not before the trainer is there."""

    def __init__(self) -> None:
        # With the usual queue of 10, every validation would wait for the disk.
        super().__init__("", default_hp_metric=False, max_queue=1000)
        self.folder: Path | None = None

    def repeat_from(self, step: int) -> None:
        """Purge what was logged of the iterations from a step on, which a resumed run repeats."""
        self._kwargs["purge_step"] = step

    @property
    def log_dir(self) -> str:
        return str(self.folder) if self.folder else ""

    root_dir = save_dir = log_dir

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        assert self.folder is not None
        with tolerated(self.folder):
            for name, value in metrics.items():  # Lightning's own loop turns any failure into a ValueError.
                self.experiment.add_scalar(name, value, step)

    @rank_zero_only
    def save(self) -> None:
        """Do nothing at each validation: the queue is written when it is full, and config.yaml says it all."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self.folder is not None:
            with tolerated(self.folder):
                super().finalize(status)


class FolderLogger(DummyLogger):
    """Logs nothing, whatever it is told, but tells the trainer the run folder."""

    folder: Path | None = None

    def repeat_from(self, step: int) -> None:
        """Do nothing: nothing was logged."""

    @property
    def save_dir(self) -> str:
        return str(self.folder) if self.folder else ""


def tell(trainer: Trainer, what: Callable[[TensorBoardLogger], object]) -> None:
    """Call a function with each TensorBoard logger, in the run's first process."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            with tolerated(Path(logger.log_dir)):
                what(logger)


class TensorBoard(Callback):
    """Hands over chart layout and graph when training starts, the options and what they led to when it ends."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > 0:  # A resumed run has told them.
            return
        row = torch.zeros(1, pl_module.hparams["num_features"], device=pl_module.device)
        tell(trainer, lambda logger: logger.experiment.add_custom_scalars({"learning": CHARTS}))
        tell(trainer, lambda logger: logger.experiment.add_graph(pl_module.net, row))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        options = {**pl_module.hparams, **datamodule.hparams, "seed_everything": torch.initial_seed()}
        metrics = [(name, v) for name, v in trainer.callback_metrics.items() if name.startswith(("val/", "test/"))]
        final = {f"hp/{name.replace('/', '_')}": value.item() for name, value in metrics}
        tell(trainer, lambda logger: logger.log_hyperparams(options, final, trainer.global_step))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            pl_module.log_losses()  # type: ignore[operator]  # It is a BinaryClassifier's own method.
