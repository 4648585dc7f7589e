"""How a run folder becomes its figures, for ``fit``, ``plot`` and anyone who asks the run for one."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from project.checkpoint import load, rebuild
from project.data import NpyDataModule
from project.disk import write_whole
from project.errors import InputError
from project.figures.boundary import boundary, grid
from project.figures.curves import accuracy, loss
from project.figures.scatter import scatter
from project.figures.style import own_style, to_file
from project.model import BinaryClassifier
from project.run import Run

MOST_DOTS = 20_000  # More would hide each other.
GRID_POINTS = 200  # an axis


class Drawing:
    """What a run's figures show, read from its folder when it is needed.

    Args:
        run: the run folder.
        data: its data, where they are at hand already.
        kind: the class of its model.
    """

    def __init__(
        self, run: Run, data: NpyDataModule | None = None, kind: type[BinaryClassifier] = BinaryClassifier
    ) -> None:
        self.run, self.kind = run, kind
        if data is not None:
            self.data = data

    @cached_property
    def data(self) -> NpyDataModule:
        """The data, checked to be those of the checkpoint."""
        options = self.run.options().get("data") or {}
        data = NpyDataModule(**{**options, "predict": None})
        data.setup("fit")
        data.check_fingerprint(self.checkpoint["fingerprint"])
        return data

    @cached_property
    def checkpoint(self) -> dict[str, Any]:
        return load(self.run.last, self.kind)

    @cached_property
    def dots(self) -> dict[str, list[Any]]:
        """Rows of each subset and class, float32 (n, j): all, or some at random."""
        return self.data.classes.dots(MOST_DOTS)

    def figure(self, name: str) -> Figure:
        """Draw a figure by its name.

        Raises:
            InputError: if there is no such figure, or what it shows is missing.
        """
        if name not in FIGURES:
            raise InputError(f"{name}: no such figure; need one of {', '.join(FIGURES)}")
        with own_style():
            return FIGURES[name](self)

    def boundary(self, models: dict[str, nn.Module]) -> Figure:
        """Draw what each model, by its panel's title, answers over the plane of the first two features."""
        survey = self.data.classes.survey
        where = grid(survey.low, survey.high, survey.mean.numpy(), GRID_POINTS)
        with torch.no_grad(), own_style():
            panels = {
                title: np.concatenate([model(part)[:, 0].cpu().numpy() for part in where.inputs()])
                for title, model in models.items()
            }
            names = self.data.feature_names, self.data.class_names
            return boundary(panels, where, self.dots["train"], self.dots["test"], *names)


def _scatter(drawing: Drawing) -> Figure:
    classes = [np.concatenate(parts) for parts in zip(*drawing.dots.values(), strict=True)]
    data = drawing.data
    return scatter(classes, sum(data.classes.rows.values()), data.feature_names, data.class_names)


def _loss(drawing: Drawing) -> Figure:
    return loss(drawing.run.history(), drawing.checkpoint["hyper_parameters"]["loss"])


def _accuracy(drawing: Drawing) -> Figure:
    return accuracy(drawing.run.history())


def _boundary(drawing: Drawing) -> Figure:
    before, after = (rebuild(drawing.checkpoint, drawing.kind, initial) for initial in (True, False))
    return drawing.boundary(
        {"before training": before, f"after {drawing.checkpoint['global_step']} iterations": after}
    )


# A line here, and its function, is all that a figure needs to be drawn by fit and plot.
FIGURES: dict[str, Callable[[Drawing], Figure]] = {
    "scatter": _scatter,
    "loss": _loss,
    "accuracy": _accuracy,
    "boundary": _boundary,
}


def plot(run: Run, form: str, dpi: int, width: float | None, kind: type[BinaryClassifier]) -> list[Path]:
    """Draw all figures of a run again, into its folder; also those of a run that was interrupted.

    Args:
        run: the run folder.
        form: png, svg or pdf.
        dpi: pixels an inch.
        width: of a figure, in inches; None is 6.4 a panel.
        kind: the class of the run's model.

    Returns:
        The files.

    Raises:
        InputError: if what a figure shows is missing.
    """
    drawing, paths = Drawing(run, kind=kind), []
    for name in FIGURES:
        figure = drawing.figure(name)
        figure.set_dpi(dpi)
        if width is not None:
            figure.set_size_inches(width, width * figure.get_figheight() / figure.get_figwidth())
        paths.append(run.figures / f"{name}.{form}")
        write_whole(paths[-1], to_file(figure, form))
    return paths
