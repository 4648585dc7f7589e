"""Where rows lie, counted on a grid: what stands for dots where these would hide each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

MAX_DOTS = 20_000
BINS = 100  # an axis
LEVELS = np.array([0.02, 0.1, 0.3, 0.7])  # of the densest bin

Features = npt.NDArray[np.float32]
Edges = list[npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Density:
    """Counts of rows over the first one or two features.

    Args:
        counts: (BINS,), or (BINS, BINS) with the second feature slower.
        edges: the bins' BINS + 1 edges, of each of the features.
    """

    counts: npt.NDArray[np.int64]
    edges: Edges

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    def draw(self, ax: Axes, colour: str, style: str, label: str) -> None:
        """Draw contours of equal density, over two features."""
        x, y = ((edges[1:] + edges[:-1]) / 2 for edges in self.edges)
        levels = LEVELS if style != ":" else LEVELS[:1]  # dotted lines close together are a blur
        ax.contour(x, y, self.counts, levels * self.counts.max(), colors=colour, linestyles=style, linewidths=1)
        ax.plot([], [], color=colour, ls=style, lw=1, label=f"{label} ({self.rows:,} rows)")


Cloud = Features | Density  # the rows of one class


def bin_edges(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> Edges:
    """Return equal bins from low to high, each (j,), of the first two features."""
    return [np.linspace(a, b if b > a else a + 1, BINS + 1) for a, b in zip(low[:2], high[:2], strict=True)]


def density(parts: Iterable[Features], edges: Edges) -> Density:
    """Count rows, given as parts (n, j) that need not be in memory together."""
    shape = (BINS,) * len(edges)
    counts = np.zeros(BINS ** len(edges), np.int64)
    for features in parts:
        place = np.zeros(len(features), np.int64)
        for column, edge in reversed(list(enumerate(edges))):
            scaled = (features[:, column] - edge[0]) * (BINS / (edge[-1] - edge[0]))
            place = place * BINS + np.clip(scaled.astype(np.int64), 0, BINS - 1)
        counts += np.bincount(place, minlength=len(counts))
    return Density(counts.reshape(shape), edges)


def merge(parts: Sequence[Cloud]) -> Cloud:
    """Put together the features, or the densities over the same bins, of several subsets."""
    densities = [part for part in parts if isinstance(part, Density)]
    if densities:
        return Density(np.sum([part.counts for part in densities], axis=0), densities[0].edges)
    return np.concatenate([part for part in parts if not isinstance(part, Density)])
