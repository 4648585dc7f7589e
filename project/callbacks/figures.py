"""When figures are drawn, and that they go to the run's figures folder and to TensorBoard."""

import copy
import math
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure
from torch import Tensor

from project.callbacks.access import data_of, model_of, run_loggers_of, run_of, validates_training
from project.data import NpyDataModule
from project.disk import tolerated, write_whole
from project.figures.boundary import boundary, grid
from project.figures.curves import accuracy, loss
from project.figures.density import MAX_DOTS, Cloud, bin_edges, density, merge
from project.figures.scatter import scatter
from project.figures.style import Pixels, to_pixels, to_png
from project.model import NNet

GRID_POINTS = 200  # an axis


class Figures(Callback):
    """Draws the data when training starts; loss, accuracy and the boundary before and after when it ends.

    TensorBoard also gets the boundary at the start and the 1st, 4th, 16th, ... validation: its slider shows it move.
    """

    def __init__(self) -> None:
        self.initial: dict[str, Tensor] = {}
        self._validations = 0

    def state_dict(self) -> dict[str, Any]:
        return {"initial": self.initial, "validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.initial = state_dict["initial"]
        self._validations = state_dict["validations"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run = run_of(trainer)
        self._look_at(data_of(trainer))
        if trainer.global_step > 0:
            return
        self.initial = {name: weights.cpu().clone() for name, weights in model_of(trainer).net.state_dict().items()}
        self._scatter(trainer)
        self._snapshot(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not validates_training(trainer):
            return
        self._validations += 1
        if math.log(self._validations, 4).is_integer():
            self._snapshot(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._curves(trainer)
        self._boundary(trainer)

    @rank_zero_only
    def _look_at(self, data: NpyDataModule) -> None:
        """Collect what the pictures show of the data: dots or, where there are too many, densities."""
        selections = data.selections
        ranges = [(rows.min(0), rows.max(0)) for selection in selections.values() for _, rows in selection.read()]
        low, high = np.min([lows for lows, _ in ranges], axis=0), np.max([highs for _, highs in ranges], axis=0)
        self.grid = grid(low, high, data.training_medians(from_column=2), GRID_POINTS)
        edges = bin_edges(low.astype(np.float64), high.astype(np.float64))
        dots = sum(selection.rows for selection in selections.values()) <= MAX_DOTS
        self.clouds: dict[str, list[Cloud]] = {}
        for name, selection in selections.items():
            parts = [selection.read_class(label) for label in (0, 1)]
            self.clouds[name] = [np.concatenate(list(part)) if dots else density(part, edges) for part in parts]

    @rank_zero_only
    def _scatter(self, trainer: Trainer) -> None:
        data = data_of(trainer)
        classes = [merge(clouds) for clouds in zip(*self.clouds.values(), strict=True)]
        self._deliver(trainer, "scatter", scatter(classes, data.feature_names, data.class_names))

    @rank_zero_only
    def _curves(self, trainer: Trainer) -> None:
        history = self.run.history.read()
        self._deliver(trainer, "loss", loss(history, model_of(trainer).loss))
        self._deliver(trainer, "accuracy", accuracy(history))

    @rank_zero_only
    def _boundary(self, trainer: Trainer) -> None:
        trained = model_of(trainer).net
        initial = copy.deepcopy(trained)
        initial.load_state_dict(self.initial)
        nets = {"before training": initial, f"after {trainer.global_step} iterations": trained}
        self._deliver(trainer, "boundary", self._draw_boundary(trainer, nets))

    @rank_zero_only
    def _snapshot(self, trainer: Trainer) -> None:
        nets = {f"after {trainer.global_step} iterations": model_of(trainer).net}
        _show(trainer, "boundary during training", self._draw_boundary(trainer, nets))

    def _draw_boundary(self, trainer: Trainer, nets: dict[str, NNet]) -> Figure:
        data, model = data_of(trainer), model_of(trainer)
        inputs = model.standardized(torch.from_numpy(self.grid.inputs).to(model.device))
        parts = torch.split(inputs, data.piece_rows)
        with torch.no_grad():
            panels = {
                title: torch.cat([net(part)[:, 0].cpu() for part in parts]).numpy() for title, net in nets.items()
            }
        train, test = self.clouds["train"], self.clouds["test"]
        return boundary(panels, self.grid, train, test, data.feature_names, data.class_names)

    def _deliver(self, trainer: Trainer, name: str, figure: Figure) -> None:
        with tolerated(self.run.path):
            write_whole(self.run.figures / f"{name}.png", to_png(_show(trainer, name, figure)))


def _show(trainer: Trainer, tag: str, figure: Figure) -> Pixels:
    """Draw a figure, hand it to TensorBoard and return its pixels."""
    pixels = to_pixels(figure)
    for logger in run_loggers_of(trainer):
        logger.log_picture(tag, pixels, trainer.global_step)
    return pixels
