"""How a run folder becomes its figures, for ``fit``, ``test``, ``plot`` and anyone who asks the run for one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from project.checkpoint import load, rebuild
from project.disk import write_whole
from project.errors import InputError
from project.evaluation import delong, reliability, roc
from project.figures.boundary import boundary, grid
from project.figures.curves import accuracy, loss
from project.figures.evaluation import evaluation
from project.figures.plane import Numbers, Plane, of_components, of_features
from project.figures.scatter import describe, scatter
from project.figures.style import own_style, to_file
from project.model import BinaryClassifier
from project.run import Run

GRID_POINTS = 200  # an axis
SUBSETS = {"train": "training", "val": "validation", "test": "test"}


def draw_scatter(run: Run) -> Figure:
    data = run.data()
    classes = [np.concatenate(parts) for parts in zip(*data.classes.dots.values(), strict=True)]
    many, names = len(data.feature_names) > 2, data.feature_names
    plane = of_components(np.concatenate(classes), names) if many else of_features(classes[0][0], names)
    seen, rows = [plane.seen(rows) for rows in classes], sum(data.classes.rows.values())
    return scatter(seen, rows, plane.names, data.class_names, len(names))


def draw_boundary(run: Run) -> Figure:
    contents = run.checkpoint()
    before, after = (rebuild(contents, run.kind, initial) for initial in (True, False))
    return draw_models(run, {"before training": before, f"after {contents['global_step']} iterations": after})


def draw_test(run: Run, name: str) -> Figure:
    """Draw what test found of last.ckpt, or of best or another one by its name."""
    tested = run.tested(name)
    labels, probabilities = tested.labels, tested.probabilities
    area = delong(probabilities[labels == 0], probabilities[labels == 1])
    title = f"{len(labels):,} test rows, {name}.ckpt after {tested.step} iterations"
    details = roc(labels, probabilities), area, reliability(labels, probabilities)
    return evaluation(labels, probabilities, *details, run.data().class_names, title)


def draw_test_boundary(run: Run, name: str) -> Figure:
    contents, step = load(run.last.with_name(f"{name}.ckpt"), run.kind), run.tested(name).step
    if contents["global_step"] != step:
        raise InputError(
            f"{run.path}: its test is of iteration {step}; test the checkpoint of {contents['global_step']}"
        )
    return draw_models(run, {f"after {step} iterations": rebuild(contents, run.kind)}, ("test",))


# A line here, and its function, is all that a figure needs to be drawn by fit and plot.
FIGURES: dict[str, Callable[[Run], Figure]] = {
    "scatter": draw_scatter,
    "loss": lambda run: loss(run.history(), run.checkpoint()["hyper_parameters"]["loss"]),
    "accuracy": lambda run: accuracy(run.history()),
    "boundary": draw_boundary,
}
# The same for a test, whose figures are named after its file, test.json or test-best.json.
TEST_FIGURES: dict[str, Callable[[Run, str], Figure]] = {"": draw_test, "-boundary": draw_test_boundary}


def draw_models(
    run: Run,
    models: Mapping[str, BinaryClassifier],
    subsets: Sequence[str] = ("train", "val"),
    wanted: str | None = None,
) -> Figure:
    """Draw what each model, by its panel's title, answers over a plane, and rows of some subsets.

    Of more than two features the plane is the one that is wanted, or else ``plane`` of the group ``figures`` in the
    run's config; the title says at which share of the training dots its colour is the model's answer.
    """
    data = run.data()
    dots = data.classes.dots
    with torch.no_grad(), own_style():
        train = np.concatenate(dots["train"])
        wanted = wanted or (run.options().get("figures") or {}).get("plane", "best")
        plane, note = choose_plane(wanted, list(models.values())[-1], train, data.feature_names), ""
        seen = {name: [plane.seen(rows) for rows in dots[name]] for name in {"train", *subsets}}
        places = np.concatenate([rows for classes in seen.values() for rows in classes])
        where = grid(places.min(0), places.max(0), GRID_POINTS)
        panels = {}
        for title, model in models.items():
            answers = answers_of(model)
            caption = f"\ncolour is the model's answer at {plane.agreement(answers, train):.0%} of the training dots"
            panels[title + caption * (len(data.feature_names) > 2)] = np.concatenate(
                [answers(part) for part in plane.points(where.places())]
            )
        shown = {SUBSETS[name]: seen[name] for name in subsets}
        rows = sum(data.classes.rows[name] for name in subsets)
        note = describe(sum(len(dots) for classes in shown.values() for dots in classes), rows)
        return boundary(panels, where, shown, seen["train"], plane.names, data.class_names, note)


def answers_of(model: BinaryClassifier) -> Callable[[Numbers], Numbers]:
    return lambda rows: model(rows)[:, 0].cpu().numpy()


def choose_plane(wanted: str, model: BinaryClassifier, train: Numbers, names: Sequence[str]) -> Plane:
    """Return the plane of the first two features, of the principal components, of the model's direction, or the best.

    The best is where the colours are the model's answer at most of the training dots, (N, j).
    """
    if len(names) <= 2:
        return of_features(train.mean(0, dtype=np.float64), names)
    makers: dict[str, Callable[[], Plane]] = {
        "features": lambda: of_features(train.mean(0, dtype=np.float64), names),
        "components": lambda: of_components(train, names),
        "model": lambda: of_components(train, names, direction(model, train)),
    }
    planes = [make() for name, make in makers.items() if wanted in (name, "best")]
    return max(planes, key=lambda plane: plane.agreement(answers_of(model), train)) if len(planes) > 1 else planes[0]


def direction(model: BinaryClassifier, rows: Numbers) -> Numbers:
    """Return what each feature, (j,), adds to the logit for a standard deviation, in the mean over rows (N, j)."""
    with torch.enable_grad():
        features = torch.from_numpy(rows).to(model.device, torch.float64).requires_grad_()
        (slopes,) = torch.autograd.grad(torch.logit(model(features), eps=1e-6).sum(), features)
    slope = slopes.mean(0).cpu().numpy() * rows.std(0, dtype=np.float64)
    # A model whose answer is the same everywhere has no direction; any one shows that.
    result: Numbers = slope if np.isfinite(slope).all() and slope.any() else np.eye(1, len(slope))[0]
    return result


def plot(run: Run, form: str, dpi: int, width: float | None, names: Sequence[str] | None = None) -> list[Path]:
    """Draw figures of a run again, also of an interrupted one, into files of its folder; return their paths.

    All are drawn unless some are named. The form is png, svg or pdf; a width of None is 6.4 inches a panel; what is
    missing raises an InputError.
    """
    paths = []
    for name in run.figure_names() if names is None else names:
        figure = run.figure(name)
        figure.set_dpi(dpi)
        if width is not None:
            figure.set_size_inches(width, width * figure.get_figheight() / figure.get_figwidth())
        paths.append(run.figures / f"{name}.{form}")
        write_whole(paths[-1], to_file(figure, form))
    return paths
