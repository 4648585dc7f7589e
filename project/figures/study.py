"""A study's networks: how they learned and were chosen, how compared values differ and why, and where they disagree."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from project.evaluation.differences import Difference
from project.figures.boundary import LINE, Scene, add_bar, draw_answers, draw_cells, draw_line
from project.figures.style import Numbers, add_legend, count_iterations, draw_dots, line_style, new_figure, wrap

SPREAD = "mean over splits, and the middle 80 % of them"
CAUTION = "agreement far from the dots is no evidence: there, networks are as sure and as much of one mind as near them"
LOGITS = np.linspace(-6, 6, 481)


class Tried(Protocol):
    """What was tried for one compared value, and how it did on validation rows."""

    options: list[Any]  # R numbers or texts
    losses: npt.NDArray[np.float64]  # (S, R) in each split; NaN where a network diverged
    chosen: npt.NDArray[np.int64]  # (S,) number of the option that each split chose
    at_edge: bool  # whether better ones may lie beyond
    loss: str  # which one that is; losses of the same one share their axis


def plain(option: Any) -> str:
    return f"{option:g}" if isinstance(option, float) else str(option)


def curves_figure(steps: Numbers, bands: Mapping[str, Mapping[str, Numbers]], lines: Mapping[str, float]) -> Figure:
    """Draw by title and name mean, 10, 50 and 90 % points of splits, (4, V), after iterations (V,); lines at levels."""
    figure, axes = new_figure(1, len(bands), sharey=True)
    for ax, (title, compared) in zip(axes, bands.items(), strict=True):
        for number, (name, (mean, low, _, high)) in enumerate(compared.items()):
            style = line_style(number)
            ax.plot(steps, mean, lw=2, label=wrap(name, 60), marker="." if len(steps) == 1 else "", **style)
            ax.fill_between(steps, low, high, color=style["color"], alpha=0.18, lw=0)
        for number, (name, level) in enumerate(lines.items()):
            ax.axhline(level, color="0.4", lw=1.2, ls=(":", (0, (1, 4)))[number % 2], label=wrap(name, 60))
        ax.set_title(title)
        count_iterations(ax)
    axes[0].set_ylabel(f"accuracy\n({SPREAD})")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def choice_figure(values: Mapping[str, Tried], name: str, measure: str = "validation loss") -> Figure:
    """Draw, by the name of each compared value, the validation loss against the option of some name, and its choice."""
    figure, axes = new_figure(1, len(values))
    first: dict[str, Axes] = {}
    for number, (ax, (value, tried)) in enumerate(zip(axes, values.items(), strict=True)):
        if (other := first.setdefault(tried.loss, ax)) is not ax:
            ax.sharey(other)
        _draw_choice(ax, tried, line_style(number))
        chosen = f"{wrap(name, 60)} (and how many splits chose it)"
        ax.set(title=wrap(value, 50), xlabel=chosen, ylabel=f"{measure} ({tried.loss.upper()})")
        ax.grid(alpha=0.3)
        add_legend(ax, 1)
    return figure


def _draw_choice(ax: Axes, tried: Tried, style: Mapping[str, Any]) -> None:
    options, losses = np.asarray(tried.options), tried.losses
    counts = np.bincount(tried.chosen, minlength=len(options))
    numeric = options.dtype.kind in "iuf"
    places = options if numeric else np.arange(len(options))
    lost, means = np.isnan(losses).any(0), losses.mean(0)
    ax.fill_between(places, *np.quantile(losses, (0.1, 0.9), axis=0), color=style["color"], alpha=0.18, lw=0)
    ax.plot(places, means, marker="o", ms=4, label=SPREAD, **style)
    label = f"chosen{', in half of the splits or more at the edge' if tried.at_edge else ''}"
    ax.plot(places[counts > 0], means[counts > 0], "D", mfc="none", mec="black", ms=11, mew=1.5, label=label)
    if lost.any():
        height, across = np.full(lost.sum(), 0.98), ax.get_xaxis_transform()
        ax.plot(places[lost], height, "kx", label="a network diverged", transform=across, clip_on=False)
    if numeric and options.min() > 0 and options.max() > 10 * options.min():
        ax.set_xscale("log")
    if np.nanmax(means, initial=0) > 10 * np.nanmin(means, initial=np.inf) > 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")  # Powers would need the mathtext that names do without.
        ax.yaxis.set_minor_formatter("")
    names = [f"{wrap(plain(option), 12)}\n({count})" for option, count in zip(options.tolist(), counts, strict=True)]
    ax.set_xticks(places, names)
    ax.xaxis.minorticks_off()


def differences_figure(panels: Mapping[str, Mapping[str, tuple[Numbers, Difference]]]) -> Figure:
    """Draw, by metric and by what is compared, the difference in each split, (S,), and both intervals of its mean."""
    figure, axes = new_figure(1, len(panels), sharey=True)
    for ax, (metric, rows) in zip(axes, panels.items(), strict=True):
        ax.axvline(0, color="0.4", lw=1, ls=":")
        for number, (values, found) in enumerate(rows.values()):
            height, colour = -number, line_style(number)["color"]
            heights = height + 0.12 + 0.16 * (np.arange(len(values)) % 5) / 4  # Equal ones would hide each other.
            ax.plot(values, heights, "o", ms=4, color=colour, alpha=0.7, label="a split")
            if np.isfinite(found.low):
                label, naive = f"{100 * found.level:.3g} % interval of the mean", [found.naive_low, found.naive_high]
                ax.plot([found.low, found.high], [height] * 2, lw=4, color=colour, label=label)
                label = "naive interval, as if splits shared no rows"
                ax.plot(naive, [height - 0.14] * 2, lw=1, color=colour, label=label)
            ax.plot(found.mean, height, "D", mfc="white", mec=colour, ms=7, mew=1.5)
        ax.set_yticks([-number for number in range(len(rows))], [wrap(name, 24) for name in rows])
        ax.set_ylim(-len(rows) + 0.4, 0.6)
        right, left = ("first", "second") if "accuracy" in metric else ("second", "first")
        ax.set(title=metric, xlabel=f"difference (right: the {right} is better, left: the {left})")
        ax.locator_params(axis="x", nbins=5)  # As many as matplotlib takes may touch each other.
    # Where all splits agree, a row has no interval.
    kinds = {label: line for ax in axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend([*kinds.values()], [*kinds], loc="outside lower center", ncols=3)
    return figure


def slopes_figure() -> Figure:
    """Draw |dL/dz| of L = -log(1 - p) and of p² at logits z of class 0; p = sigmoid(z), dp/dz = p (1 - p)."""
    figure, (ax,) = new_figure()
    p = 1 / (1 + np.exp(-LOGITS))
    for number, (name, values) in enumerate({"BCE: p": p, "MSE: 2 p² (1 - p)": 2 * p**2 * (1 - p)}.items()):
        ax.plot(LOGITS, values, lw=2, label=name, **line_style(number))
        top = int(np.argmax(values))
        if top < len(values) - 1:  # That of BCE grows without end.
            label = f"its maximum {values[top]:.2f} at z = {LOGITS[top]:.2f}, p = {p[top]:.2f}"
            ax.plot(LOGITS[top], values[top], "D", mfc="none", mec="black", ms=8, label=label)
    ax.axhline(1, color="0.4", lw=1, ls=":", label="the limit of BCE")
    ax.set(xlabel="logit z of a row of class 0 (the farther right, the more wrong)")
    ax.set(ylabel="|dL/dz|, pull on the logit")
    ax.grid(alpha=0.3)
    add_legend(ax)
    return figure


def ensemble_figure(probabilities: Numbers, scene: Scene) -> Figure:
    """Draw in a scene what M networks answer, (M, n) or (M, n * n), and their mean; beside it where several differ."""
    several = len(probabilities) > 1
    figure, axes = new_figure(1, 1 + several, sharex=True, sharey=scene.is_plane)
    _draw_ensemble(figure, axes[0], probabilities, scene)
    if several:
        _draw_deviation(figure, axes[1], probabilities.std(0), scene)
    classes, names = scene.shown["training"], [wrap(name, 30) for name in scene.class_names]
    for ax, heights in zip(axes, ((-0.05, 1.05), (-0.005, 0.505)), strict=False):
        ax.set(xlabel=wrap(scene.axis_names[0], 60), xlim=scene.axes[0, [0, -1]])
        draw_dots(ax, classes, names, heights, 12 if scene.is_plane else 18, sum(map(len, classes)), "white", True)
    note = f"{wrap(scene.note, 110)}\n{CAUTION}" if several else wrap(scene.note, 70)
    figure.suptitle(note, fontsize="medium")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5 if several else 3)
    return figure


def _draw_ensemble(figure: Figure, ax: Axes, probabilities: Numbers, scene: Scene) -> None:
    mean, each = probabilities.mean(0), probabilities if len(probabilities) > 1 else probabilities[:0]
    ax.set_title("mean over networks" if len(each) else "the network")
    if len(each):
        ax.plot([], [], color="0.35", lw=0.7, label="each network")
    if scene.is_plane:
        for values in each:
            draw_line(ax, scene, values, "0.35", 0.7)
        ax.plot([], [], color="black", lw=2, label=LINE)
        draw_answers(ax, scene, mean)
        add_bar(figure, [ax], scene)
        ax.set(ylabel=wrap(scene.axis_names[1], 60), ylim=scene.axes[1, [0, -1]])
    else:
        ax.plot(scene.axes[0], each.T, color="0.35", lw=0.7)
        for artist, label in zip(draw_answers(ax, scene, mean), (ax.get_title(), LINE), strict=True):
            artist.set_label(label)
        ax.axhline(0.5, color="black", lw=1, ls=":")
        ax.set(ylim=(-0.12, 1.12), ylabel=wrap(scene.probability, 60))


def _draw_deviation(figure: Figure, ax: Axes, deviation: Numbers, scene: Scene) -> None:
    ax.set_title("disagreement of networks")
    if scene.is_plane:
        most = max(0.05, float(deviation.max()))  # Less would make a drama of nothing.
        cells = draw_cells(ax, scene, deviation.reshape(scene.opacity.shape), cmap="viridis", vmin=0, vmax=most)
        figure.colorbar(cells, ax=ax, label="standard deviation of the probability")
    else:
        ax.plot(scene.axes[0], deviation, color="black", lw=2)
        ax.set(ylabel="standard deviation of the probability", ylim=(-0.02, 0.52))
