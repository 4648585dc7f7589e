"""The arrays in a study's figures, for few and many values and splits, and for what could not be measured."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.figures.boundary import grid
from project.figures.ensemble import ensemble
from project.figures.study import (
    Band,
    Numbers,
    Shown,
    Tried,
    choice,
    curves,
    differences,
    line_style,
    plain,
    slopes,
    wrong_label_slopes,
)
from project.figures.style import own_style, to_pixels
from project.model.loss import CRITERIA

LONG = "a name of an option that is longer than anyone would want to read it, number "


def drawn(figure: Figure) -> list[Axes]:
    """Draw a figure, which proves that it can be drawn, without a warning; return its axes but for colour bars."""
    with own_style():
        to_pixels(figure)
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def line(ax: Axes, label: str) -> Any:
    (found,) = [each for each in ax.lines if str(each.get_label()).startswith(label)]
    return found


@pytest.mark.parametrize(("values", "steps"), [(1, 1), (2, 50), (12, 50)])
def test_curves_show_means_and_bands(values: int, steps: int) -> None:
    rng, x = np.random.default_rng(0), np.arange(20.0, 20 * steps + 1, 20)
    panels = {
        title: {f"{LONG}{i}": Band(*np.sort(rng.uniform(0.5, 1, (4, steps)), 0)) for i in range(values)}
        for title in ("validation accuracy", "test accuracy")
    }
    axes = drawn(curves(x, panels, {"guessing": 0.5, "no hidden layer": 0.6}))
    for ax, (title, bands) in zip(axes, panels.items(), strict=True):
        assert ax.get_title() == title
        for drawn_line, fill, band in zip(ax.lines, ax.collections, bands.values(), strict=False):
            np.testing.assert_array_equal(np.transpose(drawn_line.get_xydata()), [x, band.mean])
            heights = fill.get_paths()[0].vertices[:, 1]
            assert (heights.min(), heights.max()) == (band.low.min(), band.high.max())
        assert [each.get_ydata()[0] for each in ax.lines[-2:]] == [0.5, 0.6]
    assert len({(str(style["color"]), str(style["ls"])) for style in map(line_style, range(21))}) == 21


@pytest.mark.parametrize(
    ("options", "scale"),
    [([0.25, 1.0, 4.0, 16.0], "log"), ([1.0, 2.0], "linear"), ([3], "linear"), (["tanh", "relu"], "linear")],
)
def test_choice_marks_what_was_chosen_and_says_if_it_is_at_the_edge(options: list[Any], scale: str) -> None:
    losses = np.random.default_rng(0).uniform(0.3, 0.4, (5, len(options)))
    last = len(options) - 1
    values = {"bce": Tried(options, losses, last, True, "bce"), "mse": Tried(options, losses[:1], 0, False, "mse")}
    figure = choice(values, "lr")
    for ax, of_splits, place in zip(drawn(figure), (losses, losses[:1]), (-1, 0), strict=True):
        assert ax.get_xscale() == scale
        x = options if not isinstance(options[0], str) else [0, 1]
        np.testing.assert_allclose(np.transpose(line(ax, "mean").get_xydata()), [x, of_splits.mean(0)])
        marked = line(ax, "chosen")
        np.testing.assert_allclose(marked.get_xydata(), [[x[place], of_splits.mean(0)[place]]])
        assert marked.get_label().startswith(f"chosen: {plain(options[place])}")
        assert ("edge" in marked.get_label()) == (place == -1)
        assert [text.get_text() for text in ax.get_xticklabels()] == [plain(option) for option in options]


@pytest.mark.parametrize("lost", [1, 3])
def test_choice_says_where_a_network_diverged(lost: int) -> None:
    losses = np.array([[0.5, 0.4, 90.0], [0.5, 0.4, 70.0]])
    losses[0, -lost:] = np.nan
    tried = [1.0, 2.0, 40.0]
    (ax,) = drawn(choice({"bce": Tried(tried, losses, 0, True, "bce")}, "lr"))
    assert line(ax, "a network diverged").get_xdata().tolist() == tried[-lost:]


def test_losses_of_one_criterion_share_an_axis_also_a_logarithmic_one() -> None:
    small, large = np.array([[0.001, 0.4], [0.002, 0.4]]), np.array([[0.5, 0.6], [0.5, 0.9]])
    values = {
        name: Tried([1.0, 2.0], losses, 0, True, loss)
        for name, losses, loss in (("a", small, "bce"), ("b", large, "bce"), ("c", large, "mse"))
    }
    for figure in (choice(values, "lr"), choice(dict(reversed(values.items())), "lr")):
        axes = {ax.get_title(): ax for ax in drawn(figure)}
        assert axes["a"].get_ylim() == axes["b"].get_ylim() != axes["c"].get_ylim()
        assert [axes[name].get_yscale() for name in "abc"] == ["log", "log", "linear"]


@pytest.mark.parametrize(("values", "splits"), [(1, 1), (1, 10), (11, 30)])
def test_differences_show_each_split_and_both_intervals(values: int, splits: int) -> None:
    rng = np.random.default_rng(0)
    panels: dict[str, list[Shown]] = {}
    for metric in ("test accuracy", "log loss", "Brier score"):
        for i in range(values):
            ends = [*([np.nan] * 4 if splits == 1 else [-0.1, 0.1, -0.05, 0.05]), 0.95]
            panels.setdefault(metric, []).append(Shown(f"{LONG}{i}", rng.normal(0, 0.1, splits), 0.01, *ends))
    for ax, (metric, rows) in zip(drawn(differences(panels)), panels.items(), strict=True):
        assert ax.get_title() == metric
        better = "right: the first is better" if metric == "test accuracy" else "right: the second is better"
        assert better in ax.get_xlabel()
        lines = ax.lines[1:]
        for i, row in enumerate(rows):
            dots, interval, naive, mean = lines[4 * i : 4 * i + 4]
            np.testing.assert_array_equal(dots.get_xdata(), row.values)
            np.testing.assert_array_equal(interval.get_xdata(), [row.low, row.high])
            np.testing.assert_array_equal(naive.get_xdata(), [row.naive_low, row.naive_high])
            assert interval.get_linewidth() > naive.get_linewidth()
            assert mean.get_xdata()[0] == row.mean
            assert i or interval.get_label() == "95 % interval of the mean"
        assert ax.lines[0].get_xdata() == [0, 0]


def test_slopes_are_the_gradients_of_the_criteria() -> None:
    logits = np.linspace(-6, 6, 25)
    of_losses = wrong_label_slopes(logits)
    z = torch.from_numpy(logits[:, None]).requires_grad_()
    for values, criterion in zip(of_losses.values(), (CRITERIA["bce"](), CRITERIA["mse"]()), strict=True):
        loss = criterion(torch.zeros_like(z), torch.sigmoid(z))
        (gradient,) = torch.autograd.grad(loss * len(z), z)
        np.testing.assert_allclose(values, gradient[:, 0].abs(), rtol=1e-6)
    fine = np.linspace(-6, 6, 481)
    (ax,) = drawn(slopes(fine, wrong_label_slopes(fine)))
    (top,) = line(ax, "its maximum").get_xydata()
    np.testing.assert_allclose(top, [np.log(2), 8 / 27], atol=0.01)  # where p = 2/3


@pytest.mark.parametrize("features", [1, 2])
@pytest.mark.parametrize("networks", [1, 5])
def test_an_ensemble_shows_mean_and_disagreement(features: int, networks: int) -> None:
    where = grid(np.zeros(features), np.ones(features), 20)
    rng = np.random.default_rng(0)
    probabilities: Numbers = rng.uniform(0, 1, (networks, len(where.places())))
    rows = [rng.uniform(0, 1, (9, features)) for _ in range(2)]
    figure = ensemble(where, probabilities, rows, ["x (m)", "y (m)"], ["cats", "dogs"], "five networks")
    mean, disagreement = drawn(figure)
    deviation = probabilities.std(0)
    if features == 1:
        np.testing.assert_array_equal(line(mean, "mean").get_ydata(), probabilities.mean(0))
        np.testing.assert_array_equal(disagreement.lines[0].get_ydata(), deviation)
    else:
        np.testing.assert_array_equal(disagreement.images[0].get_array(), deviation.reshape(20, 20))
        assert disagreement.images[0].get_extent() == mean.images[0].get_extent()
    assert "decision boundary (0.5)" in [text.get_text() for text in figure.legends[0].get_texts()]
    for ax in (mean, disagreement):
        offsets = [np.asarray(dots.get_offsets())[:, 0] for dots in ax.collections if len(dots.get_offsets()) == 9]
        np.testing.assert_array_equal(offsets, [each[:, 0] for each in rows])
    assert "no evidence" in figure.get_suptitle()


@pytest.mark.parametrize("features", [1, 2])
def test_networks_that_agree_everywhere_or_have_no_boundary_are_drawn(features: int) -> None:
    where = grid(np.zeros(features), np.ones(features), 5)
    rows = [np.zeros((1, features)), np.ones((1, features))]
    drawn(ensemble(where, np.full((3, len(where.places())), 0.7), rows, ["x", "y"], ["a", "b"], LONG * 4))
