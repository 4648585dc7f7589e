"""How a run folder becomes its figures, for ``fit``, ``plot`` and anyone who asks the run for one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from project.checkpoint import rebuild
from project.disk import write_whole
from project.figures.boundary import boundary, grid
from project.figures.curves import accuracy, loss
from project.figures.scatter import describe, scatter
from project.figures.style import own_style, to_file
from project.model import BinaryClassifier
from project.run import Run

GRID_POINTS = 200  # an axis


def draw_scatter(run: Run) -> Figure:
    data = run.data()
    classes = [np.concatenate(parts) for parts in zip(*data.classes.dots.values(), strict=True)]
    return scatter(classes, sum(data.classes.rows.values()), data.feature_names, data.class_names)


def draw_boundary(run: Run) -> Figure:
    contents = run.checkpoint()
    before, after = (rebuild(contents, run.kind, initial) for initial in (True, False))
    return draw_models(run, {"before training": before, f"after {contents['global_step']} iterations": after})


# A line here, and its function, is all that a figure needs to be drawn by fit and plot.
FIGURES: dict[str, Callable[[Run], Figure]] = {
    "scatter": draw_scatter,
    "loss": lambda run: loss(run.history(), run.checkpoint()["hyper_parameters"]["loss"]),
    "accuracy": lambda run: accuracy(run.history()),
    "boundary": draw_boundary,
}


def draw_models(run: Run, models: Mapping[str, BinaryClassifier]) -> Figure:
    """Draw what each model, by its panel's title, answers over the plane of the run's first two features."""
    data = run.data()
    dots = data.classes.dots
    rows = np.concatenate([features for classes in dots.values() for features in classes])
    where = grid(rows.min(0), rows.max(0), data.classes.moments.mean.numpy(), GRID_POINTS)
    with torch.no_grad(), own_style():
        panels = {
            title: np.concatenate([model(part)[:, 0].cpu().numpy() for part in where.inputs()])
            for title, model in models.items()
        }
        note = describe(len(rows), sum(data.classes.rows.values()))
        return boundary(panels, where, dots["train"], dots["test"], data.feature_names, data.class_names, note)


def plot(run: Run, form: str, dpi: int, width: float | None) -> list[Path]:
    """Draw all figures of a run again, also of an interrupted one, into files of its folder; return their paths.

    The form is png, svg or pdf; a width of None is 6.4 inches a panel; what is missing raises an InputError.
    """
    paths = []
    for name in FIGURES:
        figure = run.figure(name)
        figure.set_dpi(dpi)
        if width is not None:
            figure.set_size_inches(width, width * figure.get_figheight() / figure.get_figwidth())
        paths.append(run.figures / f"{name}.{form}")
        write_whole(paths[-1], to_file(figure, form))
    return paths
