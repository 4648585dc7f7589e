"""What several runs have in common, where they differ, and how they ended."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.errors import InputError, join_words
from project.evaluation.differences import interval, mcnemar, p_value, paired, paired_by_group
from project.evaluation.estimate import digits
from project.evaluation.metrics import right
from project.figures.comparison import Curves, comparison
from project.figures.curves import SUBSETS, running_mean, window
from project.figures.style import own_style, to_file
from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.options import flatten
from project.reports.report import Section, pictures, render
from project.runs.checkpoint import rebuild
from project.runs.disk import write_whole
from project.runs.run import RunFolder

THESE_ONLY = (
    "this speaks of these two networks only, not of the options that they differ in; for those: python -m project study"
)


def compare(paths: Sequence[Path], output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Print a table of what differs and of the final numbers; write comparison.png and comparison.json into a folder.

    Two runs of the same split that were both tested are also compared row by row. The paths are run folders, or their
    names under lightning_logs; one that is no trained run, or whose test is of another iteration, is an InputError.
    """
    runs = [RunFolder(path, kind) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if not (run.trained and run.config.exists()):
            raise InputError(f"{path}: not the folder of a trained run; name a folder that fit has written")
    names = number_equal([str(path) for path in paths])
    options = differences([flatten(run.options()) for run in runs])
    checkpoints = [run.checkpoint() for run in runs]
    first = checkpoints[0]
    same_split = all(each["fingerprint"] == first["fingerprint"] for each in checkpoints)
    is_pair = same_split and len(runs) == 2
    test = paired_test(runs, [each["global_step"] for each in checkpoints]) if is_pair else None
    report = {
        "same_split": same_split,
        "same_initial_weights": all(same_weights(each["initial"], first["initial"]) for each in checkpoints),
        "runs": [
            {
                "name": name,
                "folder": str(run.path),
                "step": checkpoint["global_step"],
                "options": differing,
                "final": run.final(),
            }
            for name, run, checkpoint, differing in zip(names, runs, checkpoints, options, strict=True)
        ],
        "paired_test": test,
    }
    curves = [curves_of(run, checkpoint) for run, checkpoint in zip(runs, checkpoints, strict=True)]
    with own_style():
        figure = comparison(dict(zip(names, curves, strict=True)))
        write_whole(output / "comparison.png", to_file(figure, "png"))
    write_whole(output / "comparison.json", (json.dumps(report, indent=2) + "\n").encode())
    said = words_of(test, names) if is_pair else ""
    print("\n".join(filter(None, [format_table(report), said])))
    tell(output, report, said)
    print(f"written: {output / 'comparison.png'}, comparison.json and report.html")


def tell(output: Path, report: Mapping[str, Any], said: str) -> None:
    """Write report.html from what is in comparison.json, and what was printed of a paired test."""
    runs = report["runs"]
    names = list(dict.fromkeys(name for run in runs for name in (*run["options"], *run["final"])))
    facts = [run["options"] | {name: digits(value) for name, value in run["final"].items()} for run in runs]
    rows = [
        (run["name"], run["step"], *(each.get(name, "") for name in names))
        for run, each in zip(runs, facts, strict=True)
    ]
    texts = [same_words(report), *said.splitlines()]
    section = Section(
        "Comparison",
        texts,
        ("run", "iterations", *names),
        rows,
        figures=pictures(output, {"comparison": "the curves of these runs over each other"}),
    )
    render(output, f"Comparison of {join_words([run['name'] for run in runs])}", "", [section])


def same_words(report: Mapping[str, Any]) -> str:
    same = ["the same" if report[key] else "different" for key in ("same_split", "same_initial_weights")]
    return f"split: {same[0]}; initial weights: {same[1]}"


def number_equal(names: Sequence[str]) -> list[str]:
    """Tell names that are equal apart by a number, as in "a" and "a (2)"."""
    return [name + f" ({names[: i + 1].count(name)})" * (name in names[:i]) for i, name in enumerate(names)]


def differences(options: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each run's options those that are not the same in all."""
    keys = dict.fromkeys(key for each in options for key in each)
    differing = [key for key in keys if any(each.get(key) != options[0].get(key) for each in options)]
    return [{key: each.get(key) for key in differing} for each in options]


def same_weights(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def paired_test(runs: Sequence[RunFolder], steps: Sequence[int]) -> dict[str, Any] | None:
    """Compare two runs on the test rows of their split, or return None if one of them was not tested.

    ``steps`` are the iterations of their last checkpoints; a test of another one, or of other rows, is an InputError.
    """
    if not all((run.path / "test_predictions.csv").exists() for run in runs):
        return None
    a, b = (run.tested(wanted=step) for run, step in zip(runs, steps, strict=True))
    if not np.array_equal(a.labels, b.labels):
        raise InputError(f"{runs[1].path}: its test is of other rows than that of {runs[0].path}; test both again")
    of_a, of_b = (right(each.labels, each.probabilities) for each in (a, b))
    only_a, only_b, p = mcnemar(of_a, of_b)
    difference, low, high = paired(of_a, of_b)
    test = "exact McNemar test"
    if a.groups is not None:
        difference, low, high, p = paired_by_group(of_a, of_b, a.groups)
        test = f"t test over {len(np.unique(a.groups))} groups"
    return {
        "rows": len(of_a),
        "right_in_one_only": [only_a, only_b],
        "test": test,
        "p": p,
        "accuracy_difference": difference,
        "accuracy_difference_interval": [low, high],
        "speaks_of": "these two networks only",
    }


def words_of(found: Mapping[str, Any] | None, names: Sequence[str]) -> str:
    """Say what a paired test of two networks found, or how to get one."""
    if found is None:
        return "python -m project test on both gives the paired test of these two networks"
    (only_a, only_b), difference = found["right_in_one_only"], found["accuracy_difference"]
    numbers = interval(difference, *found["accuracy_difference_interval"])
    return (
        f"{found['rows']} test rows: {only_a} that only {names[0]} gets right, {only_b} that only {names[1]} does; "
        f"{found['test']}: {p_value(found['p'])}\n"
        f"test accuracy: {names[0]} - {names[1]} = {numbers}\n{THESE_ONLY}"
    )


def curves_of(run: RunFolder, checkpoint: dict[str, Any]) -> Curves:
    """Return what a chart shows of a run: each metric from the initial weights on, as far as its data are at hand."""
    columns, loss = run.history(), checkpoint["hyper_parameters"]["loss"]
    steps = columns.pop("step")
    # The loss of an iteration is that of the weights before its update; of mini-batches, single ones hide each other.
    most = window(len(steps))
    title = f"training loss ({loss.upper()}){f', mean of the last {most}' if most > 1 else ''}"
    curves = {title: (steps - 1, running_mean(columns.pop("train_loss"), most))}
    before = initial(run, checkpoint, {name.partition("_")[0] for name in columns})
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


def initial(run: RunFolder, checkpoint: dict[str, Any], subsets: Iterable[str]) -> dict[str, float]:
    """Return the metrics of the initial weights by their columns, or none if the data are not where they were."""
    try:
        data = run.data(checkpoint)
        held = {subset: getattr(data, subset) for subset in subsets}
    except InputError:
        return {}
    model, found = rebuild(checkpoint, run.kind, checkpoint["initial"]), dict[str, float]()
    with torch.no_grad():
        for subset, rows in held.items():
            answers = model(rows.features)
            found |= {f"{subset}_{name}": metric(rows.labels, answers).item() for name, metric in METRICS.items()}
    return found


def format_table(report: Mapping[str, Any]) -> str:
    runs = report["runs"]
    options, columns = list(runs[0]["options"]), dict.fromkeys(column for run in runs for column in run["final"])
    rows = [["run", "step", *(name.rpartition(".")[2] for name in options), *columns]]
    for run in runs:
        finals = [digits(run["final"][column]) if column in run["final"] else "-" for column in columns]
        rows.append([run["name"], str(run["step"]), *(str(run["options"][name]) for name in options), *finals])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, same_words(report)])
