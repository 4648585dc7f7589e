"""What validate, test and predict say of a checkpoint, and what they leave in its run folder."""

import json
import warnings
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from project.data import NpyDataModule, sample
from project.errors import InputWarning, join_words
from project.evaluation.estimate import as_json, digits, finite
from project.evaluation.metrics import Numbers, design_effect, evaluate, right
from project.figures.curves import SUBSETS
from project.reports.plot import TEST_FIGURES, plot
from project.reports.report import write_report
from project.runs.disk import tolerated, write_whole
from project.runs.predictions import Tested, predictions_csv, tested_name
from project.runs.run import RunFolder

WORDS = {"auc": "area under ROC", "bce": "log loss (bce)", "mse": "Brier score (mse)"}


def report(data: NpyDataModule, subset: str, labels: Numbers, probabilities: Numbers) -> dict[str, Any]:
    """Print a table of how right the answers for val or test are, and return its numbers as JSON can hold them."""
    rows, names, groups = len(labels), data.class_names, data.classes.groups_of(subset)
    in_groups = data.split == "groups"
    estimates, facts = evaluate(labels, probabilities, groups if in_groups else None), dict[str, Any]()
    counted = {"accuracy": (rows, ""), "sensitivity": (rows // 2, names[1]), "specificity": (rows // 2, names[0])}
    print(f"{SUBSETS[subset]}: {rows} rows, half of each class")
    print(f"{'':<18}  value   95% interval")
    for name, (value, low, high, method) in estimates.items():
        count, of = counted.get(name, (0, ""))
        counts = f"; {round(value * count)} of {count}{of and f' of {of}'}" if count else ""
        print(f"{WORDS.get(name, name):<18} {digits(value)}  {digits(low)} to {digits(high)} ({method}){counts}")
    if groups is not None:
        name = sample.GROUP_NAME if data.is_sample else "groups"
        facts["claim"] = f"new {name}" if in_groups else f"new rows of these {name}"
        said = f"fit --data.split groups estimates for new {name}"
        if in_groups:
            number, effect = len(np.unique(groups)), design_effect(right(labels, probabilities), groups)
            facts |= {"groups": number, "design_effect": finite(effect)}
            said = f"{number} of them, design effect of accuracy {effect:.2f}"
        print(f"an estimate for {facts['claim']}; {said}")
    if lost := np.flatnonzero(~np.isfinite(probabilities)).tolist():
        message = f"no answer for {len(lost)} {subset} rows, which count as wrong: too far from the training rows"
        warnings.warn(f"{data.root}: {message}", InputWarning, stacklevel=2)
    return {**as_json(estimates), **facts}


def tell_better(run: RunFolder | None, checkpoint: Path, step: int) -> None:
    """Say so if the run had a lower validation loss than after the checkpoint's iteration."""
    if run and checkpoint.name != run.best.name and (lowest := run.lowest(step)) is not None:
        found = f"{digits(lowest[1])}, after iteration {lowest[0]}"
        print(f"the validation loss was lower, {found}: --ckpt_path best tests that")


def write_test(
    run: RunFolder | None,
    checkpoint: Path,
    contents: Mapping[str, Any],
    data: NpyDataModule,
    labels: Numbers,
    answers: Numbers,
) -> None:
    """Report on the test rows; leave the numbers, the answer for each row and the figures in the run folder."""
    numbers, name = report(data, "test", labels, answers), tested_name(checkpoint.stem)
    for part in "", "_interval":
        numbers[f"loss{part}"] = numbers[f"{contents['hyper_parameters']['loss']}{part}"]
    step = contents["global_step"]
    tell_better(run, checkpoint, step)
    facts = {"checkpoint": checkpoint.name, "step": step, "rows": len(labels)}
    write(run, f"{name}.json", json.dumps({**facts, **numbers}, indent=2, allow_nan=False) + "\n")
    groups = data.classes.groups_of("test") if data.split == "groups" else None
    rows, found = np.concatenate(data.classes.row_numbers("test")), Tested(step, labels, answers, groups)
    write(run, f"{name}_predictions.csv", predictions_csv(rows.tolist(), found))
    if run:
        show(run, name, {**facts, **numbers})
        # Its figures are of these data, wherever they were when it was trained.
        run = RunFolder(run.path, run.kind, data)
        drawn = plot(run, "png", 100, None, [name + figure for figure in TEST_FIGURES])
        for path in [*drawn, write_report(run)]:
            print(f"written: {path}")


def show(run: RunFolder, name: str, numbers: Mapping[str, Any]) -> None:
    """Add what a test found to the run's events, if it has some, so that TensorBoard's HPARAMS lists it."""
    if not any(run.path.glob("events*")):
        return
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (no other command needs it)

    with tolerated(run.path), SummaryWriter(str(run.path)) as writer:
        for metric in "accuracy", "loss":
            if numbers[metric] is not None:
                writer.add_scalar(f"{name}/{metric}", numbers[metric], numbers["step"])


def write_predictions(run: RunFolder | None, data: NpyDataModule, probabilities: Numbers) -> None:
    """Say how many rows went to which class; leave the probability of class 1 and the label of each in the run."""
    answered = np.isfinite(probabilities)
    sizes = [int((probabilities < 0.5).sum()), int((probabilities >= 0.5).sum())]
    counts = [f"{rows} {name}" for rows, name in zip(sizes, data.class_names, strict=True)]
    if lost := np.flatnonzero(~answered).tolist():
        counts.append(f"{len(lost)} without an answer")
        message = (
            f"no answer for row{'s' * (len(lost) > 1)} {join_words(lost)}: too far from what the model was trained on"
        )
        warnings.warn(f"{data.predict_file}: {message}", InputWarning, stacklevel=2)
    print(f"{len(probabilities)} rows: {', '.join(counts)}")
    rows = enumerate(probabilities.tolist())
    lines = [f"{row},{p:.9g},{int(p >= 0.5)}\n" if isfinite(p) else f"{row},,\n" for row, p in rows]
    write(run, "predictions.csv", "".join(["row,probability,label\n", *lines]))


def write(run: RunFolder | None, name: str, text: str) -> None:
    """Write a result into the checkpoint's run, or the working directory for one that lies in none."""
    path = run.path / name if run else Path(name)
    write_whole(path, text.encode())
    print(f"written: {path}")
