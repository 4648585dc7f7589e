"""How what a study found becomes its figures."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure

from project.figures.boundary import grid
from project.figures.ensemble import ensemble
from project.figures.study import Band, Shown, Tried, choice, curves, differences, plain, slopes, wrong_label_slopes
from project.model.loss import METRICS
from project.model.net import evaluating
from project.reports.view import answers_in, choose_plane
from project.study.answer import TEST, VAL, WORDS, Answer, Numbers, by_split
from project.study.classifiers import Classifiers
from project.study.networks import BASELINE
from project.study.splits import Splits

GRID_POINTS = 150  # an axis of a boundary
LOGITS = np.linspace(-6, 6, 481)
SHARES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}  # of splits


def band(values: Numbers) -> Band:
    """Return mean and spread over splits of what was measured in each, (V, S)."""
    return Band(values.mean(1), *np.quantile(values, list(SHARES.values()), axis=1))


def draw_curves(answer: Answer) -> Figure:
    accuracy = list(METRICS).index("accuracy")
    bands = {
        f"{words} accuracy": {
            f"{name} at {answer.choose} {plain(each.option)}": band(
                by_split(answer.curves[:, subset, accuracy], each.networks)
            )
            for name, each in answer.values.items()
        }
        for subset, words in ((VAL, "validation"), (TEST, "test"))
    }
    lines = {"guessing": 0.5}
    if answer.baseline is not None:
        lines[f"no hidden layer ({BASELINE})"] = float(answer.accuracy(answer.baseline).mean())
    return curves(answer.steps, bands, lines)


def draw_choice(answer: Answer) -> Figure:
    values = {
        name: Tried(each.options, each.losses, each.chosen, each.at_edge, each.loss)
        for name, each in answer.values.items()
    }
    return choice(values, answer.choose)


def draw_differences(answer: Answer) -> Figure:
    panels: dict[str, list[Shown]] = {}
    for each in answer.comparisons:
        found = each.found
        ends = (found.low, found.high, found.naive_low, found.naive_high, found.level)
        shown = Shown(f"{each.value} - {each.against}", each.each, found.mean, *ends)
        panels.setdefault(WORDS.get(each.metric, each.metric), []).append(shown)
    return differences(panels)


def draw_boundary(answer: Answer, model: Classifiers, data: Splits, wanted: str) -> Figure:
    """Draw what the networks of one split answer together: those of the first compared value, one of each seed."""
    first = next(iter(answer.values.values()))
    models = [model.classifier(int(place)) for place in first.networks[0]]
    dots, names = data.first.classes.dots, data.first.feature_names
    with torch.no_grad(), evaluating(models):
        plane = choose_plane(wanted, models[0], np.concatenate(dots["train"]), names)
        seen = [plane.seen(rows) for rows in dots["train"]]
        places = np.concatenate(seen)
        where = grid(places.min(0), places.max(0), GRID_POINTS)
        answers = np.stack([answers_in(plane, each, where.places()) for each in models])
    split, rows = data.first.seed, sum(len(each) for each in seen)
    networks = f"{len(models)} network{'s' * (len(models) > 1)} of split {split}, {rows:,} training rows"
    note = f"{first.name} at {answer.choose} {plain(first.option)}: {networks}"
    return ensemble(where, answers, seen, plane.names, data.first.class_names, note)


def figures_of(answer: Answer, model: Classifiers, data: Splits, plane: str) -> dict[str, Callable[[], Figure]]:
    """Return by their names how the figures that a study has are drawn."""
    figures: dict[str, Callable[[], Figure]] = {
        "curves": lambda: draw_curves(answer),
        "choice": lambda: draw_choice(answer),
        "boundary": lambda: draw_boundary(answer, model, data, plane),
    }
    if answer.comparisons:
        figures["differences"] = lambda: draw_differences(answer)
    if {"bce", "mse"} <= answer.values.keys():
        figures["slopes"] = lambda: slopes(LOGITS, wrong_label_slopes(LOGITS))
    return figures
