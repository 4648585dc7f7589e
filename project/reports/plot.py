"""The figures of a run folder, for ``fit``, ``test``, ``plot`` and anyone who asks the run for one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from project.data import sample
from project.errors import InputError
from project.figures.boundary import boundary_figure, draw_units
from project.figures.curves import accuracy_figure, draw_loss, loss_figure
from project.figures.evaluation import evaluation_figure, importance_figure
from project.figures.film import film_pictures
from project.figures.plane import component_plane
from project.figures.scatter import count_rows, scatter_figure
from project.figures.style import Classes, Names, encode_gif, encode_png, own_style, to_file
from project.model import BinaryClassifier
from project.reports.view import ask_models, find_wrong, wanted_plane
from project.runs.checkpoint import load, rebuild, snapshots
from project.runs.disk import write_whole
from project.runs.run import RunFolder

Drawings = dict[str, tuple[Callable[..., Figure], str]]  # by a figure's name, what draws it, and what it shows in words
LOST = {"accuracy": "accuracy lost", "bce": "log loss added"}  # without what a feature says


def draw_scatter(run: RunFolder) -> Figure:
    data = run.data()
    dots, names = data.classes.dots.values(), data.feature_names
    classes = [np.concatenate([subset[label] for subset in dots]) for label in (0, 1)]
    wanted = wanted_plane(run) if len(names) > 2 else "features"
    panels = dict[str, tuple[Classes, Names]]()
    if wanted != "components":
        title = f"the first two of {len(names)} features" if len(names) > 2 else ""
        panels[title] = [rows[:, :2] for rows in classes], names[:2]
    if wanted != "features":
        plane = component_plane(np.concatenate(classes), names)
        panels[f"{len(names)} features in the plane of most variance"] = list(map(plane.locate, classes)), plane.names
    kept, given = sum(data.classes.rows.values()), sum(array.shape[0] for array in data.classes.arrays)
    return scatter_figure(panels, data.class_names, count_rows(sum(map(len, classes)), kept, given))


def draw_losses(run: RunFolder) -> Figure:
    return loss_figure(run.history(), run.checkpoint()["hyper_parameters"]["loss"], data_name(run))


def draw_accuracy(run: RunFolder) -> Figure:
    history, batches = run.history(), None
    if (values := history.pop("train_accuracy", None)) is not None:  # Older runs have none there.
        there = ~np.isnan(values)
        batches = {"step": history["step"][there], "train_accuracy": values[there]}
    return accuracy_figure(history, batches, data_name(run))


def data_name(run: RunFolder) -> str:
    root = run.options()["data"].get("root")
    return Path(root).name if root else sample.PLACE


def initial_and_final(run: RunFolder) -> dict[str, BinaryClassifier]:
    """Return the model before training and as it is now, by the titles of their panels."""
    contents = run.checkpoint()
    before, after = rebuild(contents, run.kind, contents["initial"]), rebuild(contents, run.kind)
    return {"before training": before, f"after {contents['global_step']} iterations": after}


def draw_boundary(run: RunFolder) -> Figure:
    return boundary_figure(*ask_models(run, initial_and_final(run)))


def draw_hidden(run: RunFolder) -> Figure:
    models = {f"hidden units {title}": model for title, model in initial_and_final(run).items()}
    figure = boundary_figure(*ask_models(run, models, ("train",)))
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    for ax, model in zip(figure.axes, models.values(), strict=False):
        with torch.no_grad():
            sums = model.net.hidden(model.standardized(corners)).double().numpy()
            weights = model.net.output.weight[0].abs().double().numpy()
        draw_units(ax, sums[0], (sums[1:] - sums[0]).T, weights / weights.max())
    return figure


def draw_test(run: RunFolder, name: str) -> Figure:
    tested = run.tested(name)
    title = f"{len(tested.labels):,} test rows, {name}.ckpt after {tested.step} iterations"
    return evaluation_figure(tested.labels, tested.probabilities, tested.groups, run.data().class_names, title)


def draw_test_boundary(run: RunFolder, name: str) -> Figure:
    contents = load(run.last.with_name(f"{name}.ckpt"), run.kind)
    tested, data = run.tested(name, contents["global_step"]), run.data()
    places, title = find_wrong(tested), f"after {tested.step} iterations"
    wrong = data.classes.pick("test", places)
    ringed = [wrong[tested.labels[places] == label] for label in (0, 1)]
    final = None if name == "last" else run.model()  # All have the axes of boundary.png.
    return boundary_figure(*ask_models(run, {title: rebuild(contents, run.kind)}, ("test",), final, ringed))


def numbers_of(run: RunFolder, name: str) -> dict[str, Any]:
    if "importance" not in (numbers := run.numbers(name)):
        raise InputError(f"{run.path}: its test of {name}.ckpt is of an earlier version; run test again")
    return numbers


def draw_importance(run: RunFolder, name: str) -> Figure:
    numbers = numbers_of(run, name)
    found, panels = numbers["importance"], {}
    for metric, words in LOST.items():
        ends = [[each[metric], *each[f"{metric}_interval"]] for each in found["features"].values()]
        panels[f"{words} (95 % interval)"] = np.array(ends, np.float64).reshape(-1, 3)  # None becomes NaN.
    counted = count_rows(found["rows"], numbers["rows"], numbers["rows"])
    title = f"A feature permuted among test rows, {name}.ckpt after {numbers['step']} iterations. {counted}"
    return importance_figure(list(found["features"]), panels, title)


PLANE = "the probability of class 1 {over}"
BOTH = f"{PLANE}, before and after training, with"
# A line here, and its function of a run, are all that a figure needs to be drawn by fit and plot, and shown in the
# report; {over} and {pale} are filled in.
FIGURES: Drawings = {
    "scatter": (
        draw_scatter,
        "rows of all subsets by class: the first two features and, of more, their two principal components",
    ),
    "loss": (draw_losses, "the training loss of each iteration and the validation loss, the lowest marked"),
    "accuracy": (draw_accuracy, "the validation accuracy in the course of training, against guessing at 0.5"),
    "boundary": (draw_boundary, f"{BOTH} training and validation rows{{pale}}"),
    "hidden": (draw_hidden, f"{BOTH} lines where hidden units change sides, the darker the more they weigh"),
}
# The same of a test, by the checkpoint's name; {} in theirs is what follows "test" in that of its file, test-best.json.
TEST_FIGURES: Drawings = {
    "test{}": (draw_test, "confusion matrix, ROC curve, reliability and the probabilities of each class, of test rows"),
    "importance{}": (
        draw_importance,
        "how much accuracy and log loss get worse when a feature is permuted among test rows, so that it says nothing, "
        "with 95 % intervals, the 15 largest; features that say the same share their importance, and may show none",
    ),
    "test{}-boundary": (draw_test_boundary, f"{PLANE}, with the test rows, of which the most wrong are ringed{{pale}}"),
}


def run_figures(run: RunFolder) -> Drawings:
    """Return the figures that a run and its tests have, with all that the functions ask for."""
    contents = run.checkpoint() if run.last.exists() else {}
    found: Drawings = {name: (partial(function, run), words) for name, (function, words) in FIGURES.items()}
    weights = contents.get("state_dict", {})
    hidden, output = (weights.get(f"net.{name}.weight", torch.empty(0)).shape for name in ("hidden", "output"))
    if hidden[1:] != (2,) or output != (1, hidden[0]):  # Units have lines if two features reach them.
        del found["hidden"]
    for test, checkpoint in run.tests.items():
        for name, (function, words) in TEST_FIGURES.items():
            found[name.format(test.removeprefix("test"))] = partial(function, run, checkpoint), words
    over, pale = "over a plane of the features", "; pale where no training dot is near"
    if contents and contents["hyper_parameters"]["num_features"] == 1:
        over, pale = "along the feature", ""  # There is no plane, but a curve.
    return {name: (function, words.format(over=over, pale=pale)) for name, (function, words) in found.items()}


def draw(run: RunFolder, name: str) -> Figure:
    if name not in (figures := run_figures(run)):
        raise InputError(f"{name}: no such figure; need one of {', '.join(figures)}")
    function, _ = figures[name]
    with own_style():
        return function()


def draw_film(run: RunFolder) -> dict[int, Image.Image]:
    """Draw the boundary beside the losses after some validations, by iteration; return none without snapshots."""
    contents = run.checkpoint()
    if not contents.get("snapshots"):
        return {}
    models, criterion = snapshots(contents, run.kind), contents["hyper_parameters"]["loss"]
    titled = {f"after {step} iterations" if step else "before training": model for step, model in models.items()}
    losses = partial(draw_loss, history=run.history(), criterion=criterion, title=data_name(run))
    with own_style():
        pictures = film_pictures(*ask_models(run, titled), list(models), losses)
    return dict(zip(models, pictures, strict=True))


def write_figure(run: RunFolder, name: str, figure: Figure, form: str = "png") -> Path:
    path = run.figures / f"{name}.{form}"
    write_whole(path, to_file(figure, form))
    return path


def add_picture(events: Any, name: str, picture: Image.Image, step: int) -> None:
    """Add a picture to events by TensorBoard's SummaryWriter, which by itself would make one of few colours larger."""
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415 (no other command needs it)

    size = {"width": picture.width, "height": picture.height}
    image = Summary.Image(**size, colorspace=3, encoded_image_string=encode_png(picture))
    # TensorBoard shows groups in the order of their names, and scalars shall be first.
    events.file_writer.add_summary(Summary(value=[Summary.Value(tag=f"views/{name}", image=image)]), step)


def plot(run: RunFolder, form: str, dpi: int, width: float | None) -> list[Path]:
    """Draw all figures into png, svg or pdf files, and boundary.gif; a width of None is 6.4 inches a panel."""
    paths = []
    for name in run_figures(run):
        figure = draw(run, name)
        figure.set_dpi(dpi)
        if width is not None:
            figure.set_size_inches(width, width * figure.get_figheight() / figure.get_figwidth())
        paths.append(write_figure(run, name, figure, form))
    if pictures := draw_film(run):
        paths.append(run.film)
        write_whole(run.film, encode_gif(list(pictures.values())))
    return paths
