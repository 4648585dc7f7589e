"""Several runs over each other: what they have in common, where they differ, and how they ended."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.errors import InputError, join_words
from project.evaluation.differences import compare_answers, compare_probabilities
from project.evaluation.estimate import align, digits, format_interval, format_p, to_json
from project.evaluation.metrics import WORDS, is_right
from project.figures.curves import SUBSETS, Curves, comparison_figure, running_mean, window
from project.figures.style import own_style, shorten, to_file
from project.model import BinaryClassifier
from project.options import flatten
from project.reports.page import Section, pictures, render
from project.runs.disk import write_whole
from project.runs.run import RunFolder


def compare(paths: Sequence[Path], output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Print how runs, by folder or name, differ and ended; write comparison.png, comparison.json and report.html."""
    runs = {str(path): RunFolder(path, kind) for path in paths}
    for name, run in runs.items():
        if not (run.trained and run.config.exists()):
            raise InputError(f"{name}: not the folder of a trained run; name a folder that fit has written")
    options = [options_of(run) for run in runs.values()]
    names = dict.fromkeys(chain(*options))
    differing = [name for name in names if any(each.get(name) != options[0].get(name) for each in options)]
    options = [{name: each.get(name) for name in differing} for each in options]
    checkpoints = [run.checkpoint() for run in runs.values()]
    steps, splits, initial = ([each[key] for each in checkpoints] for key in ("global_step", "fingerprint", "initial"))
    facts: dict[str, Any] = {
        "same_split": all(split == splits[0] for split in splits),
        "same_initial_weights": all(same_tensors(weights, initial[0]) for weights in initial),
        "runs": [
            {"name": name, "folder": str(run.path), "step": step, "options": own, "final": run.final()}
            for (name, run), step, own in zip(runs.items(), steps, options, strict=True)
        ],
        "paired_test": None,
    }
    same = ["the same" if facts[key] else "different" for key in ("same_split", "same_initial_weights")]
    texts = [f"split: {same[0]}; initial weights: {same[1]}"]
    if facts["same_split"] and len(runs) == 2:
        if all((run.path / "test_predictions.csv").exists() for run in runs.values()):
            facts["paired_test"], said = paired_test(runs, steps)
            texts += said
        else:
            texts.append("python -m project test on both gives the paired test of these two networks")
    with own_style():
        figure = to_file(comparison_figure({name: curves_of(run) for name, run in runs.items()}), "png")
    write_whole(output / "comparison.png", figure)
    write_whole(output / "comparison.json", (json.dumps(facts, indent=2) + "\n").encode())
    header, *rows = tabulate(facts["runs"])
    print("\n".join([align([header, *rows]), *texts]))
    figures = pictures(output, {"comparison": "the curves of these runs over each other"})
    title = f"Comparison of {join_words(list(runs))}"
    render(output, title, "", {"Comparison": Section(texts, header, rows, figures)})
    print(f"written: {output / 'comparison.png'}, comparison.json and report.html")


def options_of(run: RunFolder) -> dict[str, Any]:
    """Return a run's options by their full names, with the optimizer and the rates that it used as one each."""
    options, (optimizer, rates) = {**flatten(run.options()), **run.changed_options()}, run.optimizer()
    parts = re.compile(r"(model|optimizer)\.lr$|class_path|init_args")
    own = {name: value for name, value in options.items() if not parts.search(name)}
    return own | {"optimizer": optimizer, "lr": rates[0] if len(rates) == 1 else rates}


def same_tensors(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def tabulate(runs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a header, and a row a run: name, iterations, the options that differ, and the last of each metric.

    An option's name is as short as it can be without being another's, too; of a long value, its ends are shown.
    """
    columns, names = list(dict.fromkeys(name for run in runs for name in run["final"])), list(runs[0]["options"])
    lasts = [name.rpartition(".")[2] for name in names]
    header = [name if lasts.count(last) > 1 else last for name, last in zip(names, lasts, strict=True)]
    rows = [["run", "step", *header, *columns]]
    for run in runs:
        final = [digits(run["final"][name]) if name in run["final"] else "-" for name in columns]
        values = [shorten(str(value)) for value in run["options"].values()]
        rows.append([run["name"], str(run["step"]), *values, *final])
    return rows


def paired_test(runs: Mapping[str, RunFolder], steps: Sequence[int]) -> tuple[dict[str, Any], list[str]]:
    """Compare two runs, by their names, on the test rows of their split, after these steps; return facts and words."""
    (first, second), (a, b) = runs, (run.tested(wanted=step) for run, step in zip(runs.values(), steps, strict=True))
    if not np.array_equal(a.labels, b.labels):
        raise InputError(f"{second}: its test is of other rows than that of {first}; test both again")
    right_a, right_b = (is_right(each.labels, each.probabilities) for each in (a, b))
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    _, test, p = compare_answers(right_a, right_b, a.groups)
    differences = compare_probabilities(a.labels, a.probabilities, b.probabilities, a.groups)
    facts = {"rows": len(a.labels), "right_in_one_only": [only_a, only_b], "test": test, "p": p}
    facts |= to_json({f"{name}_difference": found for name, found in differences.items()})
    facts["speaks_of"] = "these two networks only"
    words = {**WORDS, "accuracy": "accuracy"}
    only = f"{only_a} that only {first} gets right, {only_b} that only {second} does"
    return facts, [
        f"{len(a.labels)} test rows: {only}; {test}: {format_p(p)}",
        *(
            f"test {words.get(name, name)}: {first} - {second} = {format_interval(*found[:3])}"
            for name, found in differences.items()
        ),
        "this speaks of these two networks only, not of the options that they differ in; "
        "for those: python -m project study",
    ]


def curves_of(run: RunFolder) -> Curves:
    """Return what a chart shows of a run: the training loss, and each metric of validations, by their titles."""
    columns = run.history()
    steps, losses = columns.pop("step"), columns.pop("train_loss")
    # The loss of an iteration is that of the weights before its update; of mini-batches, single ones hide each other.
    most, criterion = window(len(steps)), run.checkpoint()["hyper_parameters"]["loss"].upper()
    title = f"training loss ({criterion}), mean of the last fiftieth"  # so that runs of all lengths share a panel
    curves = {title: (steps - 1, running_mean(losses, most))}
    for name, values in columns.items():
        subset, _, metric = name.partition("_")
        if metric != "loss" and subset != "train":  # That loss is one of the others; single batches jump.
            there = ~np.isnan(values)
            title = f"{SUBSETS[subset]} {metric if metric == 'accuracy' else metric.upper()}"
            curves[title] = steps[there], values[there]
    return curves
