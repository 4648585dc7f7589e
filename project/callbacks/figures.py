"""When figures are drawn, and that they go to the run's figures folder and to TensorBoard."""

import copy
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure
from torch import Tensor, nn

from project.callbacks.tensorboard import tensorboard_loggers
from project.data.batches import Subset
from project.disk import write_whole
from project.figures.boundary import Points, boundary, grid
from project.figures.curves import accuracy, loss
from project.figures.scatter import scatter
from project.figures.style import Pixels, to_pixels, to_png
from project.run import Run

GRID_POINTS = 200  # an axis


class Figures(Callback):
    """Draws the data when training starts; loss, accuracy and the boundary before and after when it ends.

    TensorBoard also gets the boundary at the 1st, 2nd, 4th, 8th, ... validation, so that its slider shows it move.
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
        assert trainer.log_dir is not None
        self.run = Run(Path(trainer.log_dir))
        self.grid = grid(trainer.datamodule.train.features.numpy(), GRID_POINTS)
        if trainer.global_step > 0:
            return
        self.initial = {name: weights.cpu().clone() for name, weights in pl_module.net.state_dict().items()}
        self._scatter(trainer)
        self._snapshot(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._validations += 1
        if self._validations.bit_count() == 1:  # a power of two
            self._snapshot(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._curves(trainer)
        self._boundary(trainer, pl_module)

    @rank_zero_only
    def _scatter(self, trainer: Trainer) -> None:
        data = trainer.datamodule
        features, labels = (torch.cat(tensors) for tensors in zip(data.train, data.val, data.test, strict=True))
        classes = [features[labels[:, 0] == label].numpy() for label in (0, 1)]
        self._deliver(trainer, "scatter", scatter(classes, data.feature_names, data.class_names))

    @rank_zero_only
    def _curves(self, trainer: Trainer) -> None:
        history = self.run.history.read()
        self._deliver(trainer, "loss", loss(history))
        self._deliver(trainer, "accuracy", accuracy(history))

    @rank_zero_only
    def _boundary(self, trainer: Trainer, pl_module: LightningModule) -> None:
        initial = copy.deepcopy(pl_module.net)
        initial.load_state_dict(self.initial)
        nets = {"before training": initial, f"after {trainer.global_step} iterations": pl_module.net}
        self._deliver(trainer, "boundary", self._draw_boundary(trainer, pl_module, nets))

    @rank_zero_only
    def _snapshot(self, trainer: Trainer, pl_module: LightningModule) -> None:
        nets = {f"after {trainer.global_step} iterations": pl_module.net}
        _show(trainer, "boundary during training", self._draw_boundary(trainer, pl_module, nets))

    def _draw_boundary(self, trainer: Trainer, pl_module: LightningModule, nets: dict[str, nn.Module]) -> Figure:
        data = trainer.datamodule
        inputs = pl_module.standardized(torch.from_numpy(self.grid.inputs).to(pl_module.device))
        with torch.no_grad():
            panels = {title: net(inputs)[:, 0].cpu().numpy() for title, net in nets.items()}
        train, test = _points(data.train), _points(data.test)
        return boundary(panels, self.grid, train, test, data.feature_names, data.class_names)

    def _deliver(self, trainer: Trainer, name: str, figure: Figure) -> None:
        write_whole(self.run.figures / f"{name}.png", to_png(_show(trainer, name, figure)))


def _points(subset: Subset) -> Points:
    return subset.features.numpy(), subset.labels.numpy()


def _show(trainer: Trainer, tag: str, figure: Figure) -> Pixels:
    """Draw a figure, hand it to TensorBoard and return its pixels."""
    pixels = to_pixels(figure)
    for logger in tensorboard_loggers(trainer):
        logger.experiment.add_image(tag, pixels[:, :, :3], trainer.global_step, dataformats="HWC")
    return pixels
