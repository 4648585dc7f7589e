"""Which plane shows many features, and where rows are seen in it."""

import numpy as np
import numpy.typing as npt
import pytest

from project.figures.plane import component_plane, feature_plane, name_heaviest

Array = npt.NDArray[np.float64]
NAMES = [f"f{i}" for i in range(60)]


def cloud(j: int, rows: int = 60, seed: int = 0) -> Array:
    """Return correlated rows whose features have means and scales of their own."""
    rng = np.random.default_rng(seed)
    values: Array = rng.normal(size=(rows, j)) @ rng.normal(size=(j, j)) * 10.0 ** (np.arange(j) % 4 - 1) + np.arange(j)
    return values


def svd(centred: Array) -> tuple[Array, Array]:
    """Return the share of the variance and the axis of each component, the largest part of each axis positive."""
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    return sizes**2 / (sizes**2).sum(), axes * np.sign(np.take_along_axis(axes, abs(axes).argmax(1)[:, None], 1))


def test_components_are_those_of_the_svd() -> None:
    """Also of more columns than rows, and of float32."""
    for j, rows, dtype in (5, 60, np.float32), (30, 20, np.float64):
        values = cloud(j, rows).astype(dtype)
        exact = values.astype(np.float64)
        shares, axes = svd(centred := (exact - exact.mean(0)) / exact.std(0))
        plane = component_plane(values, NAMES[:j])
        np.testing.assert_allclose(plane.locate(values), centred @ axes[:2].T, atol=1e-6)
        expected = [f"component {i + 1}, {shares[i]:.0%}" for i in (0, 1)]
        assert [name.split(" of")[0] for name in plane.names] == expected


def test_the_axes_of_a_model_are_its_mean_slope_or_if_it_is_bent_the_active_subspace() -> None:
    """Beside the mean slope it is the first component of what is left; for standardized features, both are orthonormal.

    The subspace is that of the definition: eigenvectors of the mean outer product of the gradients.
    """
    rows, first, slopes = cloud(5), np.arange(5.0) - 1, cloud(5, seed=1)
    centred, unit = (rows - rows.mean(0)) / rows.std(0), first / np.linalg.norm(first)
    expected = np.stack([unit, svd(centred - np.outer(centred @ unit, unit))[1][0]])
    axes = component_plane(rows, NAMES[:5], np.stack([first, first])).readers * rows.std(0)
    np.testing.assert_allclose(axes, expected, atol=1e-9)
    values, vectors = np.linalg.eigh(np.mean([np.outer(slope, slope) for slope in slopes], 0))
    axes = component_plane(rows, NAMES[:5], slopes, is_bent=True).readers * rows.std(0)
    np.testing.assert_allclose(abs(axes @ vectors[:, values.argsort()[:-3:-1]]), np.eye(2), atol=1e-9)


def test_a_place_is_where_its_point_is_seen() -> None:
    """In every kind of plane; in that of features, a row is seen at its own, and points have the means of others."""
    for j in 1, 2, 5:
        rows, names = cloud(j), NAMES[:j]
        places = np.random.default_rng(1).uniform(-1e6, 1e6, (4, min(2, j)))
        features = feature_plane(rows.mean(0), names)
        more = [component_plane(rows, names, first) for first in (None, rows[:1])] if j > 2 else []
        for plane in [features, *more]:
            np.testing.assert_allclose(plane.locate(plane.points(places)), places, rtol=1e-9, atol=1e-6)
        np.testing.assert_array_equal(features.locate(rows), rows[:, :2])
        means = np.broadcast_to(rows.mean(0)[2:], (4, max(0, j - 2)))
        np.testing.assert_array_equal(features.points(places), np.hstack([places, means]))


def test_an_axis_is_named_after_its_heaviest_features() -> None:
    assert name_heaviest(np.array([0.1, -0.9, 0.3, 0.5]), "abcd") == "−\xa0b, +\xa0d, +\xa0c, ..."  # noqa: RUF001
    assert name_heaviest(np.array([0.5, 0.6, -0.1]), "abc") == "+\xa0b, +\xa0a, −\xa0c"  # noqa: RUF001


def test_a_constant_column_changes_nothing() -> None:
    """Although in float64 the deviation of equal values need not be 0; every point has that value."""
    rows, names = np.insert(others := cloud(3, 101), 2, 0.1, 1), NAMES[:4]
    for first, direction in (None, None), (np.array([[1.0, -2, 0, 3]]), np.array([[1.0, -2, 3]])):
        with_it, without = component_plane(rows, names, first), component_plane(others, ["f0", "f1", "f3"], direction)
        np.testing.assert_allclose(with_it.locate(rows), without.locate(others), atol=1e-9)
        assert with_it.points(np.ones((1, 2)))[0, 2] == pytest.approx(0.1, rel=1e-12)
    assert (component_plane(np.ones((9, 4)), names).locate(np.ones((9, 4))) == 0).all()
