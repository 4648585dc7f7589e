"""The figures of what a study found."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure

from project.evaluation.differences import Difference
from project.evaluation.estimate import Numbers
from project.figures import study as pictures
from project.figures.study import Tried, plain
from project.model.net import evaluating
from project.reports.view import ask_model, choose_plane, show_rows
from project.study.answer import ACCURACY, WORDS, Answer
from project.study.classifiers import Classifiers
from project.study.networks import BASELINE
from project.study.stack import TEST, VAL, Splits

SHARES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}  # of splits


def find_band(values: Numbers) -> Numbers:
    """Return mean and SHARES over splits, (4, ...), of what was measured in each, (..., S)."""
    return np.stack([values.mean(-1), *np.quantile(values, list(SHARES.values()), axis=-1)])


def draw_curves(answer: Answer) -> Figure:
    named = {f"{name} at {answer.choose} {plain(each.option)}": each.curves for name, each in answer.values.items()}
    bands = {
        title: {name: find_band(curves[:, subset, ACCURACY]) for name, curves in named.items()}
        for title, subset in (("validation accuracy", VAL), ("test accuracy", TEST))
    }
    lines = {"guessing": 0.5}
    if answer.baseline is not None:
        lines[f"no hidden layer ({BASELINE})"] = float(answer.baseline.accuracy.mean())
    return pictures.curves_figure(answer.steps, bands, lines)


def draw_differences(answer: Answer) -> Figure:
    panels: dict[str, dict[str, tuple[Numbers, Difference]]] = {}
    for each in answer.comparisons:
        rows = panels.setdefault(WORDS.get(each.metric, each.metric), {})
        rows[f"{each.value} - {each.against}"] = each.by_split, each.found
    return pictures.differences_figure(panels)


def draw_boundary(answer: Answer, model: Classifiers, data: Splits, wanted: str) -> Figure:
    """Draw what the networks of one split answer together: those of the first compared value, one of each seed."""
    first = next(iter(answer.values.values()))
    models = [model.classifier(int(place)) for place in first.networks[0]]
    train = np.concatenate(data.classes.dots["train"])
    with torch.no_grad(), evaluating(models):
        plane = choose_plane(wanted, models[0], train, data.feature_names)
        scene = show_rows(data, plane, ("train",), 150)  # places an axis
        answers = np.stack([ask_model(each, plane, scene.places()) for each in models])
    networks = "1 network" if len(models) == 1 else f"{len(models)} networks"
    note = f"{first.name} at {answer.choose} {plain(first.option)}: {networks} of split {data.seed}"
    return pictures.ensemble_figure(answers, scene._replace(note=f"{note}, {len(train):,} training rows"))


def figure_drawers(answer: Answer, model: Classifiers, data: Splits, plane: str) -> Mapping[str, Callable[[], Figure]]:
    """Return the functions that draw the figures that a study has, by name."""
    values = answer.values.items()
    tried = {name: Tried(each.options, each.losses, each.chosen, each.at_edge, each.loss) for name, each in values}
    drawers: dict[str, Callable[[], Figure]] = {
        "curves": partial(draw_curves, answer),
        "choice": partial(pictures.choice_figure, tried, answer.choose),
        "boundary": partial(draw_boundary, answer, model, data, plane),
    }
    if answer.comparisons:
        drawers["differences"] = partial(draw_differences, answer)
    if {"bce", "mse"} <= answer.values.keys():
        drawers["slopes"] = pictures.slopes_figure
    return drawers
