"""What a study says and leaves in its folder, once its networks are trained."""

import json
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

import numpy as np

from project.errors import join_words
from project.evaluation.estimate import digits, finite
from project.figures.style import own_style, to_file
from project.model.loss import METRICS
from project.reports.report import Section, of_options, pictures, render
from project.runs.disk import write_whole
from project.runs.finding import STUDIES
from project.runs.run import RunFolder
from project.study.answer import TEST, VAL, Answer, Compared, Comparison, by_split, sentences
from project.study.classifiers import Classifiers
from project.study.figures import SHARES, band, figures_of
from project.study.networks import BASELINE
from project.study.splits import Splits
from project.study.stack import EVALUATED

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


def report(answer: Answer, model: Classifiers) -> dict[str, Any]:
    """Return what study.json holds."""
    return {
        "compare": f"model.{answer.compare}",
        "choose": f"model.{answer.choose}",
        "splits": sorted({network.split for network in model.networks}),
        "seeds": sorted({network.seed for network in model.networks}),
        "step": int(answer.steps[-1]),
        "chosen": {name: each.option for name, each in answer.values.items()},
        "at_the_edge": [name for name, each in answer.values.items() if each.at_edge],
        "diverged": int(model.diverged.sum()),
        "test_accuracy": {name: finite(answer.accuracy(each).mean()) for name, each in answer.values.items()},
        "baselines": {
            "majority": {"test_accuracy": 0.5},
            **({BASELINE: baseline_facts(answer, answer.baseline)} if answer.baseline else {}),
        },
        "differences": [as_json(each) for each in answer.comparisons],
        "sentence": "; ".join(answer.verdicts),
    }


def baseline_facts(answer: Answer, baseline: Compared) -> dict[str, Any]:
    return {answer.choose: baseline.option, "test_accuracy": finite(answer.accuracy(baseline).mean())}


def networks_csv(answer: Answer, model: Classifiers) -> str:
    """Return a row a network: what it is, and what was measured of it after the last iteration."""
    options = list(dict.fromkeys((answer.compare, answer.choose, "activation", *model.networks[0].options)))
    losses = {name: place for place, name in enumerate(METRICS)}
    columns = [f"{subset}_{metric}" for subset in EVALUATED for metric in ("loss", *METRICS)]
    lines = [",".join(["split", "seed", *options, "diverged", *columns])]
    for place, network in enumerate(model.networks):
        facts = [network.split, network.seed, *(network.options[name] for name in options), bool(model.diverged[place])]
        numbers = [
            answer.end[subset, losses[network.options["loss"] if metric == "loss" else metric], place]
            for subset in range(len(EVALUATED))
            for metric in ("loss", *METRICS)
        ]
        words = [str(fact).lower() if isinstance(fact, bool) else str(fact) for fact in facts]
        lines.append(",".join([*words, *(f"{value:.9g}" for value in numbers)]))
    return "\n".join(lines) + "\n"


def curves_csv(answer: Answer) -> str:
    """Return a row an iteration and compared value, at its chosen option: mean and spread over splits."""
    parts = ["mean", *SHARES]
    columns = [f"{subset}_{metric}_{part}" for subset in EVALUATED for metric in METRICS for part in parts]
    lines = [",".join(["step", answer.compare, *columns])]
    for name, each in answer.values.items():
        bands = [
            np.stack(band(by_split(answer.curves[:, subset, metric], each.networks)), 1)
            for subset in (VAL, TEST)
            for metric in range(len(METRICS))
        ]
        for step, numbers in zip(answer.steps, np.concatenate(bands, 1), strict=True):
            lines.append(",".join([f"{step:.0f}", name, *(f"{value:.9g}" for value in numbers)]))
    return "\n".join(lines) + "\n"


def write_study(study: RunFolder, answer: Answer, model: Classifiers, data: Splits, plane: str) -> None:
    """Print what was found, and write tables, study.json and figures into the study's folder."""
    write_whole(study.path / "networks.csv", networks_csv(answer, model).encode())
    write_whole(study.path / "curves.csv", curves_csv(answer).encode())
    facts, said = report(answer, model), sentences(answer)
    write_whole(study.path / "study.json", (json.dumps(facts, indent=2, allow_nan=False) + "\n").encode())
    if lost := facts["diverged"]:
        said.append(f"{lost} of {len(model.networks)} networks diverged; no option at which one did is chosen")
    print("\n".join(said))
    figures = figures_of(answer, model, data, plane)
    for name, draw in figures.items():
        with own_style():
            write_whole(study.figures / f"{name}.png", to_file(draw(), "png"))
    tell(study, facts, said)
    parts = "networks.csv, curves.csv, study.json, report.html"
    print(f"written: {parts} and figures ({join_words(list(figures))}) in {study.path}")


def tell(study: RunFolder, facts: Mapping[str, Any], said: Sequence[str]) -> None:
    """Write report.html from what is in study.json, and what was printed."""
    header = ("", "against", "in", "difference", "from", "to", "splits")
    rows = [
        (
            each["value"],
            each["against"],
            each["metric"],
            *map(digits, (each["mean"], *each["interval"])),
            each["splits"],
        )
        for each in facts["differences"]
    ]
    answer = Section("Answer", said, header if rows else (), rows, figures=pictures(study.figures, WORDS))
    again = Section("Again", commands=[f"python -m project study --config {quote(str(study.config))}"])
    subtitle = f"{len(facts['splits'])} splits, {facts['step']} iterations"
    render(study.path, f"Study {study.path.name}", subtitle, [answer, of_options(study), again])


def as_json(comparison: Comparison) -> dict[str, Any]:
    found = comparison.found
    facts = {"value": comparison.value, "against": comparison.against, "metric": comparison.metric}
    ends: Mapping[str, Sequence[float]] = {
        "interval": (found.low, found.high),
        "naive_interval": (found.naive_low, found.naive_high),
    }
    return {
        **facts,
        "mean": finite(found.mean),
        **{name: [finite(end) for end in pair] for name, pair in ends.items()},
        "level": found.level,
        "p": finite(found.p),
        "holm_p": None if comparison.p is None else finite(comparison.p),
        "splits": found.splits,
    }
