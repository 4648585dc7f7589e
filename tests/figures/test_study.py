"""The arrays in a study's figures, for few and many values and splits, and for what could not be measured."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from project.evaluation.differences import Difference
from project.figures import study
from project.figures.boundary import lay_scene
from project.figures.study import LOGITS, Tried, choice_figure, ensemble_figure, plain, wrong_label_slopes
from project.model.loss import CRITERIA
from tests.figures.drawing import CLASSES, artists, assert_dots, draw_panels, legend_texts

LONG = "a name of an option that is longer than anyone would want to read it, number "


def line(ax: Axes, label: str) -> Any:
    (found,) = [each for each in ax.lines if str(each.get_label()).startswith(label)]
    return found


@pytest.mark.parametrize(("values", "steps"), [(1, 1), (12, 50)])
def test_curves_show_means_and_bands(values: int, steps: int) -> None:
    rng, x = np.random.default_rng(0), np.arange(20.0, 20 * steps + 1, 20)
    panels = {
        title: {f"{LONG}{i}": np.sort(rng.uniform(0.5, 1, (4, steps)), 0) for i in range(values)}
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


@pytest.mark.parametrize(
    ("options", "scale"), [([0.25, 1.0, 4.0, 16.0], "log"), ([3], "linear"), (["tanh", "relu"], "linear")]
)
def test_choice_marks_what_was_chosen_and_where_a_network_diverged(options: list[Any], scale: str) -> None:
    """It says if the choice is at the edge; losses of one criterion share an axis, also a logarithmic one."""
    losses, last = np.random.default_rng(0).uniform(0.3, 0.4, (5, len(options))), len(options) - 1
    lost = 2 * losses
    lost[0, 1:] = np.nan
    x = [0, 1] if isinstance(options[0], str) else options
    wide = losses * np.geomspace(1, 1000, len(options))
    values = {
        "bce": Tried(options, losses, last, True, "bce"),
        "mse": Tried(options, lost, 0, False, "mse"),
        "wide": Tried(options, wide, 0, False, "bce"),
    }
    for ordered in values, dict(reversed(values.items())):
        axes = {ax.get_title(): ax for ax in draw_panels(choice_figure(ordered, "lr"))}
        for name, (_, measured, place, at_edge, _) in values.items():
            ax = axes[name]
            assert ax.get_xscale() == scale
            np.testing.assert_allclose(np.transpose(line(ax, "mean").get_xydata()), [x, measured.mean(0)])
            marked = line(ax, f"chosen: {plain(options[place])}")
            np.testing.assert_allclose(marked.get_xydata(), [[x[place], measured.mean(0)[place]]])
            assert ("edge" in marked.get_label()) == at_edge
            assert [text.get_text() for text in ax.get_xticklabels()] == [plain(option) for option in options]
        assert last == 0 or line(axes["mse"], "a network diverged").get_xdata().tolist() == x[1:]
        assert axes["bce"].get_ylim() == axes["wide"].get_ylim() != axes["mse"].get_ylim()
        shared = "log" if last else "linear"
        assert [axes[name].get_yscale() for name in values] == [shared, "linear", shared]


@pytest.mark.parametrize(("values", "splits"), [(1, 1), (11, 30)])
def test_differences_show_each_split_and_both_intervals(values: int, splits: int) -> None:
    rng, nan = np.random.default_rng(0), np.nan
    ends = (nan, nan, nan, nan) if splits == 1 else (-0.1, 0.1, -0.05, 0.05)
    found = Difference(0.01, *ends, 0.5, splits, 0.95)
    panels = {
        metric: {f"{LONG}{i}": (rng.normal(0, 0.1, splits), found) for i in range(values)}
        for metric in ("test accuracy", "log loss", "Brier score")
    }
    for ax, (metric, rows) in zip(draw_panels(study.differences_figure(panels)), panels.items(), strict=True):
        better = "first" if metric == "test accuracy" else "second"
        assert (ax.get_title(), f"right: the {better} is better" in ax.get_xlabel()) == (metric, True)
        zero, *lines = ax.lines
        assert zero.get_xdata() == [0, 0]
        for i, (each, _) in enumerate(rows.values()):
            dots, interval, naive, mean = lines[4 * i : 4 * i + 4]
            np.testing.assert_array_equal(dots.get_xdata(), each)
            np.testing.assert_array_equal([interval.get_xdata(), naive.get_xdata()], [ends[:2], ends[2:]])
            assert interval.get_linewidth() > naive.get_linewidth()
            assert mean.get_xdata()[0] == 0.01
            assert i or interval.get_label() == "95 % interval of the mean"


def test_slopes_are_the_gradients_of_the_criteria() -> None:
    slopes, z = wrong_label_slopes(LOGITS), torch.from_numpy(LOGITS[:, None]).requires_grad_()
    (ax,) = draw_panels(study.slopes_figure())
    for drawn, values, name in zip(ax.lines[:2], slopes.values(), ("bce", "mse"), strict=True):
        loss = CRITERIA[name]()(torch.zeros_like(z), torch.sigmoid(z))
        (gradient,) = torch.autograd.grad(loss * len(z), z)
        np.testing.assert_allclose(values, gradient[:, 0].abs(), rtol=1e-6)
        np.testing.assert_array_equal(np.transpose(drawn.get_xydata()), [LOGITS, values])
    (top,) = line(ax, "its maximum").get_xydata()
    np.testing.assert_allclose(top, [np.log(2), 8 / 27], atol=0.01)  # where p = 2/3


@pytest.mark.parametrize(("features", "networks"), [(1, 5), (2, 1), (2, 5)])
def test_an_ensemble_shows_mean_and_disagreement(features: int, networks: int) -> None:
    """Also where networks agree everywhere, and have no boundary."""
    rng = np.random.default_rng(0)
    rows = [rng.uniform(0, 1, (9, features)).astype(np.float32) for _ in range(2)]
    scene = lay_scene(np.concatenate(rows), {"training": rows}, 20, ["x (m)", "y (m)"], CLASSES, LONG * 4)
    for answers in rng.uniform(0, 1, (networks, 20**features)), np.full((networks, 20**features), 0.7):
        left, right = draw_panels(figure := ensemble_figure(answers, scene))
        if features == 1:
            np.testing.assert_array_equal(line(left, "mean").get_ydata(), answers.mean(0))
            np.testing.assert_array_equal(right.lines[0].get_ydata(), answers.std(0))
        else:
            np.testing.assert_array_equal(right.images[0].get_array(), answers.std(0).reshape(20, 20))
            assert right.images[0].get_extent() == left.images[0].get_extent()
        assert "decision boundary (0.5)" in legend_texts(figure)
        for ax in left, right:
            for label, dots in enumerate(artists(ax, PathCollection)):
                assert_dots(dots, rows[label], label)
        assert "no evidence" in figure.get_suptitle()
