"""What several runs have in common, where they differ, and how they ended."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.disk import write_whole
from project.errors import InputError
from project.figures.comparison import Curves, comparison
from project.figures.style import own_style, to_file
from project.model import BinaryClassifier
from project.run import Run


def compare(paths: Sequence[Path], output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Print a table of the runs' final numbers; write comparison.png and comparison.json into a folder.

    The paths are run folders, or their names under lightning_logs; one that is no trained run is an InputError.
    """
    runs = [Run(path, kind) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if not (run.trained and run.config.exists()):
            raise InputError(f"{path}: not the folder of a trained run; name a folder that fit has written")
    names = name_by_differences([flatten(run.options()) for run in runs], [run.path.name for run in runs])
    checkpoints = [run.checkpoint() for run in runs]
    curves = [curves_of(run) for run in runs]
    first = checkpoints[0]
    report = {
        "same_split": all(each["fingerprint"] == first["fingerprint"] for each in checkpoints),
        "same_initial_weights": all(same_weights(each["initial"], first["initial"]) for each in checkpoints),
        "runs": [
            {
                "name": name,
                "folder": str(run.path),
                "step": checkpoint["global_step"],
                "final": {column: values[-1] for column, (_, values) in columns.items() if len(values)},
            }
            for name, run, checkpoint, columns in zip(names, runs, checkpoints, curves, strict=True)
        ],
    }
    with own_style():
        write_whole(output / "comparison.png", to_file(comparison(dict(zip(names, curves, strict=True))), "png"))
    write_whole(output / "comparison.json", (json.dumps(report, indent=2) + "\n").encode())
    print(format_table(report))
    print(f"written: {output / 'comparison.png'} and comparison.json")


def curves_of(run: Run) -> Curves:
    """Return the columns of history.csv, each with the iterations where it has a value."""
    columns = run.history()
    steps = columns.pop("step")
    return {name: (steps[~np.isnan(values)], values[~np.isnan(values)]) for name, values in columns.items()}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options by their full names, as in {"model.loss": "bce"}."""
    flat = {}
    for name, value in config.items():
        flat.update(flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return flat


def name_by_differences(options: Sequence[Mapping[str, Any]], folders: Sequence[str]) -> list[str]:
    """Name each run by the options in which the runs differ; by its folder too where that is not enough."""
    keys = dict.fromkeys(key for each in options for key in each)
    differing = [key for key in keys if any(each.get(key) != options[0].get(key) for each in options)]
    names = [", ".join(f"{key.rpartition('.')[2]} {each.get(key)}" for key in differing) for each in options]
    return [
        name if name and names.count(name) == 1 else f"{name} ({folder})".strip()
        for name, folder in zip(names, folders, strict=True)
    ]


def same_weights(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def format_table(report: Mapping[str, Any]) -> str:
    columns = dict.fromkeys(column for run in report["runs"] for column in run["final"])
    rows = [["run", "step", *columns]]
    for run in report["runs"]:
        finals = [f"{run['final'][column]:.4f}" if column in run["final"] else "-" for column in columns]
        rows.append([run["name"], str(run["step"]), *finals])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    same = ["the same" if report[key] else "different" for key in ("same_split", "same_initial_weights")]
    return "\n".join([*lines, f"split: {same[0]}; initial weights: {same[1]}"])
