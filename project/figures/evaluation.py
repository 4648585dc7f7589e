"""A model's answers for test rows: which it confuses, at which threshold, and how far they can be believed."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.evaluation.area import estimate_area, roc
from project.evaluation.estimate import Estimate, Numbers
from project.evaluation.metrics import Reliability, groups_at, reliability
from project.figures.style import LINE_COLOURS, Names, add_legend, draw_histogram, new_figure, shorten, wrap


def evaluation_figure(
    labels: Numbers, probabilities: Numbers, groups: npt.NDArray[np.int64] | None, class_names: Names, title: str
) -> Figure:
    """Draw confusion matrix, ROC curve, reliability and the probabilities, NaN without an answer, of rows (N,)."""
    figure, axes = new_figure(2, 2)
    _draw_confusion(axes[0], labels, probabilities, class_names)
    area, there = estimate_area(labels, probabilities, groups), ~np.isnan(probabilities)
    if lost := int((~there).sum()):
        title += f"\n{lost:,} of them without an answer: wrong in the matrix's shares, and left out of all else"
    labels, probabilities = labels[there], probabilities[there]
    _draw_roc(axes[1], labels, probabilities, area, class_names)
    condition = "" if groups is None else ", were rows of a group independent"
    found = reliability(labels, probabilities, groups_at(groups, there))
    _draw_reliability(axes[2], found, class_names, condition)
    _draw_histogram(axes[3], labels, probabilities, class_names)
    for ax in axes[1:]:
        ax.set_xlim(-0.02, 1.02)
    figure.suptitle(wrap(title, 120), fontsize="large")
    return figure


def _draw_confusion(ax: Axes, labels: Numbers, probabilities: Numbers, class_names: Names) -> None:
    answers = probabilities < 0.5, probabilities >= 0.5  # A NaN is neither.
    counts = np.array([[((labels == i) & answer).sum() for answer in answers] for i in (0, 1)])
    shares = counts / [[(labels == i).sum()] for i in (0, 1)]
    ax.imshow(shares, cmap="Greys", vmin=0, vmax=1.6)  # The darkest is still pale enough for black on it.
    names = [wrap(name, 20) for name in class_names]
    for i, j in np.ndindex(2, 2):
        cell = f"{counts[i, j]:,}\n{100 * shares[i, j]:.1f} % of\n{names[i]}"
        ax.text(j, i, cell, ha="center", va="center")
    ax.set(title="Confusion matrix", xlabel="answer", ylabel="truth")
    ax.set_xticks([0, 1], names)
    ax.set_yticks([0, 1], names, rotation=90, va="center")


def _draw_roc(ax: Axes, labels: Numbers, probabilities: Numbers, area: Estimate, class_names: Names) -> None:
    found = "unknown" if np.isnan(area.value) else f"{area.value:.3f}"
    known = "" if np.isnan(area.low) else f" [{area.low:.3f}, {area.high:.3f}]"
    both = len(np.unique(labels)) == 2
    across, upwards = roc(labels, probabilities) if both else (labels[:0], labels[:0])
    ax.plot(across, upwards, color="black", lw=2)
    ax.plot([0, 1], [0, 1], color="grey", ls=":", lw=1, label="guessing")
    if both:
        at_half = [(probabilities[labels == label] >= 0.5).mean() for label in (0, 1)]
        ax.plot(*at_half, "o", color=LINE_COLOURS[1], label="threshold 0.5")
    ax.set(title=f"ROC curve (area {found}{known})", xlabel=wrap(f"{class_names[0]} taken for {class_names[1]}", 60))
    ax.set(ylabel=wrap(f"{class_names[1]} found", 40), ylim=(-0.02, 1.02))
    add_legend(ax)


def _draw_reliability(ax: Axes, found: Reliability, class_names: Names, condition: str) -> None:
    there = found.rows > 0
    observed, ends, predicted = found.observed[there], found.ends[there], found.predicted[there]
    ax.plot([0, 1], [0, 1], color="grey", ls=":", lw=1, label="perfectly calibrated")
    bars, label = np.abs(ends.T - observed), "rows of a bin (95 %, Wilson)"
    ax.errorbar(predicted, observed, bars, fmt="o", color="black", capsize=3, label=label)
    for x, y, n in zip(predicted, ends[:, 1], found.rows[there], strict=True):
        ax.annotate(f"{n:,}", (x, y), (0, 3), textcoords="offset points", ha="center", size="small", color="0.3")
    verdict = "unknown" if np.isnan(found.error) else "no miscalibration shown"
    verdict = "miscalibration shown" if found.error > found.calibrated_error else verdict
    bound = f"calibrated models stay below {found.calibrated_error:.3f} in 95 of 100"
    ax.set(title=f"Reliability: {verdict}{condition}\nECE {found.error:.3f}; {bound}")
    ax.set(xlabel=wrap(f"probability of {class_names[1]}, mean of a bin", 60))
    ax.set(ylabel=wrap(f"share of {class_names[1]}", 40), ylim=(-0.02, 1.1))
    add_legend(ax)


def _draw_histogram(ax: Axes, labels: Numbers, probabilities: Numbers, class_names: Names) -> None:
    names, classes = [wrap(name, 20) for name in class_names], [probabilities[labels == label] for label in (0, 1)]
    draw_histogram(ax, classes, names, np.linspace(0, 1, 21))
    ax.axvline(0.5, color="black", ls=":", lw=1, label="threshold 0.5")
    ax.set(title="Probabilities by class", xlabel=wrap(f"probability of {class_names[1]}", 60))
    add_legend(ax, 3)


def importance_figure(names: Names, panels: Mapping[str, Numbers], title: str) -> Figure:
    """Draw by what it is of how important features are, (F, 3): how much, and the ends of its interval or NaN."""
    figure, axes = new_figure(1, len(panels), sharey=True)
    places = -np.arange(len(names))
    for number, (ax, (words, numbers)) in enumerate(zip(axes, panels.items(), strict=True)):
        values, low, high = numbers.T
        ax.axvline(0, color="grey", ls=":", lw=1)
        ax.plot([low, high], [places, places], color=LINE_COLOURS[number], lw=3, alpha=0.5)
        ax.plot(values, places, "o", color=LINE_COLOURS[number])
        ax.set_xlabel(words)
    axes[0].set_yticks(places, [shorten(" ".join(name.split())) for name in names])
    axes[0].set_ylim(-len(names) + 0.4, 0.6)
    figure.suptitle(wrap(title, 120), fontsize="large")
    return figure
