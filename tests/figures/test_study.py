"""The arrays in a study's figures, for few and many values and splits, and for what could not be measured."""

from collections import namedtuple
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from project.evaluation.differences import Difference
from project.figures import study
from project.figures.boundary import lay_scene
from project.model.loss import CRITERIA
from tests.figures.drawing import CLASSES, FEATURES, artists, assert_dots, draw_panels, legend_texts, make_rows

Tried = namedtuple("Tried", "options losses chosen at_edge loss")
RNG, NAN = np.random.default_rng(0), np.nan
LONG = "a name of an option that is longer than anyone would want to read it, number "


def line(ax: Axes, label: str) -> Any:
    (found,) = [each for each in ax.lines if str(each.get_label()).startswith(label)]
    return found


@pytest.mark.parametrize(("values", "steps"), [(1, 1), (12, 50)])
def test_curves_show_means_and_bands(values: int, steps: int) -> None:
    x = np.arange(20.0, 20 * steps + 1, 20)
    panels = {
        title: {f"{LONG}{i}": np.sort(RNG.uniform(0.5, 1, (4, steps)), 0) for i in range(values)}
        for title in ("validation accuracy", "test accuracy")
    }
    axes = draw_panels(study.curves_figure(x, panels, {"guessing": 0.5, "no hidden layer": 0.6}))
    for ax, (title, bands) in zip(axes, panels.items(), strict=True):
        assert ax.get_title() == title
        for curve, fill, (mean, low, _, high) in zip(ax.lines, ax.collections, bands.values(), strict=False):
            np.testing.assert_array_equal(np.transpose(curve.get_xydata()), [x, mean])
            heights = fill.get_paths()[0].vertices[:, 1]
            assert (heights.min(), heights.max()) == (low.min(), high.max())
        assert [each.get_ydata()[0] for each in ax.lines[-2:]] == [0.5, 0.6]
        assert (ax.get_xticks() % 1 == 0).all(), "iterations are counted"


@pytest.mark.parametrize(
    ("options", "places", "scale"),
    [([0.25, 1.0, 4.0, 16.0], [0.25, 1, 4, 16], "log"), ([3], [3], "linear"), (["tanh", "relu"], [0, 1], "linear")],
)
def test_choice_marks_and_counts_what_was_chosen_and_where_a_network_diverged(
    options: list[Any], places: list[Any], scale: str
) -> None:
    """It says if the choice is at the edge; losses of one criterion share an axis, also a logarithmic one."""
    last, losses = len(options) - 1, RNG.uniform(0.3, 0.4, (5, len(options)))
    lost, wide = 2 * losses, losses * np.geomspace(1, 1000, len(options))
    lost[0, 1:] = NAN
    values = {
        "wide": Tried(options, wide, np.zeros(5, int), False, "bce"),
        "bce": Tried(options, losses, np.array([last, last, 0, last, last]), True, "bce"),
        "mse": Tried(options, lost, np.zeros(5, int), False, "mse"),
    }
    values = {name: values[name] for name in sorted(values, reverse=scale == "log")}
    axes = dict(zip(values, draw_panels(study.choice_figure(values, "lr")), strict=True))
    for name, (_, measured, chosen, at_edge, _) in values.items():
        ax, marked, marks = axes[name], line(axes[name], "chosen"), np.unique(chosen)
        assert (ax.get_title(), ax.get_xscale(), "edge" in marked.get_label()) == (name, scale, at_edge)
        np.testing.assert_allclose(np.transpose(line(ax, "mean").get_xydata()), [places, measured.mean(0)])
        expected = np.array(places)[marks], measured.mean(0)[marks]
        np.testing.assert_allclose(np.transpose(marked.get_xydata()), expected)
        counted = [f"{study.plain(option)}\n({(chosen == place).sum()})" for place, option in enumerate(options)]
        assert [text.get_text() for text in ax.get_xticklabels()] == counted
    assert last == 0 or line(axes["mse"], "a network diverged").get_xdata().tolist() == places[1:]
    assert axes["bce"].get_ylim() == axes["wide"].get_ylim() != axes["mse"].get_ylim()
    shared = "log" if last else "linear"
    assert [axes[name].get_yscale() for name in ("bce", "wide", "mse")] == [shared, shared, "linear"]


@pytest.mark.parametrize(
    ("values", "splits", "ends"), [(1, 1, (NAN,) * 4), (11, 30, (-0.0011, 0.0009, -0.0006, 0.0004))]
)
def test_differences_show_each_split_and_both_intervals(values: int, splits: int, ends: tuple[float, ...]) -> None:
    found = Difference(-0.0001, *ends, 0.5, splits, 0.95)
    panels = {
        metric: {f"{LONG}{i}": (RNG.normal(0, 0.0003, splits), found) for i in range(values)}
        for metric in ("test accuracy", "log loss", "Brier score")
    }
    axes = draw_panels(figure := study.differences_figure(panels))
    names = ["a split", "95 % interval of the mean", "naive interval, as if splits shared no rows"]
    assert legend_texts(figure) == (names if splits > 1 else names[:1])
    for ax, (metric, rows) in zip(axes, panels.items(), strict=True):
        better = "first" if metric == "test accuracy" else "second"
        assert (ax.get_title(), f"right: the {better} is better" in ax.get_xlabel()) == (metric, True)
        zero, *lines = ax.lines
        assert zero.get_xdata() == [0, 0]
        drawn = np.reshape(np.array(lines, object), (values, -1))
        for (each, _), (dots, *intervals, mean) in zip(rows.values(), drawn, strict=True):
            np.testing.assert_array_equal(dots.get_xdata(), each)
            shown = [interval.get_xdata() for interval in intervals]
            np.testing.assert_array_equal(shown, [ends[:2], ends[2:]] if splits > 1 else [])
            assert splits == 1 or intervals[0].get_linewidth() > intervals[1].get_linewidth()
            assert mean.get_xdata()[0] == -0.0001
        boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
        assert all(one.x1 + 5 < next_one.x0 for one, next_one in pairwise(boxes)), "ticks do not touch each other"


def test_slopes_are_the_gradients_of_the_criteria() -> None:
    z = torch.from_numpy(study.LOGITS[:, None]).requires_grad_()
    (ax,) = draw_panels(study.slopes_figure())
    for drawn, name in zip(ax.lines[:2], ("bce", "mse"), strict=True):
        loss = CRITERIA[name]()(torch.zeros_like(z), torch.sigmoid(z))
        (gradient,) = torch.autograd.grad(loss * len(z), z)
        np.testing.assert_array_equal(drawn.get_xdata(), study.LOGITS)
        np.testing.assert_allclose(drawn.get_ydata(), gradient[:, 0].abs(), rtol=1e-6)
    (top,) = line(ax, "its maximum").get_xydata()
    np.testing.assert_allclose(top, [np.log(2), 8 / 27], atol=0.01)  # where p = 2/3


@pytest.mark.parametrize(
    "answers", [RNG.random((5, 20)), RNG.random((1, 400)), RNG.random((5, 400)), np.ones((5, 400))]
)
def test_an_ensemble_shows_mean_and_disagreement(answers: Any) -> None:
    """Also of one network, and where networks agree everywhere, and have no boundary."""
    rows, is_plane = make_rows(1 if answers.shape[1] == 20 else 2, 9, 0), answers.shape[1] == 400
    scene = lay_scene(np.concatenate(rows), {"training": rows}, 20, FEATURES, CLASSES, LONG * 4)
    left, *others = draw_panels(figure := study.ensemble_figure(answers, scene))
    several = len(answers) > 1
    assert len(others) == several, "one network disagrees with none"
    if not is_plane:
        np.testing.assert_array_equal(line(left, "mean").get_ydata(), answers.mean(0))
        np.testing.assert_array_equal(others[0].lines[0].get_ydata(), answers.std(0))
    for right in others if is_plane else ():
        np.testing.assert_array_equal(right.images[0].get_array(), answers.std(0).reshape(20, 20))
        assert right.images[0].get_extent() == left.images[0].get_extent()
    assert "decision boundary (0.5)" in legend_texts(figure)
    assert ("each network" in legend_texts(figure), "no evidence" in figure.get_suptitle()) == (several, several)
    for ax in left, *others:
        for label, dots in enumerate(artists(ax, PathCollection)):
            assert_dots(dots, rows[label], label)
