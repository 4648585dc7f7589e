"""How a model is looked at: the plane of the features, the grid on it, and what the model answers there."""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from project.errors import InputError
from project.figures.boundary import Scene, grid, nearness
from project.figures.curves import SUBSETS
from project.figures.plane import Plane, of_components, of_features
from project.figures.scatter import describe
from project.figures.style import Numbers
from project.model import BinaryClassifier
from project.runs.run import RunFolder

GRID_POINTS = 200  # an axis, or fewer where the hidden layer is wide
MOST_WORK = 2**27  # values of the hidden layer that a panel may take
MOST_CELLS = 2**22  # of a layer that are there at once
SAMPLED = 30  # places that show whether a network can be asked by two coordinates


class View:
    """How the models of a run are looked at, those of one view in the same plane, with rows of some subsets over it.

    Of more than two features the plane is what the group ``figures`` in the run's config says; the best one is that
    of a final model.
    """

    def __init__(self, run: RunFolder, final: BinaryClassifier, subsets: Sequence[str] = ("train", "val")) -> None:
        data = run.data()
        dots, names = data.classes.dots, data.feature_names
        self.train = np.concatenate(dots["train"])
        wanted = (run.options().get("figures") or {}).get("plane", "best")
        self.plane = choose_plane(wanted, final, self.train, names)
        seen = {name: [self.plane.seen(rows) for rows in dots[name]] for name in {"train", *subsets}}
        places = np.concatenate([rows for classes in seen.values() for rows in classes])
        where = grid(places.min(0), places.max(0), min(GRID_POINTS, math.isqrt(MOST_WORK // final.width)))
        shown = {SUBSETS[name]: seen[name] for name in subsets}
        drawn = sum(len(rows) for classes in shown.values() for rows in classes)
        note = describe(drawn, sum(data.classes.rows[name] for name in subsets))
        opacity = nearness(where, np.concatenate(seen["train"]))
        self.scene = Scene(where, shown, opacity, self.plane.names, data.class_names, note)

    def panel(self, title: str, model: BinaryClassifier) -> tuple[str, Numbers]:
        """Return a title and a model's answers at the scene's places.

        Of more than two features the title says at which share of the training dots the colour is the model's answer.
        """
        if len(self.train[0]) > 2:  # The share is rounded down: only all dots are 100 %.
            share = math.floor(100 * agreement(model, self.plane, self.train))
            title = f"{title}\ncolour is the model's answer at {share} % of the training dots"
        return title, answers_in(self.plane, model, self.scene.where.places())


def answers(model: BinaryClassifier, rows: Numbers) -> Numbers:
    """Return the probability of class 1, (N,), for rows (N, j)."""
    probability: Numbers = model(rows)[:, 0].cpu().numpy()
    return probability


def answers_in(plane: Plane, model: BinaryClassifier, places: Numbers) -> Numbers:
    """Return the probability of class 1, (N,), at places (N, 2) in a plane, or (N, 1) on a line."""

    def seen_fully(part: Numbers) -> Numbers:
        return answers(model, plane.points(part))

    width, see = max(int(model.hparams["num_features"]), model.width), seen_fully
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
