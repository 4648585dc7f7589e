"""Lines against the iteration number are the columns that they are drawn from."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_rgb

from project.figures.curves import Curves, accuracy_figure, comparison_figure, loss_figure
from tests.figures.drawing import draw_panels, legend_texts


def assert_lines(ax: Axes, expected: dict[str, tuple[Any, Any]]) -> None:
    """One line for each of the expected ones, in this order and with no other point; no two look alike."""
    assert [line.get_label() for line in ax.lines] == list(expected) == legend_texts(ax)
    for line, values in zip(ax.lines, expected.values(), strict=True):
        np.testing.assert_array_equal(line.get_data(), values)
    assert len({(to_rgb(line.get_color()), line.get_linestyle()) for line in ax.lines}) == len(expected)


def test_loss_and_accuracy_lines_are_the_history() -> None:
    """Of 50 iterations, validated after 20 and 40; guessing's accuracy is a line across, from edge to edge, at 0.5."""
    rng, steps, subsets = np.random.default_rng(0), np.arange(1.0, 51), {"validation": "val", "test": "test"}
    columns: dict[str, Any] = {"step": steps, "train_loss": rng.random(50)}
    for name in ("val_loss", "val_accuracy", "test_loss", "test_accuracy"):
        columns[name] = np.where(steps % 20 == 0, rng.random(50), np.nan)
    losses, accuracies = (
        {name: ([20, 40], columns[f"{subset}_{metric}"][[19, 39]]) for name, subset in subsets.items()}
        for metric in ("loss", "accuracy")
    )
    lowest = int(np.nanargmin(columns["val_loss"]))
    low, best = columns["val_loss"][lowest], columns["val_accuracy"][lowest]
    losses[f"lowest validation loss, {low:.3g} after {lowest + 1}"] = [lowest + 1], [low]
    accuracies[f"at the lowest validation loss: {best:.3g}"] = [lowest + 1], [best]
    (left,) = draw_panels(loss_figure(columns, "mse"))
    assert_lines(left, {"training": (steps, columns["train_loss"]), **losses})
    batches = {"step": np.array([20.0, 40.0]), "train_accuracy": np.array([0.6, 0.7])}
    for more in {}, {"training": ([20, 40], [0.6, 0.7])}:
        (right,) = draw_panels(accuracy_figure(columns, batches if more else None, "their name"))
        assert_lines(right, {**more, **accuracies, "guessing": ([0, 1], [0.5, 0.5])})
    assert (left.get_xlabel(), right.get_xlabel(), right.get_title()) == ("iteration", "iteration", "their name")
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss (MSE)", "accuracy")
    assert right.lines[-1].get_transform() == right.get_yaxis_transform()
    for own, same in zip(left.lines[:-1], right.lines[:-2], strict=True):
        assert same_color(own.get_color(), same.get_color())
    # A line through two points does not tell where they are; one through every iteration needs no marks.
    assert [line.get_marker() for line in left.lines[:2]] == ["", "."]
    early = {name: values[:15] for name, values in columns.items()}  # of a run that was stopped before any validation
    for figure, place in (loss_figure(early, "mse"), 1), (accuracy_figure(early), 0):
        assert len(draw_panels(figure)[0].lines[place].get_xydata()) == 0


def test_noise_is_pale_under_its_mean_and_a_wide_range_is_logarithmic() -> None:
    steps, noise = np.arange(1.0, 501), np.random.default_rng(0).uniform(0.1, 1, 500)
    smooth = {"step": steps, "train_loss": np.exp(-steps / 50), "val_loss": np.where(steps % 20 == 0, 0.5, np.nan)}
    noisy = smooth | {"train_loss": noise, "val_accuracy": smooth["val_loss"]}
    (ax,), (log,) = (draw_panels(loss_figure(columns, "bce")) for columns in (noisy, smooth))
    assert (ax.lines[0].get_alpha(), ax.get_yscale(), log.get_yscale()) == (0.3, "linear", "log")
    np.testing.assert_allclose(ax.lines[2].get_ydata(), [noise[max(0, i - 9) : i + 1].mean() for i in range(500)])
    assert len(log.lines) == 3, "what is smooth needs no mean"
    assert all("$" not in tick.get_text() for tick in log.get_yticklabels())
    (ax,) = draw_panels(accuracy_figure(noisy, {"step": steps, "train_accuracy": noise}))
    assert (ax.lines[0].get_alpha(), ax.lines[1].get_label()) == (0.3, "training, mean of the last 5")


def test_each_metric_has_a_panel_with_a_line_a_run() -> None:
    """More runs than there are colours; their lengths differ, and the last two have metrics of their own."""
    rng, shared, late = np.random.default_rng(0), ["training loss (BCE)", "validation accuracy"], ["test MSE", "F1"]
    runs: dict[str, Curves] = {
        f"run {i}": {title: (np.arange(3.0 + i), rng.random(3 + i)) for title in (shared + late if i > 17 else shared)}
        for i in range(20)
    }
    panels = draw_panels(figure := comparison_figure(runs))
    assert ([ax.get_title() for ax in panels], legend_texts(figure)) == (shared + late, list(runs))
    widths = [line.get_linewidth() for line in panels[0].lines]
    assert widths == sorted(set(widths), reverse=True), "of equal lines each is seen"
    first, *others = [[(line.get_color(), line.get_linestyle()) for line in ax.lines] for ax in panels]
    assert (len(set(first)), others) == (20, [first, first[-2:], first[-2:]])
    for ax in panels:
        curves = [curves[ax.get_title()] for curves in runs.values() if ax.get_title() in curves]
        for line, curve in zip(ax.lines, curves, strict=True):
            np.testing.assert_array_equal(line.get_data(), curve)
