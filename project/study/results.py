"""The tables, study.json, figures and report of a study."""

import json
from shlex import quote
from typing import Any

import numpy as np

from project.errors import join_words
from project.evaluation.estimate import digits, finite
from project.figures.style import own_style, to_file
from project.model.loss import METRICS
from project.reports.report import Section, options_section, pictures, render
from project.runs.disk import write_whole
from project.runs.run import STUDIES, RunFolder
from project.study.answer import Answer
from project.study.classifiers import Classifiers
from project.study.figures import SHARES, figure_drawers, find_band
from project.study.networks import BASELINE
from project.study.stack import EVALUATED, Splits

# What the figures show, for those who cannot see them.
WORDS = {
    "curves": "the mean accuracy of the compared values in the course of training, with the middle 80 % of splits",
    "choice": "the validation loss of each compared value against the option that was chosen by it",
    "differences": "how the values differ in each split, the interval of the mean, and the naive one",
    "boundary": "the mean probability of class 1 over the networks of one split, and where these networks disagree",
    "slopes": "how strongly either loss pulls on the logit of a wrong answer",
}


class Study(RunFolder):
    """The folder of a study. It is no run: no other command takes its newest one for the newest run."""

    command = "study"
    prefix = "study"
    order = STUDIES


def study_facts(answer: Answer, model: Classifiers) -> dict[str, Any]:
    """Return what study.json holds."""
    baselines: dict[str, Any] = {"majority": {"test_accuracy": 0.5}}
    if (baseline := answer.baseline) is not None:
        baselines[BASELINE] = {answer.choose: baseline.option, "test_accuracy": finite(baseline.accuracy.mean())}
    differences = []
    for value, against, metric, found, _, holm_p in answer.comparisons:
        row: dict[str, Any] = {"value": value, "against": against, "metric": metric, "mean": finite(found.mean)}
        row["interval"] = [finite(found.low), finite(found.high)]
        row["naive_interval"] = [finite(found.naive_low), finite(found.naive_high)]
        row |= {"level": found.level, "p": finite(found.p), "holm_p": holm_p and finite(holm_p)}
        differences.append({**row, "splits": found.splits})
    return {
        "compare": f"model.{answer.compare}",
        "choose": f"model.{answer.choose}",
        "splits": sorted({network.split for network in model.networks}),
        "seeds": sorted({network.seed for network in model.networks}),
        "step": int(answer.steps[-1]),
        "chosen": {name: each.option for name, each in answer.values.items()},
        "at_the_edge": [name for name, each in answer.values.items() if each.at_edge],
        "diverged": int(model.diverged.sum()),
        "test_accuracy": {name: finite(each.accuracy.mean()) for name, each in answer.values.items()},
        "baselines": baselines,
        "differences": differences,
        "sentence": "; ".join(answer.verdicts),
    }


def networks_table(answer: Answer, model: Classifiers) -> list[list[str]]:
    """Return a row a network: what it is, and what was measured of it after the last iteration."""
    options = list(dict.fromkeys((answer.compare, answer.choose, "activation", *model.networks[0].options)))
    columns = [f"{subset}_{metric}" for subset in EVALUATED for metric in ("loss", *METRICS)]
    rows = [["split", "seed", *options, "diverged", *columns]]
    for number, network in enumerate(model.networks):
        facts = [network.split, network.seed, *map(network.options.get, options), bool(model.diverged[number])]
        own = list(METRICS).index(network.options["loss"])
        values = [value for measured in answer.curves[-1, :, :, number] for value in (measured[own], *measured)]
        texts = [str(fact).lower() if isinstance(fact, bool) else str(fact) for fact in facts]
        rows.append([*texts, *(f"{value:.9g}" for value in values)])
    return rows


def curves_table(answer: Answer) -> list[list[str]]:
    """Return a row an iteration and compared value, at its chosen option: mean and spread over splits."""
    columns = [f"{subset}_{metric}_{part}" for subset in EVALUATED for metric in METRICS for part in ("mean", *SHARES)]
    rows = [["step", answer.compare, *columns]]
    for name, each in answer.values.items():
        for step, measured in zip(answer.steps, np.moveaxis(find_band(each.curves), 0, -1), strict=True):
            rows.append([f"{step:.0f}", name, *(f"{value:.9g}" for value in measured.flat)])
    return rows


def write_study(study: RunFolder, model: Classifiers, data: Splits, plane: str) -> None:
    """Print what was found, and write tables, study.json, figures and report into the study's folder."""
    answer = Answer(model, data)
    facts, said = study_facts(answer, model), answer.sentences
    if lost := facts["diverged"]:
        said.append(f"{lost} of {len(model.networks)} networks diverged; no option at which one did is chosen")
    tables = {"networks.csv": networks_table(answer, model), "curves.csv": curves_table(answer)}
    texts = {name: "".join(",".join(row) + "\n" for row in rows) for name, rows in tables.items()}
    texts["study.json"] = json.dumps(facts, indent=2, allow_nan=False) + "\n"
    for name, text in texts.items():
        write_whole(study.path / name, text.encode())
    print("\n".join(said))
    drawers = figure_drawers(answer, model, data, plane)
    with own_style():
        for name, draw in drawers.items():
            write_whole(study.figures / f"{name}.png", to_file(draw(), "png"))
    rows = [
        (row["value"], row["against"], row["metric"], *map(digits, (row["mean"], *row["interval"])), row["splits"])
        for row in facts["differences"]
    ]
    header = ("", "against", "in", "difference", "from", "to", "splits") if rows else ()
    found = Section(said, header, rows, figures=pictures(study.figures, WORDS))
    again = Section(commands=[f"study --config {quote(str(study.config))}"])
    sections = {"Answer": found, "Options": options_section(study), "Again": again}
    subtitle = f"{len(facts['splits'])} splits, {facts['step']} iterations"
    render(study.path, f"Study {study.path.name}", subtitle, sections)
    print(f"written: {', '.join(texts)}, report.html and figures ({join_words(list(drawers))}) in {study.path}")
