"""Densities, counted in parts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from project.figures.density import BINS, bin_edges, density, merge
from project.figures.scatter import scatter
from project.figures.style import to_pixels


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 500), j=st.integers(1, 3), seed=st.integers(0, 9), cuts=st.lists(st.integers(0, 500)))
def test_counts_are_numpys_however_the_rows_are_cut(rows: int, j: int, seed: int, cuts: list[int]) -> None:
    features = np.random.default_rng(seed).normal(size=(rows, j)).astype(np.float32)
    edges = bin_edges(features.min(0) - 0.1, features.max(0) + 0.1)
    counted = density(np.split(features, sorted(cut for cut in cuts if cut < rows)), edges)
    assert counted.rows == rows
    # a value within rounding of an edge may fall on either side of it
    expected, _ = np.histogramdd(features[:, :2].astype(np.float64), edges)
    assert np.abs(counted.counts.T - expected).sum() <= 2
    assert counted.counts.shape == (BINS,) * min(j, 2)


def test_densities_add_up() -> None:
    features = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    edges = bin_edges(features.min(0), features.max(0))
    parts = [density([features[:30]], edges), density([features[30:]], edges)]
    merged = merge(parts)
    np.testing.assert_array_equal(merged.counts, density([features], edges).counts)


def test_contours_lie_where_the_rows_of_their_class_are() -> None:
    rng = np.random.default_rng(0)
    clouds = [rng.normal(centre, 1, (30_000, 2)).astype(np.float32) for centre in (-5, 5)]
    edges = bin_edges(np.array([-10.0, -10.0]), np.array([10.0, 10.0]))
    figure = scatter([density([cloud], edges) for cloud in clouds], ["x", "y"], ["a", "b"])
    to_pixels(figure)
    (ax,) = figure.axes
    for contours, cloud in zip(ax.collections, clouds, strict=True):
        vertices = np.concatenate([path.vertices for path in contours.get_paths()])
        np.testing.assert_allclose(vertices.mean(0), cloud.mean(0), atol=0.5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a (30,000 rows)", "b (30,000 rows)"]
    assert ax.get_title() == "Density of all datapoints"
