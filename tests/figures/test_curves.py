"""The lines in the loss and accuracy plots."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from project.figures.curves import accuracy, loss
from project.figures.style import to_pixels
from tests.figures.shown import legend_texts

Column = npt.NDArray[np.float64]
STEPS = 50
VALIDATIONS = [20.0, 40.0]  # The last ten iterations have none.


def history(tests: bool) -> dict[str, Column]:
    """Return 50 iterations as history.csv holds them: the validation columns filled at 20 and 40."""
    rng = np.random.default_rng(0)
    steps = np.arange(1.0, STEPS + 1)
    columns = {"step": steps, "train_loss": rng.random(STEPS)}
    for name in ("val_loss", "val_accuracy", *(("test_loss", "test_accuracy") if tests else ())):
        columns[name] = np.where(steps % 20 == 0, rng.random(STEPS), np.nan)
    return columns


def lines_of(figure: Figure) -> dict[str, Line2D]:
    """Return the only panel's lines by their legend text."""
    (ax,) = figure.axes
    to_pixels(figure)
    lines = {str(line.get_label()): line for line in ax.lines}
    assert len(lines) == len(ax.lines)
    assert legend_texts(ax) == list(lines)
    return lines


def assert_lines(lines: Mapping[str, Line2D], columns: Mapping[str, Column], names: Mapping[str, str]) -> None:
    """The x and y of each line are the filled cells of its column, and nothing else."""
    assert list(lines) == list(names)
    for label, name in names.items():
        cells = zip(columns["step"], columns[name], strict=True)
        expected = [(step, value) for step, value in cells if not math.isnan(value)]
        assert list(zip(*lines[label].get_data(), strict=True)) == expected
        assert len(expected) == (STEPS if name == "train_loss" else len(VALIDATIONS))
    colours = [line.get_color() for line in lines.values()]
    assert not any(same_color(a, b) for i, a in enumerate(colours) for b in colours[:i])


@pytest.mark.parametrize("tests", [False, True])
@pytest.mark.parametrize(("criterion", "label"), [("bce", "loss (BCE)"), ("mse", "loss (MSE)")])
def test_loss_lines_are_the_history(tests: bool, criterion: str, label: str) -> None:
    columns = history(tests)
    figure = loss(columns, criterion)
    names = {"training": "train_loss", "validation": "val_loss"} | ({"test": "test_loss"} if tests else {})
    lines = lines_of(figure)
    assert_lines(lines, columns, names)
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration", label)
    # A line through two points does not tell where they are; one through every iteration needs no marks.
    assert lines["validation"].get_marker() == "."
    assert lines["training"].get_marker() in ("", "None", None)


@pytest.mark.parametrize("tests", [False, True])
def test_accuracy_lines_are_the_history(tests: bool) -> None:
    """And one across at 0.5, what guessing gives; each subset has the colour that it has among the losses."""
    columns = history(tests)
    figure = accuracy(columns)
    lines = lines_of(figure)
    guessing = lines.pop("guessing")
    assert list(np.asarray(guessing.get_ydata())) == [0.5, 0.5]
    assert guessing.get_transform() == figure.axes[0].get_yaxis_transform()  # It goes from edge to edge.
    assert_lines(lines, columns, {"validation": "val_accuracy"} | ({"test": "test_accuracy"} if tests else {}))
    losses = lines_of(loss(columns, "bce"))
    assert all(same_color(line.get_color(), losses[subset].get_color()) for subset, line in lines.items())
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration", "accuracy")


def test_a_run_without_validation_can_be_drawn() -> None:
    """Stopped before iteration 20: its validation columns hold nothing."""
    columns = {name: values[:15] for name, values in history(False).items()}
    for figure in loss(columns, "bce"), accuracy(columns):
        assert len(lines_of(figure)["validation"].get_xydata()) == 0
