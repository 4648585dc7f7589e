"""What validate, test and predict say of a checkpoint, and what they leave in its run folder."""

import json
import warnings
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from project.data import NpyDataModule
from project.disk import write_whole
from project.errors import InputWarning, listed
from project.evaluation import Estimate, Numbers, as_json, evaluate
from project.inference import Flags
from project.plot import TEST_FIGURES, plot
from project.run import Run, tested_name

WORDS = {"auc": "area under ROC", "bce": "log loss (bce)", "mse": "Brier score (mse)"}


def report(data: NpyDataModule, subset: str, labels: Numbers, probabilities: Numbers) -> dict[str, Estimate]:
    """Print a table of how right the answers for a subset are, and return its numbers."""
    estimates = evaluate(labels, probabilities)
    names, correct = data.class_names, right(labels, probabilities)
    shares = {"accuracy": correct, "sensitivity": correct[labels == 1], "specificity": correct[labels == 0]}
    found = {"sensitivity": f" of {names[1]}", "specificity": f" of {names[0]}"}
    print(f"{subset}: {len(labels)} rows, half of each class")
    print(f"{'':<18}  value   95% interval")
    for name, (value, low, high, method) in estimates.items():
        counts = f"; {shares[name].sum()} of {len(shares[name])}{found.get(name, '')}" if name in shares else ""
        print(f"{WORDS.get(name, name):<18} {value:.4f}  {low:.4f} to {high:.4f} ({method}){counts}")
    if lost := np.flatnonzero(~np.isfinite(probabilities)).tolist():
        message = f"no answer for {len(lost)} {subset} rows, which count as wrong: too far from the training rows"
        warnings.warn(f"{data.root}: {message}", InputWarning, stacklevel=2)
    return estimates


def right(labels: Numbers, probabilities: Numbers) -> Flags:
    """Return which rows are classified correctly, bool (N,); one without an answer is not."""
    rows: Flags = ((probabilities >= 0.5) == (labels == 1)) & np.isfinite(probabilities)
    return rows


def tell_better(run: Run | None, checkpoint: Path, step: int) -> None:
    """Say so if the run had a lower validation loss than after the checkpoint's iteration."""
    if run and checkpoint.name != run.best.name and (lowest := run.lowest(step)) is not None:
        print(
            f"the validation loss was lower, {lowest[1]:.4f}, after iteration {lowest[0]}: --ckpt_path best tests that"
        )


def write_test(
    run: Run | None,
    checkpoint: Path,
    contents: Mapping[str, Any],
    data: NpyDataModule,
    labels: Numbers,
    answers: Numbers,
) -> None:
    """Report on the test rows; leave the numbers, the answer for each row and the figures in the run folder."""
    estimates, name = report(data, "test", labels, answers), tested_name(checkpoint.stem)
    estimates["loss"] = estimates[contents["hyper_parameters"]["loss"]]
    tell_better(run, checkpoint, contents["global_step"])
    facts = {"checkpoint": checkpoint.name, "step": contents["global_step"], "rows": len(labels)}
    write(run, f"{name}.json", json.dumps({**facts, **as_json(estimates)}, indent=2, allow_nan=False) + "\n")
    numbers = np.concatenate(data.classes.row_numbers("test")).tolist()
    rows = zip(numbers, labels.tolist(), answers.tolist(), strict=True)
    lines = [f"{row},{label:.0f},{format(p, '.9g') if isfinite(p) else ''}\n" for row, label, p in rows]
    write(run, f"{name}_predictions.csv", "".join(["row,class,probability\n", *lines]))
    if run:  # Its figures are of these data, wherever they were when it was trained.
        for path in plot(Run(run.path, run.kind, data), "png", 100, None, [name + figure for figure in TEST_FIGURES]):
            print(f"written: {path}")


def write_predictions(run: Run | None, data: NpyDataModule, probabilities: Numbers) -> None:
    """Say how many rows went to which class; leave the probability of class 1 and the label of each in the run."""
    answered = np.isfinite(probabilities)
    sizes = [int((probabilities < 0.5).sum()), int((probabilities >= 0.5).sum())]
    counts = [f"{rows} {name}" for rows, name in zip(sizes, data.class_names, strict=True)]
    if lost := np.flatnonzero(~answered).tolist():
        counts.append(f"{len(lost)} without an answer")
        message = f"no answer for row{'s' * (len(lost) > 1)} {listed(lost)}: too far from what the model was trained on"
        warnings.warn(f"{data.predict_file}: {message}", InputWarning, stacklevel=2)
    print(f"{len(probabilities)} rows: {', '.join(counts)}")
    rows = enumerate(probabilities.tolist())
    lines = [f"{row},{p:.9g},{int(p >= 0.5)}\n" if isfinite(p) else f"{row},,\n" for row, p in rows]
    write(run, "predictions.csv", "".join(["row,probability,label\n", *lines]))


def write(run: Run | None, name: str, text: str) -> None:
    """Write a result into the checkpoint's run, or the working directory for one that lies in none."""
    path = run.path / name if run else Path(name)
    write_whole(path, text.encode())
    print(f"written: {path}")
