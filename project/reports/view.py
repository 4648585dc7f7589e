"""A model's answers in a plane of the features, and the rows that are seen there."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from project.data import NpyDataModule
from project.errors import InputError
from project.evaluation.estimate import to_json
from project.evaluation.importance import PERMUTATIONS, permutation_importance
from project.evaluation.metrics import groups_at, is_right
from project.figures.boundary import Scene, lay_scene, name_crossings
from project.figures.curves import SUBSETS
from project.figures.plane import Plane, component_plane, feature_plane
from project.figures.scatter import count_rows
from project.figures.style import Classes, Numbers
from project.model import BinaryClassifier
from project.model.net import evaluating
from project.runs.run import RunFolder
from project.runs.table import Tested

GRID_POINTS = 200  # an axis, or fewer where rows or the hidden layer are wide
MOST_WORK = 2**27  # values of a layer that a panel may take
MOST_CELLS = 2**22  # of a layer that are there at once
LEAST_PERMUTED, MOST_PERMUTED, MOST_READ = 100, 2000, 2**33  # rows, and cells in all permutations
MOST_FEATURES, MOST_WRONG = 15, 10  # that are told


def ask_models(
    run: RunFolder,
    models: Mapping[str, BinaryClassifier],
    subsets: Sequence[str] = ("train", "val"),
    final: BinaryClassifier | None = None,
    ringed: Classes = (),
) -> tuple[dict[str, Numbers], Scene]:
    """Return by title what models answer in the plane that the run's config asks for, and the scene with some rows.

    The best plane is that of the final model, which is the last one if not given. Titles say what is to be seen there.
    """
    data, final, panels = run.data(), final or list(models.values())[-1], dict[str, Numbers]()
    train, names, wanted = np.concatenate(data.classes.dots["train"]), data.feature_names, wanted_plane(run)
    with torch.no_grad(), evaluating(models.values()):
        plane = choose_plane(wanted, final, train, names)
        n = min(GRID_POINTS, math.isqrt(MOST_WORK // max(final.width, len(names))))
        scene = show_rows(data, plane, subsets, n)._replace(ringed=[plane.locate(rows) for rows in ringed])
        for name, model in models.items():
            is_others = len(names) > 2 and model is not final and wanted not in ("features", "components")
            where = ", in the plane of the last model" if is_others else ""
            values = ask_model(model, plane, scene.places())
            said = describe_answers([model], data, plane, scene, values, subsets[0])
            panels[f"{name}{where}\n{said}".rstrip()] = values
    return panels, scene


def describe_answers(
    models: Sequence[BinaryClassifier], data: NpyDataModule, plane: Plane, scene: Scene, values: Numbers, subset: str
) -> str:
    """Say where models' mean, (n,), has its boundary or, in a plane of many features, at how many dots it is right."""
    if not scene.is_plane:
        return name_crossings(scene.axes[0], values)
    if len(data.feature_names) == 2:
        return ""
    share = math.floor(100 * agreement(models, plane, np.concatenate(data.classes.dots[subset])))
    whose = "the model's answer" if len(models) == 1 else "the mean answer"
    return f"colour is {whose} at {share} % of the {SUBSETS[subset]} dots"  # Rounded down, only all dots are 100 %.


def wanted_plane(run: RunFolder) -> str:
    return str(run.options()["figures"].get("plane", "best"))


def show_rows(data: NpyDataModule, plane: Plane, subsets: Sequence[str], n: int) -> Scene:
    """Lay a scene of n places an axis, with the rows of some subsets over it; its note says if they are not all."""
    seen = {name: [plane.locate(rows) for rows in data.classes.dots[name]] for name in SUBSETS}
    shown = {SUBSETS[name]: seen[name] for name in subsets}
    drawn = sum(len(rows) for classes in shown.values() for rows in classes)
    rows = sum(data.classes.rows[name] for name in subsets)
    note = count_rows(drawn, rows, rows) if drawn < rows else ""
    return lay_scene(np.concatenate(seen["train"]), shown, n, plane.names, data.class_names, note, seen["val"])


def ask_model(model: BinaryClassifier, plane: Plane, places: Numbers) -> Numbers:
    """Return the probability of class 1, (N,), at places (N, 2) in a plane, or (N, 1) on a line."""
    width = max(len(plane.origin), model.width)
    parts = np.array_split(places, max(1, len(places) * width // MOST_CELLS))
    return np.concatenate([model(plane.points(part))[:, 0].cpu().numpy() for part in parts])


def agreement(models: Sequence[BinaryClassifier], plane: Plane, rows: Numbers) -> float:
    """Return the share of rows (N, j) for which models' mean answers as where they are seen in the plane."""
    places = plane.locate(rows)
    in_plane = np.mean([ask_model(model, plane, places) for model in models], 0)
    answers = np.mean([model(rows)[:, 0].cpu().numpy() for model in models], 0)
    return float(((answers >= 0.5) == (in_plane >= 0.5)).mean())


def choose_plane(wanted: str, model: BinaryClassifier, train: Numbers, names: Sequence[str]) -> Plane:
    """Return the plane of a kind; the best one has the model's answer at most of the training dots, (N, j)."""
    mean = train.mean(0, dtype=np.float64)
    if len(names) <= 2:
        return feature_plane(mean, names)
    makers: dict[str, Callable[[], Plane]] = {
        "features": lambda: feature_plane(mean, names),
        "components": lambda: component_plane(train, names),
        "model": lambda: component_plane(train, names, slopes(model, train, partial(torch.logit, eps=1e-6))),
        "gradients": lambda: component_plane(train, names, slopes(model, train, torch.positive), is_bent=True),
    }
    planes = [make() for name, make in makers.items() if wanted in ("best", name)]
    if not planes:
        raise InputError(f"figures.plane: {wanted}; need one of best, {', '.join(makers)}")
    return planes[0] if len(planes) == 1 else max(planes, key=lambda plane: agreement([model], plane, train))


def slopes(model: BinaryClassifier, rows: Numbers, scale: Callable[[Tensor], Tensor]) -> Numbers:
    """Return by how much a model's probability, on a scale, grows with a standard deviation of each feature, (N, j)."""
    with torch.enable_grad():
        features = torch.from_numpy(rows).to(model.device, torch.float64).requires_grad_()
        (steep,) = torch.autograd.grad(scale(model(features)).sum(), features)
    found = np.asarray(steep.cpu().numpy() * rows.std(0, dtype=np.float64))
    # A model whose answer is the same everywhere has no direction; any show that.
    return found if np.isfinite(found).all() and found.mean(0).any() else np.eye(2, rows.shape[1])


def find_wrong(tested: Tested) -> npt.NDArray[np.int64]:
    """Return the places of the most wrong test rows, the worst first; last are those without an answer."""
    places = np.flatnonzero(~is_right(tested.labels, tested.probabilities))
    distances = abs(tested.probabilities - tested.labels)[places]
    return places[(-distances).argsort(kind="stable")][:MOST_WRONG]


def rank_features(model: BinaryClassifier, data: NpyDataModule, tested: Tested) -> dict[str, Any]:
    """Return, as JSON can hold it, how important features are for answers to test rows, or to some at random."""
    j, answered = data.num_features, np.flatnonzero(np.isfinite(tested.probabilities))
    most = min(MOST_PERMUTED, max(LEAST_PERMUTED, MOST_READ // (PERMUTATIONS * j * j)))
    chosen = np.sort(np.random.default_rng(0).permutation(answered)[:most])
    if not len(chosen):
        return {"rows": 0, "features": {}}
    rows, labels, groups = data.classes.pick("test", chosen), tested.labels[chosen], groups_at(tested.groups, chosen)
    found = permutation_importance(lambda rows: model.predict_proba(rows)[:, 1], rows, labels, groups)
    largest = np.array([-each["bce"].value for each in found]).argsort(kind="stable")[:MOST_FEATURES].tolist()
    return {"rows": len(chosen), "features": {data.feature_names[i]: to_json(found[i]) for i in largest}}
