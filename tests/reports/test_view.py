"""What a model answers in a plane of the features, and which plane is chosen."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from project.data.checks import Moments
from project.errors import InputError
from project.figures.boundary import boundary_figure
from project.figures.evaluation import evaluation_figure
from project.figures.plane import Plane, feature_plane
from project.figures.style import Names, own_style
from project.model import BinaryClassifier
from project.reports import plot, view
from tests.figures.drawing import draw_panels
from tests.figures.test_plane import NAMES, Array, cloud

LONG, ODD = ["c" * 200, "_" + "word " * 40], [r"$5, or \frac{ $x_1$ ^", "__\ntwo"]
WANTED = ("features", "components", "model", "gradients")


def model_of(rows: Array, seed: int = 0) -> Any:
    """Return a model whose answers vary much over rows, which it standardizes."""
    torch.manual_seed(seed)
    model, moments = BinaryClassifier(rows.shape[1]), Moments()
    moments.add(torch.from_numpy(rows))
    model.standardization.take(moments)
    with torch.no_grad():
        model.net.output.weight.mul_(20)
    return model.eval()


def run_of(rows: Array, class_names: Names = ("cats", "dogs"), names: Names = NAMES, **more: Any) -> Any:
    """Return what a picture of rows asks a run for: rows that are training, validation and test ones by turns."""
    parts = {name: [rows[i::6], rows[i + 3 :: 6]] for i, name in enumerate(("train", "val", "test"))}
    classes = SimpleNamespace(dots=parts, rows={name: sum(map(len, each)) for name, each in parts.items()})
    classes.arrays = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    data = SimpleNamespace(classes=classes, feature_names=names[: rows.shape[1]], class_names=class_names)
    return SimpleNamespace(data=lambda: data, options=lambda: {"figures": {}, **more})


def agreement(model: Any, wanted: str, rows: Array) -> float:
    return view.agreement([model], view.choose_plane(wanted, model, rows, NAMES[: rows.shape[1]]), rows)


@pytest.mark.parametrize("j", [1, 2, 30])
def test_answers_in_a_plane_are_those_of_the_model(j: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of bounded size."""
    asked, usual = list[int](), Plane.points
    monkeypatch.setattr(view, "MOST_CELLS", 500)
    monkeypatch.setattr(Plane, "points", lambda self, at: asked.append(len(at)) or usual(self, at))
    model = model_of(rows := cloud(j))
    with torch.no_grad():
        for wanted in WANTED:
            plane = view.choose_plane(wanted, model, rows, NAMES[:j])
            places = np.tile(plane.locate(rows), (4, 1))
            expected = model(usual(plane, places))[:, 0].numpy()
            assert np.ptp(expected) > 0.1
            np.testing.assert_allclose(view.ask_model(model, plane, places), expected, atol=1e-6)
    assert max(asked) * 32 < 1000


def test_agreement_by_hand() -> None:
    """Of the sign of x + y + z, of which the plane of features has z = 0, and that of the model nothing to hide."""
    model = BinaryClassifier(3, hidden_features=1, activation="identity", standardize=False)
    rows = np.array([[1, 1, -3], [1, 1, 0], [-1, -1, 0], [1, -2, 2], [-2, 1, 1.5], [0, 0, -0.5]], np.float32)
    with torch.no_grad():
        for weights, value in zip(model.parameters(), (1, 0, 1, 0), strict=True):
            weights.fill_(value)
        # The model says no, yes, no, yes, yes, no; where z is 0 it would say yes, yes, no, no, no, yes.
        assert view.agreement([model], feature_plane(np.zeros(3), NAMES[:3]), rows) == 2 / 6
        assert agreement(model, "model", rows) == 1
        for_a_deviation = view.slopes(model, rows, torch.logit).mean(0) / rows.std(0)
        np.testing.assert_allclose(for_a_deviation, for_a_deviation.mean(), rtol=1e-6)


def test_gradients_find_the_plane_in_which_a_boundary_bends() -> None:
    """Of sign(x1 x3), a mean slope says nothing; the plane of these two features shows nearly all."""
    rows = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    model = BinaryClassifier(5, hidden_features=4, activation="relu", standardize=False)
    with torch.no_grad():  # The sum of |x1 + x3| and -|x1 - x3| has the sign of x1 x3.
        signs = torch.tensor([[1.0, 1], [-1, -1], [1, -1], [-1, 1]])
        model.net.hidden.weight.zero_()[:, [1, 3]] = signs
        model.net.output.weight.copy_(torch.tensor([[1.0, 1, -1, -1]]))
        model.net.hidden.bias.zero_(), model.net.output.bias.zero_()
        assert agreement(model, "gradients", rows) == agreement(model, "best", rows) > 0.97
        assert max(agreement(model, wanted, rows) for wanted in ("features", "components", "model")) < 0.8


@settings(max_examples=25, deadline=None)
@given(j=st.integers(1, 8), seed=st.integers(0, 10**6), offset=st.sampled_from([0, 1e2, 1e4, 1e6]))
def test_the_best_plane_is_as_good_as_any_and_two_features_hide_nothing(j: int, seed: int, offset: float) -> None:
    """Whichever plane is wanted; and however far from 0 they are, where float32 has few digits."""
    rows = cloud(j, seed=seed) + (offset if j < 3 else 0)
    model = model_of(rows, seed=seed)
    with torch.no_grad():
        best, *each = [agreement(model, wanted, rows) for wanted in ("best", *WANTED)]
    assert best == max(each)
    assert j > 2 or min(each) == 1


def test_the_plane_is_the_configs() -> None:
    """Any other name is an error; the title says how many training rows the colour is right for."""
    rows, planes = cloud(5), set()
    before, model, train = model_of(rows, seed=1), model_of(rows), np.concatenate([rows[::6], rows[3::6]])
    for wanted in ("best", *WANTED):
        run = run_of(rows, figures={"plane": wanted})
        panels, scene = view.ask_models(run, {"before": before, "now": model})
        with torch.no_grad():
            plane = view.choose_plane(wanted, model, train, NAMES[:5])
            share = math.floor(100 * view.agreement([model], plane, train))
            answers = view.ask_model(model, plane, scene.places())
        title = f"now\ncolour is the model's answer at {share} % of the training dots"
        np.testing.assert_array_equal(panels[title], answers)
        others = ", in the plane of the last model" if wanted not in ("features", "components") else ""
        assert next(iter(panels)).startswith(f"before{others}\n"), "a plane that another model has chosen"
        np.testing.assert_allclose(np.concatenate(scene.shown["training"]), plane.locate(train))
        (title,), tested = view.ask_models(run, {"best": before}, ("test",), model)
        assert title.endswith(" % of the test dots")
        np.testing.assert_array_equal(tested.axes, scene.axes, "the same as boundary.png")
        planes.add(tuple(scene.axis_names))
    assert len(planes) == 4
    with pytest.raises(InputError, match=f"figures.plane: other; need one of best, {', '.join(WANTED)}"):
        view.ask_models(run_of(rows, figures={"plane": "other"}), {"now": model})


def test_asking_changes_neither_the_model_nor_random_numbers() -> None:
    """Although during training a model would update its statistics, and drop out values at random."""
    model = model_of(rows := cloud(5)).train()
    model.net.activation = nn.Sequential(model.net.activation, nn.BatchNorm1d(32), nn.Dropout(0.5))
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    view.ask_models(run_of(rows), {"now": model})
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(part.training for part in model.modules())


@pytest.mark.parametrize(("j", "names"), [(1, ODD), (60, LONG)])
def test_names_of_any_kind_leave_every_figure_readable(j: int, names: list[str]) -> None:
    """Neither names nor legend take the panels' room, no name becomes a formula, and the legend tells all classes."""
    rows = cloud(j)
    run, model = run_of(rows, names, [f"{names[i % 2]}{i}" for i in range(j)]), model_of(rows)
    labels, answers = np.repeat([0.0, 1.0], 6), np.linspace(0, 1, 12)
    one, two = {"after 7 iterations": model}, {"before training": model, "after 7 iterations": model}
    with own_style():
        figures = {
            plot.draw_scatter(run): [2] if j == 1 else [2, 2],
            boundary_figure(*view.ask_models(run, two)): [6 if j == 1 else 5],
            boundary_figure(*view.ask_models(run, one, ("test",))): [4 if j == 1 else 3],
            evaluation_figure(labels, answers, None, names, "a title"): [2, 2, 3],
        }
    for figure, entries in figures.items():
        panels = draw_panels(figure)
        legends = [*figure.legends, *(legend for ax in figure.axes if (legend := ax.get_legend()))]
        assert [len(legend.get_texts()) for legend in legends] == entries
        assert all(legend.get_window_extent().width <= figure.bbox.width for legend in legends)
        assert all(ax.bbox.width > 250 and ax.bbox.height > 180 for ax in panels)
