"""What several runs have in common, where they differ, and how they ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.disk import write_whole
from project.errors import InputError
from project.figures.comparison import Curves, comparison
from project.figures.style import own_style, to_pixels, to_png
from project.model import BinaryClassifier
from project.run import Run


@dataclass(frozen=True)
class Result:
    """A run as it ended."""

    run: Run

    @cached_property
    def options(self) -> dict[str, Any]:
        """Its config, flat: {"model.loss": "bce", ...}."""
        return flatten(self.run.options())

    @cached_property
    def checkpoint(self) -> dict[str, Any]:
        return self.run.checkpoint()

    @cached_property
    def curves(self) -> Curves:
        """The columns of history.csv, each with the iterations where it has a value."""
        columns = self.run.history()
        steps = columns.pop("step")
        return {name: (steps[~np.isnan(values)], values[~np.isnan(values)]) for name, values in columns.items()}


def compare(paths: Sequence[Path], output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Print a table of the runs' final numbers; write comparison.png and comparison.json into a folder.

    Args:
        paths: run folders, or their names under lightning_logs; at least two.
        output: the folder to write into.
        kind: the class of the runs' models.

    Raises:
        InputError: if a path is not a trained run.
    """
    results = [Result(find_run(path, kind)) for path in paths]
    names = name_by_differences([result.options for result in results], [result.run.path.name for result in results])
    first, *others = results
    report = {
        "same_split": all(other.checkpoint["fingerprint"] == first.checkpoint["fingerprint"] for other in others),
        "same_initial_weights": all(
            same_weights(first.checkpoint["initial"], other.checkpoint["initial"]) for other in others
        ),
        "runs": [
            {
                "name": name,
                "folder": str(result.run.path),
                "step": result.checkpoint["global_step"],
                "final": {column: values[-1] for column, (_, values) in result.curves.items() if len(values)},
            }
            for name, result in zip(names, results, strict=True)
        ],
    }
    with own_style():
        figure = comparison({name: result.curves for name, result in zip(names, results, strict=True)})
    write_whole(output / "comparison.png", to_png(to_pixels(figure)))
    write_whole(output / "comparison.json", (json.dumps(report, indent=2) + "\n").encode())
    print(format_table(report))
    print(f"written: {output / 'comparison.png'} and comparison.json")


def find_run(path: Path, kind: type[BinaryClassifier]) -> Run:
    """Return the trained run in a folder, or of a name under lightning_logs.

    Raises:
        InputError: if there is none.
    """
    run = Run(path, kind)
    if not (run.trained and run.config.exists()):
        raise InputError(f"{path}: not the folder of a trained run; name a folder that fit has written")
    return run


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in config.items():
        flat.update(flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return flat


def name_by_differences(options: Sequence[Mapping[str, Any]], folders: Sequence[str]) -> list[str]:
    """Name each run by the options in which the runs differ; by its folder too where that is not enough."""
    keys = {key: None for each in options for key in each}
    differing = [key for key in keys if any(each.get(key) != options[0].get(key) for each in options)]
    names = [", ".join(f"{key.rpartition('.')[2]} {each.get(key)}" for key in differing) for each in options]
    return [
        name if name and names.count(name) == 1 else f"{name} ({folder})".strip()
        for name, folder in zip(names, folders, strict=True)
    ]


def same_weights(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def format_table(report: Mapping[str, Any]) -> str:
    columns = list({column: None for run in report["runs"] for column in run["final"]})
    rows = [["run", "step", *columns]]
    for run in report["runs"]:
        finals = [f"{run['final'][column]:.4f}" if column in run["final"] else "-" for column in columns]
        rows.append([run["name"], str(run["step"]), *finals])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    same = ["the same" if report[key] else "different" for key in ("same_split", "same_initial_weights")]
    return "\n".join([*lines, f"split: {same[0]}; initial weights: {same[1]}"])
