"""How a run folder becomes its figures, for ``fit``, ``test``, ``plot`` and anyone who asks the run for one."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from project.errors import InputError
from project.evaluation.metrics import area, reliability, roc
from project.figures.boundary import boundary, draw_units
from project.figures.curves import accuracy, draw_loss, loss
from project.figures.evaluation import evaluation
from project.figures.film import film
from project.figures.plane import of_components, of_features
from project.figures.scatter import scatter
from project.figures.style import own_style, reduced, to_file, to_gif
from project.model import BinaryClassifier
from project.model.net import evaluating
from project.reports.view import View
from project.runs.checkpoint import load, rebuild, snapshots
from project.runs.disk import write_whole
from project.runs.predictions import tested_checkpoint
from project.runs.run import RunFolder


def draw_scatter(run: RunFolder) -> Figure:
    data = run.data()
    classes = [np.concatenate(parts) for parts in zip(*data.classes.dots.values(), strict=True)]
    many, names = len(data.feature_names) > 2, data.feature_names
    plane = of_components(np.concatenate(classes), names) if many else of_features(classes[0][0], names)
    seen, rows = [plane.seen(rows) for rows in classes], sum(data.classes.rows.values())
    return scatter(seen, rows, plane.names, data.class_names, len(names))


def draw_loss_of(run: RunFolder) -> Figure:
    return loss(run.history(), run.checkpoint()["hyper_parameters"]["loss"], title_of(run))


def draw_accuracy(run: RunFolder) -> Figure:
    batches = run.accuracies.read() if run.accuracies.path.exists() else None
    return accuracy(run.history(), batches, title_of(run))


def title_of(run: RunFolder) -> str:
    """Return the name of a run's data, which is that of their folder."""
    root = (run.options().get("data") or {}).get("root")
    return Path(root).name if root else "the shipped sample"


def draw_boundary(run: RunFolder) -> Figure:
    return draw_models(run, before_and_after(run))


def before_and_after(run: RunFolder) -> dict[str, BinaryClassifier]:
    """Return the model before training and as it is now, by what their panels are called."""
    contents = run.checkpoint()
    before, after = rebuild(contents, run.kind, contents["initial"]), rebuild(contents, run.kind)
    return {"before training": before, f"after {contents['global_step']} iterations": after}


def draw_hidden(run: RunFolder) -> Figure:
    """Draw, over the boundary, the line where each hidden unit's sum is 0, the darker the more its answer weighs."""
    models = {f"hidden units {title}": model for title, model in before_and_after(run).items()}
    figure, corners = draw_models(run, models, ("train",)), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    for ax, model in zip(figure.axes, models.values(), strict=False):
        with torch.no_grad():
            sums = model.net.hidden(model.standardized(corners)).double().numpy()
            weights = model.net.output.weight[0].abs().double().numpy()
        draw_units(ax, sums[0], (sums[1:] - sums[0]).T, weights / weights.max())
    return figure


def draw_test(run: RunFolder, name: str) -> Figure:
    """Draw what test found of last.ckpt, or of best or another one by its name."""
    tested = run.tested(name)
    labels, probabilities, groups = tested.labels, tested.probabilities, tested.groups
    under, there = area(labels, probabilities, groups), ~np.isnan(probabilities)
    calibration = reliability(labels[there], probabilities[there], None if groups is None else groups[there])
    title = f"{len(labels):,} test rows, {name}.ckpt after {tested.step} iterations"
    answered, nothing = (labels[there], probabilities[there]), np.empty(0)
    curve = roc(*answered) if len(np.unique(answered[0])) == 2 else (nothing, nothing)
    return evaluation(labels, probabilities, curve, under, calibration, run.data().class_names, title)


def draw_test_boundary(run: RunFolder, name: str) -> Figure:
    contents = load(run.last.with_name(f"{name}.ckpt"), run.kind)
    step = run.tested(name, contents["global_step"]).step
    return draw_models(run, {f"after {step} iterations": rebuild(contents, run.kind)}, ("test",))


class Drawn(NamedTuple):
    """How a figure is drawn of a run, or of its test by the checkpoint's name, and what it shows in words."""

    draw: Callable[..., Figure]
    words: str


PLANE = "the probability of class 1 over a plane of the features"
# A line here, and its function, is all that a figure needs to be drawn by fit and plot, and shown in the report.
FIGURES = {
    "scatter": Drawn(draw_scatter, "all rows of every subset, coloured and marked by class"),
    "loss": Drawn(draw_loss_of, "the training loss of each iteration and the validation loss, the lowest marked"),
    "accuracy": Drawn(draw_accuracy, "the validation accuracy in the course of training, against guessing at 0.5"),
    "boundary": Drawn(
        draw_boundary,
        f"{PLANE}, before and after training, with the rows of the training and validation subsets; pale where no "
        "training row is near",
    ),
    "hidden": Drawn(
        draw_hidden,
        f"{PLANE}, before and after training, with the line where each hidden unit changes sides, the darker the more "
        "it weighs",
    ),
}
# The same for a test, whose figures are named after its file, test.json or test-best.json.
TEST_FIGURES = {
    "": Drawn(draw_test, "confusion matrix, ROC curve, reliability and the probabilities of each class, of test rows"),
    "-boundary": Drawn(draw_test_boundary, f"{PLANE}, with the test rows"),
}


def figures_of(run: RunFolder) -> dict[str, Callable[[], Figure]]:
    """Return by their names how the figures are drawn that a run has, those of its tests among them."""
    found: dict[str, Callable[[], Figure]] = {name: partial(FIGURES[name].draw, run) for name in of_training(run)}
    for test in run.tests:
        for name, figure in TEST_FIGURES.items():
            found[test + name] = partial(figure.draw, run, tested_checkpoint(test))
    return found


def of_training(run: RunFolder) -> list[str]:
    """Return the names of the FIGURES that a run has: there are lines of hidden units if two features reach them."""
    try:
        net = rebuild(run.checkpoint(), run.kind).net
    except InputError:
        net = None
    hidden, output = getattr(net, "hidden", None), getattr(net, "output", None)
    has_lines = (
        isinstance(hidden, torch.nn.Linear)
        and isinstance(output, torch.nn.Linear)
        and hidden.in_features == 2
        and output.weight.shape == (1, hidden.out_features)
    )
    return [name for name in FIGURES if has_lines or name != "hidden"]


def draw_models(
    run: RunFolder, models: Mapping[str, BinaryClassifier], subsets: Sequence[str] = ("train", "val")
) -> Figure:
    """Draw what each model, by its panel's title, answers in the plane of the last one, and rows of some subsets."""
    with torch.no_grad(), evaluating(models.values()), own_style():
        view = View(run, list(models.values())[-1], subsets)
        return boundary(dict(view.panel(title, model) for title, model in models.items()), view.scene)


def draw_film(run: RunFolder) -> dict[int, Image.Image]:
    """Draw the boundary beside the losses, as it was before training, after some validations and at the end.

    Return the pictures, of few colours, by iteration, or none if the run's checkpoint has no snapshots.
    """
    contents = run.checkpoint()
    if not contents.get("snapshots"):
        return {}
    models = snapshots(contents, run.kind)
    with torch.no_grad(), evaluating(models.values()):
        view = View(run, models[max(models)])
        panels = {
            step: view.panel(f"after {step} iterations" if step else "before training", model)
            for step, model in models.items()
        }
        criterion = contents["hyper_parameters"]["loss"]
        pictures = film(panels, view.scene, lambda ax: draw_loss(ax, run.history(), criterion, title_of(run)))
    return {step: reduced(Image.fromarray(pixels)) for step, pixels in pictures.items()}


def draw(run: RunFolder, name: str) -> Figure:
    """Draw one of a run's figures by its name, from what its folder holds."""
    if name not in (figures := figures_of(run)):
        raise InputError(f"{name}: no such figure; need one of {', '.join(figures)}")
    with own_style():
        return figures[name]()


def plot(run: RunFolder, form: str, dpi: int, width: float | None, names: Sequence[str] | None = None) -> list[Path]:
    """Draw figures of a run again, also of an interrupted one, into files of its folder; return their paths.

    All are drawn unless some are named, and boundary.gif with them. The form of the others is png, svg or pdf; a width
    of None is 6.4 inches a panel; what is missing raises an InputError.
    """
    paths = []
    for name in figures_of(run) if names is None else names:
        figure = draw(run, name)
        figure.set_dpi(dpi)
        if width is not None:
            figure.set_size_inches(width, width * figure.get_figheight() / figure.get_figwidth())
        paths.append(run.figures / f"{name}.{form}")
        write_whole(paths[-1], to_file(figure, form))
    return [*paths, *([] if names is not None else write_film(run, draw_film(run)))]


def write_film(run: RunFolder, pictures: Mapping[int, Image.Image]) -> list[Path]:
    """Write pictures as boundary.gif, if there are some, and return its path."""
    if not pictures:
        return []
    write_whole(run.film, to_gif(list(pictures.values())))
    return [run.film]
