"""Several runs over each other: what they have in common, where they differ, and how they ended."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.errors import InputError, join_words
from project.evaluation.differences import compare_answers
from project.evaluation.estimate import digits, format_interval, format_p
from project.evaluation.metrics import is_right
from project.figures.curves import SUBSETS, Curves, comparison_figure, running_mean, window
from project.figures.style import own_style, to_file
from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.options import flatten
from project.reports.report import Section, pictures, render
from project.runs.checkpoint import rebuild
from project.runs.disk import write_whole
from project.runs.run import RunFolder


def compare(paths: Sequence[Path], output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Print how several runs differ and ended; write comparison.png, comparison.json and report.html into a folder.

    Two runs of the same split that were both tested are also compared row by row. The paths are run folders, or their
    names under lightning_logs; one that is no trained run, or whose test is of another iteration, is an InputError.
    """
    runs = [RunFolder(path, kind) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if not (run.trained and run.config.exists()):
            raise InputError(f"{path}: not the folder of a trained run; name a folder that fit has written")
    names, options = number_equal([str(path) for path in paths]), differing([flatten(run.options()) for run in runs])
    checkpoints = [run.checkpoint() for run in runs]
    first = checkpoints[0]
    facts: dict[str, Any] = {
        "same_split": all(each["fingerprint"] == first["fingerprint"] for each in checkpoints),
        "same_initial_weights": all(same_weights(each["initial"], first["initial"]) for each in checkpoints),
        "runs": [
            {"name": name, "folder": str(run.path), "step": each["global_step"], "options": own, "final": run.final()}
            for name, run, each, own in zip(names, runs, checkpoints, options, strict=True)
        ],
        "paired_test": None,
    }
    same = ["the same" if facts[key] else "different" for key in ("same_split", "same_initial_weights")]
    texts = [f"split: {same[0]}; initial weights: {same[1]}"]
    if facts["same_split"] and len(runs) == 2:
        facts["paired_test"], said = paired_test(runs, names, [each["global_step"] for each in checkpoints])
        texts += said
    with own_style():
        curves = [curves_of(run, checkpoint) for run, checkpoint in zip(runs, checkpoints, strict=True)]
        figure = to_file(comparison_figure(dict(zip(names, curves, strict=True))), "png")
    write_whole(output / "comparison.png", figure)
    write_whole(output / "comparison.json", (json.dumps(facts, indent=2) + "\n").encode())
    header, *rows = tabulate(facts["runs"])
    print_table([[name.rpartition(".")[2] for name in header], *rows])
    print("\n".join(texts))
    figures = pictures(output, {"comparison": "the curves of these runs over each other"})
    section = Section("Comparison", texts, header, rows, figures=figures)
    render(output, f"Comparison of {join_words(names)}", "", [section])
    print(f"written: {output / 'comparison.png'}, comparison.json and report.html")


def number_equal(names: Sequence[str]) -> list[str]:
    """Tell names that are equal apart by a number, as in "a" and "a (2)"."""
    return [f"{name} ({names[:i].count(name) + 1})" if name in names[:i] else name for i, name in enumerate(names)]


def differing(options: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each run's options those that are not the same in all."""
    keys = dict.fromkeys(key for each in options for key in each)
    kept = [key for key in keys if any(each.get(key) != options[0].get(key) for each in options)]
    return [{key: each.get(key) for key in kept} for each in options]


def same_weights(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def paired_test(
    runs: Sequence[RunFolder], names: Sequence[str], steps: Sequence[int]
) -> tuple[dict[str, Any] | None, list[str]]:
    """Compare two runs on the test rows of their split, and say what was found or, if one is untested, what is to do.

    ``steps`` are the iterations of their last checkpoints; a test of another one, or of other rows, is an InputError.
    """
    if not all((run.path / "test_predictions.csv").exists() for run in runs):
        return None, ["python -m project test on both gives the paired test of these two networks"]
    a, b = (run.tested(wanted=step) for run, step in zip(runs, steps, strict=True))
    if not np.array_equal(a.labels, b.labels):
        raise InputError(f"{runs[1].path}: its test is of other rows than that of {runs[0].path}; test both again")
    right_a, right_b = (is_right(each.labels, each.probabilities) for each in (a, b))
    only_a, only_b, (value, low, high, _), test, p = compare_answers(right_a, right_b, a.groups)
    facts = {
        "rows": len(a.labels),
        "right_in_one_only": [only_a, only_b],
        "test": test,
        "p": p,
        "accuracy_difference": value,
        "accuracy_difference_interval": [low, high],
        "speaks_of": "these two networks only",
    }
    only = f"{only_a} that only {names[0]} gets right, {only_b} that only {names[1]} does"
    return facts, [
        f"{len(a.labels)} test rows: {only}; {test}: {format_p(p)}",
        f"test accuracy: {names[0]} - {names[1]} = {format_interval(value, low, high)}",
        "this speaks of these two networks only, not of the options that they differ in; "
        "for those: python -m project study",
    ]


def curves_of(run: RunFolder, checkpoint: dict[str, Any]) -> Curves:
    """Return what a chart shows of a run: each metric from the initial weights on, as far as its data are at hand."""
    columns = run.history()
    steps, losses = columns.pop("step"), columns.pop("train_loss")
    # The loss of an iteration is that of the weights before its update; of mini-batches, single ones hide each other.
    most, criterion = window(len(steps)), checkpoint["hyper_parameters"]["loss"].upper()
    title = f"training loss ({criterion}), mean of the last {most}" if most > 1 else f"training loss ({criterion})"
    curves = {title: (steps - 1, running_mean(losses, most))}
    before = initial_metrics(run, checkpoint, {name.partition("_")[0] for name in columns})
    for name, values in columns.items():
        subset, _, metric = name.partition("_")
        if metric == "loss":  # It is one of the others.
            continue
        there = ~np.isnan(values)
        x, y = steps[there], values[there]
        if name in before:
            x, y = np.insert(x, 0, 0), np.insert(y, 0, before[name])
        curves[f"{SUBSETS[subset]} {metric if metric == 'accuracy' else metric.upper()}"] = x, y
    return curves


@torch.no_grad()
def initial_metrics(run: RunFolder, checkpoint: dict[str, Any], subsets: set[str]) -> dict[str, float]:
    """Return the metrics of the initial weights by their columns, or none if the data are not where they were."""
    try:
        data = run.data(checkpoint)
        held = {subset: getattr(data, subset) for subset in subsets}
    except InputError:
        return {}
    model, found = rebuild(checkpoint, run.kind, checkpoint["initial"]), dict[str, float]()
    for subset, rows in held.items():
        answers = model(rows.features)
        found |= {f"{subset}_{name}": metric(rows.labels, answers).item() for name, metric in METRICS.items()}
    return found


def tabulate(runs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a header, and a row a run: name, iterations, the options that differ, and the last of each metric."""
    columns = list(dict.fromkeys(name for run in runs for name in run["final"]))
    rows = [["run", "step", *runs[0]["options"], *columns]]
    for run in runs:
        final = [digits(run["final"][name]) if name in run["final"] else "-" for name in columns]
        rows.append([run["name"], str(run["step"]), *map(str, run["options"].values()), *final])
    return rows


def print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
