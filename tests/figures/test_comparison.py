"""The lines in the comparison of runs."""

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.figures.comparison import PANELS, Curves, comparison
from project.figures.style import to_pixels

Line = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
VALIDATION = {
    "validation accuracy": "val_accuracy",
    "validation BCE": "val_bce",
    "validation MSE": "val_mse",
}
WITH_TEST = {
    "validation accuracy": "val_accuracy",
    "test accuracy": "test_accuracy",
    "validation BCE": "val_bce",
    "validation MSE": "val_mse",
}


def run(seed: int, columns: list[str], validations: int = 5) -> Curves:
    """Return a run with those columns, and with train_loss and val_loss, which are not compared."""
    rng = np.random.default_rng(seed)
    steps = np.arange(20.0, 20 * validations + 1, 20)
    return {name: (steps, rng.random(validations)) for name in ["train_loss", "val_loss", *columns]}


def panels_of(figure: Figure) -> dict[str, Axes]:
    to_pixels(figure)
    panels = {ax.get_title(): ax for ax in figure.axes}
    assert len(panels) == len(figure.axes)
    return panels


def assert_lines(ax: Axes, column: str, runs: dict[str, Curves]) -> None:
    """One line for each run that has the column, and no other."""
    having = {name: curves[column] for name, curves in runs.items() if column in curves}
    assert [line.get_label() for line in ax.lines] == list(having)
    for line, (steps, values) in zip(ax.lines, having.values(), strict=True):
        x, y = line.get_data()
        np.testing.assert_array_equal(x, steps)
        np.testing.assert_array_equal(y, values)


@pytest.mark.parametrize("expected", [VALIDATION, WITH_TEST])
def test_a_line_a_run_and_metric(expected: dict[str, str]) -> None:
    """In a panel for each metric, by its title; runs may differ in length."""
    runs = {f"seed {i}": run(i, list(expected.values()), 3 + i) for i in range(3)}
    figure = comparison(runs)
    panels = panels_of(figure)
    assert list(panels) == list(expected)
    for title, column in expected.items():
        assert_lines(panels[title], column, runs)
        assert panels[title].get_xlabel() == "iteration"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(runs)


def test_one_metric_gives_one_panel() -> None:
    panels = panels_of(comparison({name: run(i, ["val_accuracy"]) for i, name in enumerate("ab")}))
    assert list(panels) == ["validation accuracy"]


def test_a_panel_for_each_metric_that_any_run_has() -> None:
    """Only one of the two runs recorded the test subset: its line is alone in that panel, in its own colour."""
    runs = {"without": run(0, list(VALIDATION.values())), "with": run(1, list(WITH_TEST.values()))}
    panels = panels_of(comparison(runs))
    assert list(panels) == list(WITH_TEST)
    for title, column in WITH_TEST.items():
        assert_lines(panels[title], column, runs)
    (alone,) = panels["test accuracy"].lines
    assert alone.get_color() == panels["validation accuracy"].lines[1].get_color()


def test_each_run_looks_the_same_in_every_panel_and_unlike_the_others() -> None:
    """Twenty runs, more than there are colours."""
    runs = {f"run {i}": run(i, list(PANELS.values())) for i in range(20)}
    looks = [
        [(line.get_color(), line.get_linestyle()) for line in ax.lines] for ax in panels_of(comparison(runs)).values()
    ]
    assert len(looks) == len(PANELS)
    assert all(look == looks[0] for look in looks)
    assert len(set(looks[0])) == 20
