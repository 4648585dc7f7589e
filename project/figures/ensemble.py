"""What several networks decide where, and where they disagree."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from project.figures.boundary import LINE, Classes, Grid, Names, add_bar, draw_line, draw_plane, nearness
from project.figures.style import CLASS_COLOURS, CLASS_MARKERS, Numbers, dot_scale, new_figure, wrap

CAUTION = "agreement far from the dots is no evidence: there, networks are as sure and as much of one mind as near them"
SMALLEST_SCALE = 0.05  # of the deviation: less would make a drama of nothing


def ensemble(
    where: Grid, probabilities: Numbers, shown: Classes, axis_names: Names, class_names: Names, note: str
) -> Figure:
    """Draw the mean probability with every network's 0.5 line, and beside it the deviation over networks.

    Args:
        where: the grid.
        probabilities: (M, n) along the one feature, or (M, n * n) at the grid's places, of class 1.
        shown: where the rows of class 0 and class 1 are seen, (N, 1) or (N, 2).
        axis_names: what is across, and upwards.
        class_names: of class 0 and class 1.
        note: stands above.
    """
    plane = where.y.size > 0
    figure, axes = new_figure(1, 2, sharex=True, sharey=plane)
    mean, deviation = probabilities.mean(0), probabilities.std(0)
    probability = f"probability of {class_names[1]}"
    opacity = nearness(where, np.concatenate(list(shown)))
    if opacity is not None:
        for values in probabilities:
            draw_line(axes[0], where, values, "0.35", 0.7)
        axes[0].plot([], [], color="0.35", lw=0.7, label="of each network")
        axes[0].plot([], [], color="black", lw=2, label=LINE)
        draw_plane(axes[0], where, mean, opacity)
        add_bar(figure, axes[0], probability)
        _draw_deviation(figure, axes[1], deviation.reshape(len(where.y), len(where.x)), where.extent)
    else:
        axes[0].plot(where.x, probabilities.T, color="0.4", lw=0.7)
        axes[0].plot([], [], color="0.4", lw=0.7, label="each network")
        axes[0].plot(where.x, mean, color="black", lw=2, label="mean")
        axes[0].axhline(0.5, color="black", lw=1, ls=":", label=LINE)
        axes[0].set(ylim=(-0.12, 1.12), ylabel=wrap(probability, 60))
        axes[1].plot(where.x, deviation, color="black", lw=2, label="deviation over networks")
        axes[1].set(ylabel="standard deviation of the probability", ylim=(-0.02, 0.52))
    scale = dot_scale(sum(len(places) for places in shown))
    for label, places in enumerate(shown):
        for ax, bottom, top in zip(axes, (-0.05, -0.005), (1.05, 0.505), strict=True):
            heights = places[:, 1] if plane else np.full(len(places), (bottom, top)[label])
            style: dict[str, Any] = {
                "fc": CLASS_COLOURS[label],
                "ec": "white",
                "lw": 0.4 * scale,
                "marker": CLASS_MARKERS[label],
            }
            size = 12 * scale if plane else 18 * scale
            ax.scatter(places[:, 0], heights, size, label=wrap(class_names[label], 30), **style)
    axes[0].set_title("mean over networks")
    axes[1].set_title("disagreement of networks")
    for ax in axes:
        ax.set(xlabel=wrap(axis_names[0], 60), xlim=(where.x[0], where.x[-1]))
    if plane:
        axes[0].set(ylabel=wrap(axis_names[1], 60), ylim=(where.y[0], where.y[-1]))
    figure.suptitle(f"{wrap(note, 110)}\n{CAUTION}", fontsize="medium")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _draw_deviation(figure: Figure, ax: Axes, deviation: Numbers, extent: tuple[float, float, float, float]) -> None:
    scale = Normalize(0, max(SMALLEST_SCALE, float(deviation.max())))
    ax.imshow(deviation, cmap="viridis", norm=scale, extent=extent, origin="lower", aspect="auto")
    bar = ScalarMappable(scale, "viridis")
    figure.colorbar(bar, ax=ax, label="standard deviation of the probability")
