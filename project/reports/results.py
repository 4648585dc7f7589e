"""What validate, test, predict and export make of a checkpoint: lines, and files in its run folder."""

import importlib.util
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from project.data import NpyDataModule
from project.errors import InputError, InputWarning, join_words
from project.evaluation.baseline import baselines, remarks
from project.evaluation.estimate import Numbers, align, digits, finite, format_ends, to_json
from project.evaluation.metrics import WORDS, design_effect, evaluate, is_right
from project.evaluation.thresholds import Thresholds, operating_points
from project.figures.curves import SUBSETS
from project.figures.style import stack_panels
from project.model import BinaryClassifier
from project.reports.plot import TEST_FIGURES, add_picture, draw, write_figure
from project.reports.report import write_report
from project.reports.view import rank_features
from project.runs.checkpoint import Contents, load, rebuild
from project.runs.disk import tolerated, write_whole
from project.runs.run import RunFolder
from project.runs.table import Tested, predicted_csv, tested_csv, tested_name

Answers = Sequence[Numbers]  # labels, and the probabilities of the network and of a regression, (N,) each


def print_metrics(data: NpyDataModule, subset: str, answers: Answers, thresholds: Thresholds) -> dict[str, Any]:
    """Print how right the answers for val or test are; return that, and what thresholds give, as JSON can hold it."""
    labels, probabilities, regression = answers
    rows, (zeros, ones), groups = len(labels), data.class_names, data.classes.groups_of(subset)
    in_groups, half, words = data.split == "groups", rows // 2, dict(WORDS)
    kept = groups if in_groups else None
    estimates = evaluate(labels, probabilities, kept)
    facts = to_json(estimates)
    counted = {"accuracy": (rows, ""), "sensitivity": (half, f" of {ones}"), "specificity": (half, f" of {zeros}")}
    for name, (count, of) in counted.items():
        words[name] = f"{round(estimates[name].value * count)} of {count}{of}"
    shown, sizes = {"threshold 0.5": 0.5, **thresholds}, [array.shape[0] for array in data.classes.arrays]
    facts["operating_points"] = operating_points(shown, labels, probabilities, kept, sizes[1] / sizes[0])
    facts["baselines"] = baselines(labels, probabilities, regression, kept)
    print(f"{SUBSETS[subset]}: {rows} rows, half of each class")
    table = [["", "value", "95 % interval", *(name.partition("_")[0] for name in facts["baselines"]), ""]]
    for name, estimate in estimates.items():
        others = [digits(each[name]) for each in facts["baselines"].values()]
        told = "; ".join(filter(None, [estimate.method, words.get(name)]))
        table.append([name, digits(facts[name]), format_ends(facts, name), *others, told])
    print("\n".join([align(table), *remarks(facts)]))
    if groups is not None:
        facts["claim"], said = data.claim, f"fit --data.split groups estimates for new {data.group_name}"
        if in_groups:
            number, effect = len(np.unique(groups)), design_effect(is_right(labels, probabilities), groups)
            facts |= {"groups": number, "design_effect": finite(effect)}
            said = f"{number} of them, design effect of accuracy {effect:.2f}"
        print(f"an estimate for {facts['claim']}; {said}")
    if lost := int((~np.isfinite(probabilities)).sum()):
        message = f"no answer for {lost} {subset} rows, which count as wrong: too far from the training rows"
        warnings.warn(f"{data.root}: {message}", InputWarning, stacklevel=2)
    return facts


def write_test(
    run: RunFolder | None, path: Path, contents: Contents, data: NpyDataModule, answers: Answers, thresholds: Thresholds
) -> None:
    """Print how right a checkpoint's answers for test rows are, and leave them in the run that it lies in, if any."""
    labels, probabilities, _ = answers
    numbers = print_metrics(data, "test", answers, thresholds)
    name, step = tested_name(path.stem), contents["global_step"]
    for part in "", "_interval":
        numbers[f"loss{part}"] = numbers[f"{contents['hyper_parameters']['loss']}{part}"]
    groups = data.classes.groups_of("test") if data.split == "groups" else None
    tested = Tested(step, labels, probabilities, groups)
    facts = {"checkpoint": path.name, "step": step, "rows": len(labels), **numbers}
    if run:
        facts["importance"] = rank_features(rebuild(contents, run.kind), data, tested)
    write_result(run, f"{name}.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")
    rows = np.concatenate(data.classes.row_numbers("test")).tolist()
    write_result(run, f"{name}_predictions.csv", tested_csv(rows, tested))
    if run:
        ending = name.removeprefix("test")
        run = RunFolder(run.path, run.kind, data)  # Its figures are of these data, wherever they were when it trained.
        figures = {kind: draw(run, kind.format(ending)) for kind in TEST_FIGURES}
        paths = [write_figure(run, kind.format(ending), figure) for kind, figure in figures.items()]
        add_to_events(run, name, facts, figures)
        for written in [*paths, write_report(run)]:
            print(f"written: {written}")


def add_to_events(run: RunFolder, name: str, numbers: Mapping[str, Any], figures: Mapping[str, Figure]) -> None:
    """Add what a test found to the run's events, if it has some, so that TensorBoard shows it, also in HPARAMS."""
    if not any(run.path.glob("events*")):
        return
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (no other command needs it)

    with tolerated(run.path), SummaryWriter(str(run.path)) as writer:
        for metric in "accuracy", "loss":
            if numbers[metric] is not None:
                writer.add_scalar(f"{name}/{metric}", numbers[metric], numbers["step"])
        for kind, figure in figures.items():  # Tests of several checkpoints share a card, each under its iteration.
            add_picture(writer, kind.format(""), stack_panels(figure), numbers["step"])


def write_predictions(run: RunFolder | None, data: NpyDataModule, probabilities: Numbers, threshold: float) -> None:
    """Say how many rows went to which class; leave the probability of class 1 and the label of each in the run."""
    sizes = int((probabilities < threshold).sum()), int((probabilities >= threshold).sum())
    counts = [f"{rows} {name}" for rows, name in zip(sizes, data.class_names, strict=True)]
    if lost := np.flatnonzero(~np.isfinite(probabilities)).tolist():
        counts.append(f"{len(lost)} without an answer")
        which = f"row{'s' if len(lost) > 1 else ''} {join_words(lost)}"
        message = f"no answer for {which}: too far from what the model was trained on"
        warnings.warn(f"{data.predict_file}: {message}", InputWarning, stacklevel=2)
    chosen = "" if threshold == 0.5 else f", at threshold {threshold:g}"
    print(f"{len(probabilities)} rows: {', '.join(counts)}{chosen}")
    write_result(run, "predictions.csv", predicted_csv(probabilities, data.class_names, threshold))


def write_result(run: RunFolder | None, name: str, text: str) -> None:
    """Write a file into the checkpoint's run, or the working directory for one that lies in none."""
    path = run.path / name if run else Path(name)
    write_whole(path, text.encode())
    print(f"written: {path}")


def export(checkpoint: Path, output: Path, kind: type[BinaryClassifier] = BinaryClassifier) -> None:
    """Write an ONNX model: input ``features`` float32 (N, j), any N; output ``probability`` float32 (N, 1)."""
    if missing := [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]:
        raise InputError(f"export: {' and '.join(missing)} missing; install the extra with pip install 'project[onnx]'")
    model = rebuild(load(checkpoint, kind), kind)
    num_features = model.hparams["num_features"]
    rows, shapes = (torch.zeros(2, num_features),), {"features": {0: torch.export.Dim("N", min=1)}}
    program = torch.onnx.export(
        model, rows, input_names=["features"], output_names=["probability"], dynamic_shapes=shapes, verbose=False
    )
    assert program is not None
    write_whole(output, program.model_proto.SerializeToString())
    print(f"written: {output}, raw features (N, {num_features}) to probability (N, 1)")
