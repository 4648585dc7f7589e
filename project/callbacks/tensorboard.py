"""Loggers that know the run folder: scalars, pictures, graph, config and options for TensorBoard."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor, nn

from project.model import BinaryClassifier
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

    def __init__(self, folder: Path | None, purge_step: int = 0) -> None:
        super().__init__("", default_hp_metric=False, purge_step=purge_step)
        self.log_dir = self.root_dir = self.save_dir = str(folder or "")
        self._run, self._is_resumed = RunFolder(folder or ""), purge_step > 0
        self._model: BinaryClassifier | None = None  # once it is known
        self._criterion = "loss"  # what a training loss is called: runs share a chart, which shall not mix two losses
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
        with tolerated(self._run.path):
            for name, value in metrics.items():  # Lightning's own loop turns any failure into a ValueError.
                if value is not None:
                    tag = f"train/{self._criterion}" if name == "train/loss" else name
                    self.experiment.add_scalar(tag, value, step)

    @rank_zero_only
    def log_picture(self, name: str, picture: Image.Image, step: int) -> None:
        with tolerated(self._run.path):
            add_picture(self.experiment, name, picture, step)

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Tensor | None = None) -> None:
        """Tell, before the first iteration, chart layout, config, and how raw features become a probability."""
        if not isinstance(model, BinaryClassifier):  # A study has many networks.
            return
        self._model, self._criterion = model, model.hparams["loss"]
        if self._is_resumed:  # The run has told them.
            return
        charts = {name: ["Multiline", [f"{subset}/{name}" for subset in ("train", "val", "test")]] for name in METRICS}
        row = torch.zeros(1, model.hparams["num_features"], device=model.device)
        whole = nn.Sequential(*map(model.get_submodule, ("standardization", "net")))
        with tolerated(self._run.path):
            self.experiment.add_custom_scalars({"learning": charts})
            self.experiment.add_graph(whole, row)
            self.experiment.add_text("config", f"```yaml\n{self._run.config.read_text()}```")

    @rank_zero_only
    def save(self) -> None:
        """Write what was logged, but no file of the options, as Lightning does: config.yaml says it all."""
        with tolerated(self._run.path):
            self.experiment.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Tell the options and what they led to or, of a run that fails or is interrupted, its newest losses."""
        if self._model and status == "failed":
            self._model.log_losses()
        with tolerated(self._run.path):
            if self._model and status == "success":  # The values of the results are logged already.
                self.log_hyperparams(self._options(self._model), dict.fromkeys(RESULTS))
            self.experiment.close()

    def _options(self, model: BinaryClassifier) -> dict[str, Any]:
        """Return what HPARAMS shows: a screen has room for three names before the results."""
        optimizer, changed = model.trainer.optimizers[0], self._run.changed_options()
        rates = first_rates(optimizer.param_groups)
        others = sorted(changed.keys() - {"model.lr"}, key=lambda name: (not name.startswith("model."), name))
        options = ", ".join(f"{name.rpartition('.')[2]} {changed[name]}" for name in others if "optimizer" not in name)
        shown = {"optimizer": type(optimizer).__name__, "options": options or "defaults"}
        return {**shown, "lr": rates[0] if len(rates) == 1 else str(rates)}


class FolderLogger(DummyLogger):
    """Logs nothing, but tells the trainer the run folder."""

    save_dir = ""

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.save_dir = str(folder or "")


def run_loggers(trainer: Trainer) -> list[RunLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]
