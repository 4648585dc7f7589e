"""How a run folder becomes its figures, for ``fit``, ``test``, ``plot`` and anyone who asks the run for one."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from project.checkpoint import load, rebuild
from project.disk import write_whole
from project.errors import InputError
from project.evaluation import area, reliability, roc
from project.figures.boundary import boundary, draw_units, grid
from project.figures.curves import SUBSETS, accuracy, loss
from project.figures.evaluation import evaluation
from project.figures.plane import Plane, of_components, of_features
from project.figures.scatter import describe, scatter
from project.figures.style import Numbers, own_style, to_file
from project.model import BinaryClassifier
from project.model.net import evaluating
from project.run import Run

GRID_POINTS = 200  # an axis, or fewer where the hidden layer is wide
MOST_WORK = 2**27  # values of the hidden layer that a panel may take
MOST_CELLS = 2**22  # of a layer that are there at once
SAMPLED = 30  # places that show whether a network can be asked by two coordinates


def draw_scatter(run: Run) -> Figure:
    data = run.data()
    classes = [np.concatenate(parts) for parts in zip(*data.classes.dots.values(), strict=True)]
    many, names = len(data.feature_names) > 2, data.feature_names
    plane = of_components(np.concatenate(classes), names) if many else of_features(classes[0][0], names)
    seen, rows = [plane.seen(rows) for rows in classes], sum(data.classes.rows.values())
    return scatter(seen, rows, plane.names, data.class_names, len(names))


def draw_accuracy(run: Run) -> Figure:
    batches = run.accuracies.read() if run.accuracies.path.exists() else None
    return accuracy(run.history(), batches, title_of(run))


def title_of(run: Run) -> str:
    """Return the name of a run's data, which is that of their folder."""
    root = (run.options().get("data") or {}).get("root")
    return Path(root).name if root else "the shipped sample"


def draw_boundary(run: Run) -> Figure:
    contents = run.checkpoint()
    before, after = (rebuild(contents, run.kind, initial) for initial in (True, False))
    return draw_models(run, {"before training": before, f"after {contents['global_step']} iterations": after})


def draw_hidden(run: Run) -> Figure:
    """Draw, over the boundary, the line where each hidden unit's sum is 0, the darker the more its answer weighs."""
    contents = run.checkpoint()
    before, after = (rebuild(contents, run.kind, initial) for initial in (True, False))
    titles = "hidden units before", f"after {contents['global_step']} iterations"
    figure = draw_models(run, dict(zip(titles, (before, after), strict=True)), ("train",))
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    for ax, model in zip(figure.axes, (before, after), strict=False):
        with torch.no_grad():
            sums = model.net.hidden(model.standardized(corners)).double().numpy()
            weights = model.net.output.weight[0].abs().double().numpy()
        draw_units(ax, sums[0], (sums[1:] - sums[0]).T, weights / weights.max())
    return figure


def draw_test(run: Run, name: str) -> Figure:
    """Draw what test found of last.ckpt, or of best or another one by its name."""
    tested = run.tested(name)
    labels, probabilities, groups = tested.labels, tested.probabilities, tested.groups
    under, there = area(labels, probabilities, groups), ~np.isnan(probabilities)
    calibration = reliability(labels[there], probabilities[there], None if groups is None else groups[there])
    title = f"{len(labels):,} test rows, {name}.ckpt after {tested.step} iterations"
    answered, nothing = (labels[there], probabilities[there]), np.empty(0)
    curve = roc(*answered) if len(np.unique(answered[0])) == 2 else (nothing, nothing)
    return evaluation(labels, probabilities, curve, under, calibration, run.data().class_names, title)


def draw_test_boundary(run: Run, name: str) -> Figure:
    contents = load(run.last.with_name(f"{name}.ckpt"), run.kind)
    step = run.tested(name, contents["global_step"]).step
    return draw_models(run, {f"after {step} iterations": rebuild(contents, run.kind)}, ("test",))


# A line here, and its function, is all that a figure needs to be drawn by fit and plot.
FIGURES: dict[str, Callable[[Run], Figure]] = {
    "scatter": draw_scatter,
    "loss": lambda run: loss(run.history(), run.checkpoint()["hyper_parameters"]["loss"], title_of(run)),
    "accuracy": draw_accuracy,
    "boundary": draw_boundary,
    "hidden": draw_hidden,
}
# The same for a test, whose figures are named after its file, test.json or test-best.json.
TEST_FIGURES: dict[str, Callable[[Run, str], Figure]] = {"": draw_test, "-boundary": draw_test_boundary}


def figures_of(run: Run) -> list[str]:
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
    dots, names, final = data.classes.dots, data.feature_names, list(models.values())[-1]
    with torch.no_grad(), evaluating(models.values()), own_style():
        train = np.concatenate(dots["train"])
        wanted = wanted or (run.options().get("figures") or {}).get("plane", "best")
        plane = choose_plane(wanted, final, train, names)
        seen = {name: [plane.seen(rows) for rows in dots[name]] for name in {"train", *subsets}}
        places = np.concatenate([rows for classes in seen.values() for rows in classes])
        points = min(GRID_POINTS, math.isqrt(MOST_WORK // final.width))
        where = grid(places.min(0), places.max(0), points)
        panels = {}
        for title, model in models.items():
            caption = title
            if len(names) > 2:  # The share is rounded down: only all dots are 100 %.
                share = math.floor(100 * agreement(model, plane, train))
                caption = f"{title}\ncolour is the model's answer at {share} % of the training dots"
            panels[caption] = answers_in(plane, model, where.places())
        shown = {SUBSETS[name]: seen[name] for name in subsets}
        drawn = sum(len(rows) for classes in shown.values() for rows in classes)
        note = describe(drawn, sum(data.classes.rows[name] for name in subsets))
        return boundary(panels, where, shown, seen["train"], plane.names, data.class_names, note)


def answers(model: BinaryClassifier, rows: Numbers) -> Numbers:
    """Return the probability of class 1, (N,), for rows (N, j)."""
    probability: Numbers = model(rows)[:, 0].cpu().numpy()
    return probability


def answers_in(plane: Plane, model: BinaryClassifier, places: Numbers) -> Numbers:
    """Return the probability of class 1, (N,), at places (N, 2) in a plane, or (N, 1) on a line."""

    def seen_fully(part: Numbers) -> Numbers:
        return answers(model, plane.points(part))

    width, see = max(len(model.mean), model.width), seen_fully
    if (narrow := narrowed(plane, model)) is not None:

        def seen_narrowly(part: Numbers) -> Numbers:
            return np.asarray(narrow(torch.from_numpy(part).to(model.device, torch.float32))[:, 0].cpu())

        few = places[np.random.default_rng(0).permutation(len(places))[:SAMPLED]]
        if np.allclose(seen_narrowly(few), seen_fully(few), atol=1e-3):
            width, see = model.width, seen_narrowly
    parts = np.array_split(places, max(1, len(places) * width // MOST_CELLS))
    return np.concatenate([see(part) for part in parts])


def narrowed(plane: Plane, model: BinaryClassifier) -> torch.nn.Module | None:
    """Return a network of the coordinates in a plane that answers as the model's there, if it begins with ``hidden``.

    The hidden layer's sums are affine in the coordinates. Whether it does begin with that layer, some places show. Of
    two features or less there is nothing to narrow.
    """
    hidden, coordinates = getattr(model.net, "hidden", None), 2
    if not isinstance(hidden, torch.nn.Linear) or hidden.in_features <= coordinates:
        return None
    narrow: torch.nn.Module = copy.deepcopy(model.net)
    empty = torch.nn.Linear(coordinates, hidden.out_features, device="meta")  # It draws no random numbers.
    narrow.hidden = empty.to_empty(device=model.device)
    corners = torch.from_numpy(plane.points(np.eye(coordinates + 1, coordinates, -1))).to(model.device)
    corners = hidden(model.standardized(corners))
    narrow.hidden.bias.copy_(corners[0])
    narrow.hidden.weight.copy_((corners[1:] - corners[0]).T)
    return narrow


def agreement(model: BinaryClassifier, plane: Plane, rows: Numbers) -> float:
    """Return at which share of rows (N, j) a model's answer is that of the point of the plane where the row is seen."""
    there = answers_in(plane, model, plane.seen(rows)) >= 0.5
    return float(((answers(model, rows) >= 0.5) == there).mean())


def choose_plane(wanted: str, model: BinaryClassifier, train: Numbers, names: Sequence[str]) -> Plane:
    """Return the plane of the first two features, of the principal components, of the model's direction, or the best.

    The best is where the colours are the model's answer at most of the training dots, (N, j).
    """
    mean = train.mean(0, dtype=np.float64)
    if len(names) <= 2:
        return of_features(mean, names)
    makers: dict[str, Callable[[], Plane]] = {
        "features": lambda: of_features(mean, names),
        "components": lambda: of_components(train, names),
        "model": lambda: of_components(train, names, direction(model, train)),
    }
    if wanted not in {"best", *makers}:
        raise InputError(f"figures.plane: {wanted}; need one of best, {', '.join(makers)}")
    planes = [make() for name, make in makers.items() if wanted in (name, "best")]
    return max(planes, key=lambda plane: agreement(model, plane, train)) if len(planes) > 1 else planes[0]


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
