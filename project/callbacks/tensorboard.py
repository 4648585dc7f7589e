"""When TensorBoard learns more than scalars, and that a full disk ends nothing that it is told."""

from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only

from project.errors import InterruptedRunError
from project.runs.disk import tolerated
from project.runs.run import RunFolder

CURVES = {"loss": ["train/loss", "val/loss"], "accuracy": ["val/accuracy", "test/accuracy"]}
RESULTS = ("val/accuracy", "val/loss", "test/accuracy", "test/loss")  # scalars of which HPARAMS shows the last value
LEFT_OUT = ("balance", "num_features", "track_test")  # HPARAMS shows the first five names, of which lr shall be one.
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


def show(trainer: Trainer, name: str, png: bytes, size: tuple[int, int], step: int) -> None:
    """Hand TensorBoard a PNG picture of so many pixels across and upwards as it is, not encoded once more."""
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415 (no other command needs TensorBoard)

    image = Summary.Image(width=size[0], height=size[1], colorspace=3, encoded_image_string=png)
    # TensorBoard shows groups in the order of their names, and scalars shall be first.
    summary = Summary(value=[Summary.Value(tag=f"views/{name}", image=image)])
    tell(trainer, lambda logger: logger.experiment._get_file_writer().add_summary(summary, step))


class TensorBoard(Callback):
    """Hands over chart layout, config and graph when training starts, the options and what they led to when it ends."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > 0:  # A resumed run has told them.
            return
        row = torch.zeros(1, pl_module.hparams["num_features"], device=pl_module.device)
        # The graph shows how raw features become a probability.
        whole = torch.nn.Sequential(*map(pl_module.get_submodule, ("standardization", "net")))
        config = RunFolder.of_trainer(trainer).config

        # No other command needs TensorBoard.
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
        from tensorboard.plugins.scalar.metadata import create_summary_metadata  # noqa: PLC0415

        criterion = create_summary_metadata("", f"criterion: {pl_module.hparams['loss']}")
        losses = [Summary.Value(tag=f"{subset}/loss", metadata=criterion) for subset in ("train", "val", "test")]

        def begin(logger: TensorBoardLogger) -> None:
            logger.experiment.add_custom_scalars({"learning": CHARTS})
            if config.exists():  # The command line has written it.
                command = f"`python -m project fit --config {quote(str(config))}`"
                logger.experiment.add_text("config", f"{command}\n\n```yaml\n{config.read_text()}```")
            logger.experiment.add_graph(whole, row)
            # A chart of runs of several criteria says which is whose; in val/bce and val/mse, they can be compared.
            logger.experiment._get_file_writer().add_summary(Summary(value=losses))

        tell(trainer, begin)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        options = {**pl_module.hparams, **datamodule.hparams, "seed_everything": torch.initial_seed()}
        plain = {n: v if isinstance(v, (int, float)) else str(v) for n, v in options.items() if n not in LEFT_OUT}
        from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415 (no other command needs TensorBoard)

        summaries = cast("Any", hparams)(plain, dict.fromkeys(RESULTS))

        def end(logger: TensorBoardLogger) -> None:
            for summary in summaries:
                logger.experiment._get_file_writer().add_summary(summary)

        tell(trainer, end)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, InterruptedRunError):
            pl_module.log_losses()  # type: ignore[operator]  # It is a BinaryClassifier's own method.
