"""What TensorBoard is told of a run: scalars, pictures, the graph and the options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from project.disk import tolerated
from project.figures.style import Pixels
from project.model import BinaryClassifier

LAYOUT = {
    "learning": {
        "loss": ["Multiline", ["train/loss", "val/loss"]],
        "accuracy": ["Multiline", ["val/accuracy", "test/accuracy"]],
    }
}


class RunLogger(TensorBoardLogger):
    """Lightning's logger for one run folder; a full disk does not end what it logs.

    Args:
        folder: the run folder.
        repeated_from: the first iteration that a resumed run repeats, if it does; what was logged of it is purged.
    """

    def __init__(self, folder: Path, repeated_from: int | None = None) -> None:
        super().__init__(
            folder.parent.parent,
            folder.parent.name,
            folder.name,
            default_hp_metric=False,
            purge_step=repeated_from,
            max_queue=1000,  # of what awaits writing: with the usual 10 every validation waits for the disk
        )
        self.folder = folder

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with tolerated(self.folder):
            for name, value in metrics.items():  # Lightning's own loop turns any failure into a ValueError
                self.experiment.add_scalar(name, value, step)

    @rank_zero_only
    def log_picture(self, tag: str, pixels: Pixels, step: int) -> None:
        with tolerated(self.folder):
            self.experiment.add_image(tag, pixels[:, :, :3], step, dataformats="HWC")

    @rank_zero_only
    def log_model(self, model: BinaryClassifier) -> None:
        """Put training and validation loss on one chart, and draw the graph."""
        with tolerated(self.folder):
            self.experiment.add_custom_scalars(LAYOUT)
            self.experiment.add_graph(model.net, torch.zeros(1, model.hparams["num_features"], device=model.device))

    @rank_zero_only
    def log_result(self, options: Mapping[str, Any], final: Mapping[str, float], step: int) -> None:
        """Fill the HPARAMS tab."""
        with tolerated(self.folder):
            self.log_hyperparams(dict(options), dict(final), step)

    @rank_zero_only
    def save(self) -> None:
        """Write what is pending, but no hparams.yaml: config.yaml says it all."""
        with tolerated(self.folder):
            self.experiment.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        with tolerated(self.folder):
            super().finalize(status)
