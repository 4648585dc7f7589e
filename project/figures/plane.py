"""Planes that many features are seen in: where they lie, and where on them a row is seen."""

from typing import NamedTuple

import numpy as np

from project.figures.style import Names, Numbers


class Plane(NamedTuple):
    """A plane in the space of j features or, of one feature, a line, with one direction and reader.

    The point (a, b) of it is ``origin + a * directions[0] + b * directions[1]``.
    """

    origin: Numbers  # (j,)
    directions: Numbers  # (2, j)
    centre: Numbers  # (j,)
    readers: Numbers  # (2, j)
    names: Names  # of the axes

    def locate(self, rows: Numbers) -> Numbers:
        """Return where rows (N, j) are seen, float64 (N, 2)."""
        return (rows - self.centre) @ self.readers.T

    def points(self, places: Numbers) -> Numbers:
        """Return the features (N, j) of places (N, 2) in the plane."""
        return self.origin + places @ self.directions


def feature_plane(mean: Numbers, names: Names) -> Plane:
    """Return the plane of the first two features, through the mean (j,) of the others."""
    axes, others = np.eye(min(2, len(mean)), len(mean)), len(mean) - 2
    plural = "" if others == 1 else "s"
    held = f"\n(of the other {others} feature{plural}, the training mean)" if others > 0 else ""
    return Plane(np.where(axes.any(0), 0, mean), axes, np.zeros_like(mean), axes, [names[0] + held, *names[1:2]])


def component_plane(rows: Numbers, names: Names, slopes: Numbers | None = None, is_bent: bool = False) -> Plane:
    """Return the plane of the two principal components of standardized rows (N, j), which has most of their variance.

    Of slopes (N, j), by which a model's answer grows with each standardized feature at some rows, the mean is the first
    axis, and the first component beside it the second. If the model is bent, so that its slopes take turns, the axes
    are the two directions of the largest mean square of them (Constantine 2015, Active Subspaces, chapter 3).
    """
    mean = rows.mean(0, dtype=np.float64)
    # In float64, that of equal values need not be exactly 0.
    deviation = np.where(rows.min(0) < rows.max(0), rows.std(0, dtype=np.float64), 0)
    scale = np.divide(1, deviation, where=deviation > 0, out=np.zeros_like(deviation))
    standard = (rows - mean) * scale
    if slopes is None:
        axes, kind = principal_axes(standard, 2), ("component 1", "component 2")
    elif is_bent:
        axes, kind = principal_axes(slopes, 2), ("the model's steepest direction", "its steepest across that")
    else:
        first = slopes.mean(0)
        axes, kind = first[None] / np.linalg.norm(first), ("the model's direction", "component across it")
        axes = np.concatenate([axes, principal_axes(standard - (standard @ axes.T) @ axes, 1)])
    total = np.square(standard).sum()
    shares = np.square(standard @ axes.T).sum(0) / (total if total else 1)
    words = [f"{name}, {share:.0%} of the variance\n" for name, share in zip(kind, shares, strict=True)]
    described = [text + name_heaviest(axis, names) for text, axis in zip(words, axes, strict=True)]
    return Plane(mean, axes * deviation, mean, axes * scale, described)


def principal_axes(standard: Numbers, count: int) -> Numbers:
    """Return the axes (count, j) of the largest mean squares of rows (N, j), the largest part of each positive.

    Of centred rows these are the principal components.
    """
    is_wide = standard.shape[1] > len(standard)  # The smaller one of the products of rows and of columns is enough.
    axes = np.linalg.eigh(standard @ standard.T if is_wide else standard.T @ standard)[1][:, : -count - 1 : -1].T
    axes = axes @ standard if is_wide else axes
    axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), np.finfo(float).tiny)
    largest = np.abs(axes).argmax(1)
    return np.asarray(axes * np.where(axes[np.arange(len(axes)), largest] < 0, -1, 1)[:, None])


def name_heaviest(axis: Numbers, names: Names) -> str:
    """Name the three features that an axis (j,) is mostly made of, each with its sign."""
    order = np.abs(axis).argsort(kind="stable")[:-4:-1]
    named = [f"{'−' if axis[i] < 0 else '+'}\N{NO-BREAK SPACE}{names[i]}" for i in order]  # noqa: RUF001
    return ", ".join([*named, "..."] if len(names) > len(named) else named)
