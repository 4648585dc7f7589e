"""Scalars, pictures, graph, config and options for TensorBoard, and loggers that know the run folder."""

import io
from collections.abc import Callable, Mapping
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
from project.runs.disk import append_whole, tolerated
from project.runs.run import RunFolder

RESULTS = ("val/accuracy", "test/accuracy", "val/loss", "test/loss")  # scalars of which HPARAMS shows the last value
FILES = "events.out.tfevents.*"


class EventFile:
    """Adds events to a file at each validation, all in one go: TensorBoard's own writer opens it for each of them."""

    def __init__(self, path: Path, writer: Callable[[io.BytesIO], Any]) -> None:
        self.path, self._unwritten, self._writer = path, io.BytesIO(), writer

    def add_event(self, event: Any) -> None:
        self._writer(self._unwritten).write(event.SerializeToString())

    def flush(self) -> None:
        append_whole(self.path, self._unwritten.getvalue(), lasting=False)
        self._unwritten = io.BytesIO()

    close = flush


class RunLogger(TensorBoardLogger):
    """Lightning's logger for a run folder, or for None in other processes than the run's first, which log nothing.

    TensorBoard forgets what was logged from ``purge_step`` on, the first iteration that a resumed run repeats.
    """

    log_dir = root_dir = save_dir = ""
    criterion = "loss"  # what a training loss is called: several runs share a chart, and none shall mix two losses

    def __init__(self, folder: Path | None, purge_step: int = 0) -> None:
        super().__init__("", default_hp_metric=False, purge_step=purge_step)
        self.log_dir = self.root_dir = self.save_dir = str(folder or "")
        if folder is None:
            return
        from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415 (no other command needs it)

        with tolerated(folder):
            others = set(folder.glob(FILES))
            files = self.experiment.file_writer
            files.event_writer.close()
            (path,) = set(folder.glob(FILES)) - others
            files.event_writer = EventFile(path, RecordWriter)

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

    @rank_zero_only
    def save(self) -> None:
        """Write what was logged, but no file of the options, as Lightning does: config.yaml says it all."""
        with tolerated(Path(self.log_dir)):
            self.experiment.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        with tolerated(Path(self.log_dir)):
            self.experiment.close()


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
