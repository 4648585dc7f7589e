"""Which plane shows many features, where rows are seen in it, and what a model answers there."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from project.errors import InputError
from project.figures import plane as module
from project.figures.plane import Plane, components, heaviest, of_components, of_features
from project.model import BinaryClassifier, NNet
from project.reports import plot, view

Array = npt.NDArray[np.float64]
NAMES = [f"f{i}" for i in range(60)]
WANTED = ("features", "components", "model")


def cloud(j: int, rows: int = 60, seed: int = 0) -> Array:
    """Return correlated rows whose features have means and scales of their own."""
    rng = np.random.default_rng(seed)
    values: Array = rng.normal(size=(rows, j)) @ rng.normal(size=(j, j)) * 10.0 ** (np.arange(j) % 4 - 1) + np.arange(j)
    return values


def standardized(rows: Array) -> Array:
    result: Array = (rows - rows.mean(0)) / rows.std(0)
    return result


def svd(centred: Array) -> tuple[Array, Array]:
    """Return the share of the variance and the axis of each component, the largest part of each axis positive."""
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    return sizes**2 / (sizes**2).sum(), axes * np.sign(np.take_along_axis(axes, abs(axes).argmax(1)[:, None], 1))


def planes(j: int) -> list[Plane]:
    """Return each kind of plane there is of j features."""
    rows = cloud(j)
    first = of_features(rows.mean(0), NAMES[:j])
    return [first] if j < 3 else [first, of_components(rows, NAMES[:j]), of_components(rows, NAMES[:j], rows[0])]


class Bounded(NNet):
    """A network that begins with something else than its hidden layer."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(nn.functional.normalize(features))


class Odd(BinaryClassifier):
    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.net = Bounded(num_features)


class Noisy(BinaryClassifier):
    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.net.activation = nn.Sequential(self.net.activation, nn.BatchNorm1d(32), nn.Dropout(0.5))


def model_of(rows: Array, kind: Callable[[int], BinaryClassifier] = BinaryClassifier, seed: int = 0) -> Any:
    """Return a model whose answers vary much over rows, which it standardizes."""
    torch.manual_seed(seed)
    model: Any = kind(rows.shape[1])
    model.standardization.take(torch.from_numpy(rows.mean(0)), torch.from_numpy(rows.std(0)))
    with torch.no_grad():
        model.net.output.weight.mul_(20)
    return model.eval()


def run_of(rows: Array, **options: Any) -> Any:
    """Return what a boundary asks a run for: rows that are training, validation and test ones by turns."""
    parts = {name: [rows[i::6], rows[i + 3 :: 6]] for i, name in enumerate(("train", "val", "test"))}
    counts = {name: sum(map(len, classes)) for name, classes in parts.items()}
    classes, names = SimpleNamespace(dots=parts, rows=counts), NAMES[: rows.shape[1]]
    data = SimpleNamespace(classes=classes, feature_names=names, class_names=["cats", "dogs"])
    return SimpleNamespace(data=lambda: data, options=lambda: options)


@pytest.mark.parametrize(("j", "rows", "most"), [(5, 60, 1000), (30, 20, 1000), (30, 20, 20)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_are_those_of_the_svd(
    j: int, rows: int, most: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of more columns than a square matrix may have."""
    monkeypatch.setattr(module, "MOST_SQUARE", most)
    values = cloud(j, rows).astype(dtype)
    shares, axes = svd(centred := standardized(values.astype(np.float64)))
    np.testing.assert_allclose(components(centred, 2), axes[:2], atol=1e-7)
    plane = of_components(values, NAMES[:j])
    np.testing.assert_allclose(plane.seen(values), centred @ axes[:2].T, atol=1e-6)
    assert [name.split(" of")[0] for name in plane.names] == [f"component {i + 1}, {shares[i]:.0%}" for i in (0, 1)]


def test_a_given_direction_is_the_first_axis() -> None:
    """The second is the first component of what is left; for standardized features, both are orthonormal."""
    rows = cloud(5)
    first, centred = np.arange(5.0) - 1, standardized(rows)
    plane = of_components(rows, NAMES[:5], first)
    axes = plane.readers * rows.std(0)
    unit = first / np.linalg.norm(first)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(axes[0], unit, atol=1e-12)
    np.testing.assert_allclose(axes[1], svd(centred - np.outer(centred @ unit, unit))[1][0], atol=1e-9)


@pytest.mark.parametrize("j", [1, 2, 5])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_place_is_where_its_point_is_seen(j: int, data: st.DataObject) -> None:
    """In every kind of plane; in that of features, a row is seen at its own, and points have the means of others."""
    places = data.draw(arrays(np.float64, (4, min(2, j)), elements=st.floats(-1e6, 1e6)))
    for plane in planes(j):
        np.testing.assert_allclose(plane.seen(plane.points(places)), places, rtol=1e-9, atol=1e-6)
    features, rows = planes(j)[0], cloud(j)
    np.testing.assert_array_equal(features.seen(rows), rows[:, :2])
    np.testing.assert_array_equal(features.points(places)[:, :2], places)
    np.testing.assert_array_equal(features.points(places)[:, 2:], np.broadcast_to(rows.mean(0)[2:], (4, max(0, j - 2))))


def test_an_axis_is_named_after_its_heaviest_features() -> None:
    assert heaviest(np.array([0.1, -0.9, 0.3, 0.5]), "abcd").replace("\xa0", " ") == "− b, + d, + c, ..."  # noqa: RUF001
    assert heaviest(np.array([0.5, 0.6, -0.1]), "abc").replace("\xa0", " ") == "+ b, + a, − c"  # noqa: RUF001


@pytest.mark.parametrize("value", [0.1, -1e6, 0.0])
@pytest.mark.parametrize("first", [None, np.array([1.0, -2, 0, 3])])
def test_a_constant_column_changes_nothing(value: float, first: Array | None) -> None:
    """Although in float64 the deviation of equal values need not be 0; every point has that value."""
    rows = cloud(4, 101)
    others, direction = np.delete(rows, 2, 1), None if first is None else np.delete(first, 2)
    rows[:, 2] = value
    with_it, without = of_components(rows, NAMES[:4], first), of_components(others, ["f0", "f1", "f3"], direction)
    np.testing.assert_allclose(with_it.seen(rows), without.seen(others), atol=1e-9)
    assert with_it.points(np.ones((1, 2)))[0, 2] == pytest.approx(value, rel=1e-12)
    assert (of_components(np.ones((9, 4)), NAMES[:4]).seen(np.ones((9, 4))) == 0).all()


@pytest.mark.parametrize("kind", [BinaryClassifier, Odd])
@pytest.mark.parametrize("j", [1, 2, 5, 30])
def test_answers_in_a_plane_are_those_of_the_model(
    j: int, kind: type[BinaryClassifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts of bounded size; a network of many features is asked by two coordinates if its hidden layer is first."""
    asked, usual = list[int](), Plane.points
    monkeypatch.setattr(view, "MOST_CELLS", 500)
    places, rows = np.random.default_rng(1).normal(size=(200, min(j, 2))), cloud(j)
    model, wanted = model_of(rows, kind), WANTED if j > 2 else ("features",)
    with torch.no_grad():
        for plane in [view.choose_plane(name, model, rows, NAMES[:j]) for name in wanted]:
            inside = plane.seen(rows).std(0) * places + plane.seen(rows).mean(0)
            expected = model(usual(plane, inside))[:, 0].numpy()
            assert np.ptp(expected) > 0.1
            monkeypatch.setattr(Plane, "points", lambda self, at: asked.append(len(at)) or usual(self, at))
            np.testing.assert_allclose(view.answers_in(plane, model, inside), expected, atol=1e-5)
            monkeypatch.setattr(Plane, "points", usual)
    assert (sum(asked) < 40 * len(wanted)) == (kind is BinaryClassifier and j > 2)
    assert max(asked) * 32 < 1000 + 32 * view.SAMPLED * (j > 2)


def test_agreement_by_hand() -> None:
    """Of the sign of x + y + z, of which the plane of features has z = 0, and that of the model nothing to hide."""
    model = BinaryClassifier(3, hidden_features=1, activation="identity", standardize=False)
    rows = np.array([[1, 1, -3], [1, 1, 0], [-1, -1, 0], [1, -2, 2], [-2, 1, 1.5], [0, 0, -0.5]], np.float32)
    with torch.no_grad():
        for weights, value in zip(model.parameters(), (1, 0, 1, 0), strict=True):
            weights.fill_(value)
        # The model says no, yes, no, yes, yes, no; where z is 0 it would say yes, yes, no, no, no, yes.
        assert view.agreement(model, of_features(np.zeros(3), NAMES[:3]), rows) == 2 / 6
        assert view.agreement(model, view.choose_plane("model", model, rows, NAMES[:3]), rows) == 1
        for_a_deviation = view.direction(model, rows) / rows.std(0)
        np.testing.assert_allclose(for_a_deviation, for_a_deviation.mean(), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(j=st.integers(3, 8), seed=st.integers(0, 10**6))
def test_the_best_plane_is_as_good_as_any(j: int, seed: int) -> None:
    rows = cloud(j, seed=seed)
    model = model_of(rows, seed=seed)
    with torch.no_grad():
        best, *each = [
            view.agreement(model, view.choose_plane(name, model, rows, NAMES[:j]), rows) for name in ("best", *WANTED)
        ]
    assert best == max(each)


@settings(max_examples=25, deadline=None)
@given(j=st.integers(1, 2), seed=st.integers(0, 10**6), offset=st.sampled_from([0, 1e2, 1e4, 1e6]))
def test_two_features_hide_nothing(j: int, seed: int, offset: float) -> None:
    """Whichever plane is wanted; and however far from 0 they are, where float32 has few digits."""
    rows = cloud(j, seed=seed) + offset
    with torch.no_grad():
        model = model_of(rows, seed=seed)
        for wanted in ("best", *WANTED):
            assert view.agreement(model, view.choose_plane(wanted, model, rows, NAMES[:j]), rows) == 1


def test_the_plane_is_the_configs() -> None:
    """Any other name is an error; the title says how many training rows the colour is right for."""
    rows, labels = cloud(5), set()
    model, train = model_of(rows), np.concatenate([rows[::6], rows[3::6]])
    for wanted in ("best", *WANTED):
        with torch.no_grad():
            plane = view.choose_plane(wanted, model, train, NAMES[:5])
            agreement = view.agreement(model, plane, train)
        ax, _ = plot.draw_models(run_of(rows, figures={"plane": wanted}), {"now": model}).axes
        labels.add(ax.get_xlabel())
        assert ax.get_xlabel() == plane.names[0]
        share = math.floor(100 * agreement)
        assert ax.get_title() == f"now\ncolour is the model's answer at {share} % of the training dots"
        seen = np.concatenate([dots.get_offsets() for dots in ax.collections[:2]])
        np.testing.assert_allclose(seen, plane.seen(train))
    assert len(labels) == 3
    with pytest.raises(InputError, match=r"figures.plane: other; need one of best, features, components, model"):
        plot.draw_models(run_of(rows, figures={"plane": "other"}), {"now": model})


def test_a_picture_changes_neither_the_model_nor_random_numbers() -> None:
    """Although during training a model would update its statistics, and drop out values at random."""
    rows = cloud(5)
    model = model_of(rows, Noisy).train()
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    plot.draw_models(run_of(rows), {"now": model})
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(part.training for part in model.modules())
