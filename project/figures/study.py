"""What a study found: how its networks learned, which option suits each value best, how the values differ, and why."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from project.figures.style import LINE_COLOURS, Numbers, new_figure, wrap

DASHES = ("-", "--", "-.")  # The colours repeat after 7 lines; then these tell them apart.
SPREAD = "mean over splits, and the middle 80 % of them"
DECADE = 10  # Values that span more are drawn on a logarithmic axis.


class Band(NamedTuple):
    """What was measured in several splits, (V,) each: the mean and the 10, 50 and 90 % points over splits."""

    mean: Numbers
    low: Numbers
    middle: Numbers
    high: Numbers


class Shown(NamedTuple):
    """A difference in each split, (S,), and what follows for its mean: the interval, and the one that is too narrow."""

    label: str
    values: Numbers
    mean: float
    low: float
    high: float
    naive_low: float
    naive_high: float
    level: float  # of both


class Tried(NamedTuple):
    """What was tried for one compared value, and how it did on validation rows."""

    options: Sequence[Any]  # R numbers or texts
    losses: Numbers  # (S, R) in each split; NaN where a network diverged
    chosen: int  # number of the option that was chosen
    at_edge: bool  # whether better ones may lie beyond
    criterion: str  # which loss that is; losses of the same one share their axis


def plain(option: Any) -> str:
    """Return an option's value as a reader would write it."""
    return f"{option:g}" if isinstance(option, float) else str(option)


def line_style(number: int) -> dict[str, Any]:
    """Return how the n-th of several lines is drawn, from 0: no two of 21 look alike."""
    colours = len(LINE_COLOURS)
    return {"color": LINE_COLOURS[number % colours], "ls": DASHES[number // colours % len(DASHES)]}


def curves(steps: Numbers, bands: Mapping[str, Mapping[str, Band]], lines: Mapping[str, float]) -> Figure:
    """Draw what was measured in the course of training, with a band over splits.

    Args:
        steps: (V,) iterations.
        bands: by the panel's title, by the name of what is compared, its band.
        lines: levels by their names, drawn in each panel.
    """
    figure, axes = new_figure(1, len(bands), sharey=True)
    for ax, (title, of_panel) in zip(axes, bands.items(), strict=True):
        for number, (name, band) in enumerate(of_panel.items()):
            style = line_style(number)
            ax.plot(steps, band.mean, lw=2, label=wrap(name, 60), marker="." if len(steps) == 1 else "", **style)
            ax.fill_between(steps, band.low, band.high, color=style["color"], alpha=0.18, lw=0)
        for number, (name, level) in enumerate(lines.items()):
            ax.axhline(level, color="0.4", lw=1.2, ls=(":", (0, (1, 4)))[number % 2], label=wrap(name, 60))
        ax.set(title=title, xlabel="iteration")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel(f"accuracy\n({SPREAD})")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def choice(values: Mapping[str, Tried], name: str) -> Figure:
    """Draw, by the name of each compared value, the validation loss against the option of some name that was chosen."""
    figure, axes = new_figure(1, len(values))
    first: dict[str, Axes] = {}
    for number, (ax, (value, of_value)) in enumerate(zip(axes, values.items(), strict=True)):
        tried, of_splits, criterion = np.asarray(of_value.options), of_value.losses, of_value.criterion
        if criterion in first:
            ax.sharey(first[criterion])
        first.setdefault(criterion, ax)
        numeric = tried.dtype.kind in "iuf"
        places = tried if numeric else np.arange(len(tried))
        lost = np.isnan(of_splits).any(0)
        means, style = np.where(lost, np.nan, of_splits.mean(0)), line_style(number)
        low, high = np.quantile(of_splits, (0.1, 0.9), axis=0)
        ax.fill_between(places, low, high, color=style["color"], alpha=0.18, lw=0)
        ax.plot(places, means, marker="o", ms=4, label=SPREAD, **style)
        best = of_value.chosen
        label = f"chosen: {plain(of_value.options[best])}" + " (at the edge of what was tried)" * of_value.at_edge
        ax.plot(places[best], means[best], "D", mfc="none", mec="black", ms=11, mew=1.5, label=label)
        if lost.any():
            where: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            ax.plot(places[lost], np.full(lost.sum(), 0.98), "x", color="black", label="a network diverged", **where)
        if numeric and tried.min() > 0 and tried.max() > DECADE * tried.min():
            ax.set_xscale("log")
        if np.nanmax(means, initial=0) > DECADE * np.nanmin(means, initial=np.inf) > 0:
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")  # Powers would need the mathtext that names do without.
            ax.yaxis.set_minor_formatter("")
        ax.set_xticks(places, [wrap(plain(option), 12) for option in tried.tolist()])
        ax.xaxis.minorticks_off()
        ax.set(title=wrap(value, 50), xlabel=wrap(name, 60), ylabel=f"validation loss ({criterion.upper()})")
        ax.grid(alpha=0.3)
        ax.legend()
    return figure


def differences(panels: Mapping[str, Sequence[Shown]]) -> Figure:
    """Draw, by the name of a metric, how the compared values differ in it: a dot a split, and both intervals."""
    figure, axes = new_figure(1, len(panels))
    for ax, (metric, rows) in zip(axes, panels.items(), strict=True):
        ax.axvline(0, color="0.4", lw=1, ls=":")
        for number, row in enumerate(rows):
            height, colour = -number, LINE_COLOURS[number % len(LINE_COLOURS)]
            heights = height + 0.12 + 0.16 * (np.arange(len(row.values)) % 5) / 4  # Equal ones would hide each other.
            ax.plot(row.values, heights, "o", ms=4, color=colour, alpha=0.7, label="a split" if not number else "")
            for offset, low, high, width, words in (
                (0, row.low, row.high, 4, f"{100 * row.level:.3g} % interval of the mean"),
                (-0.14, row.naive_low, row.naive_high, 1, "naive interval, as if splits shared no rows"),
            ):
                ax.plot([low, high], [height + offset] * 2, lw=width, color=colour, label=words if not number else "")
            ax.plot(row.mean, height, "D", mfc="white", mec=colour, ms=7, mew=1.5)
        ax.set_yticks([-number for number in range(len(rows))], [wrap(row.label, 20) for row in rows])
        ax.set_ylim(-len(rows) + 0.4, 0.6)
        better = ("the first", "the second") if "accuracy" in metric else ("the second", "the first")
        ax.set(title=metric, xlabel=f"difference (right: {better[0]} is better, left: {better[1]})")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def wrong_label_slopes(logits: Numbers) -> dict[str, Numbers]:
    """Return |dL/dz| of both losses at logits z, (N,), for a row of class 0, whose probability p = sigmoid(z) is wrong.

    Of L = -log(1 - p) it is p; of L = p^2 it is 2 p p (1 - p), because dp/dz = p (1 - p).
    """
    p = 1 / (1 + np.exp(-logits))
    return {"BCE: p": p, "MSE: 2 p² (1 - p)": 2 * p**2 * (1 - p)}


def slopes(logits: Numbers, of_losses: Mapping[str, Numbers]) -> Figure:
    """Draw how strongly each loss, by its name, pulls on the logit of a row of class 0; both are (N,)."""
    figure, (ax,) = new_figure()
    for number, (name, values) in enumerate(of_losses.items()):
        top = int(np.argmax(values))
        ax.plot(logits, values, lw=2, label=wrap(name, 60), **line_style(number))
        if 0 < top < len(values) - 1:
            label = f"its maximum {values[top]:.2f} at z = {logits[top]:.2f}, p = {1 / (1 + np.exp(-logits[top])):.2f}"
            ax.plot(logits[top], values[top], "D", mfc="none", mec="black", ms=8, label=label)
    ax.axhline(1, color="0.4", lw=1, ls=":", label="the limit of BCE")
    ax.set(
        xlabel="logit z of a row of class 0 (the farther right, the more wrong)", ylabel="|dL/dz|, pull on the logit"
    )
    ax.grid(alpha=0.3)
    ax.legend()
    return figure
