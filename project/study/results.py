"""The tables, study.json, figures and report of a study."""

import json
from itertools import chain
from shlex import quote
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from project.errors import join_words
from project.evaluation.differences import Difference
from project.evaluation.estimate import Numbers, digits, finite, format_p
from project.figures import study
from project.figures.style import own_style, to_file
from project.model.loss import METRICS
from project.model.net import evaluating
from project.reports.page import Section, pictures, render
from project.reports.report import options_section
from project.reports.view import ask_model, choose_plane, describe_answers, show_rows
from project.runs.disk import write_whole
from project.runs.run import STUDIES, RunFolder
from project.study.answer import ACCURACY, Answer
from project.study.networks import BASELINE
from project.study.stack import EVALUATED, TEST, VAL

SHARES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}  # of splits
# What the figures show, for those who cannot see them.
SHOWN = {
    "curves": "the mean accuracy of the compared values, as chosen, in the course of training, and 80 % of splits",
    "choice": "the validation loss of each compared value against the option, and how many splits chose which",
    "differences": "how the values differ in each split, the interval of the mean, and the naive one",
    "boundary": "the mean probability of class 1 over the networks of one split, and where these networks disagree",
    "slopes": "how strongly either loss pulls on the logit of a wrong answer",
}


class Study(RunFolder):
    """The folder of a study. It is no run: no other command takes its newest one for the newest run."""

    command = "study"
    prefix = "study"
    order = STUDIES


def study_facts(answer: Answer) -> dict[str, Any]:
    """Return what study.json holds."""
    baselines: dict[str, Any] = {"majority": {"test_accuracy": 0.5}}
    if (baseline := answer.baseline) is not None:
        told = {"test_accuracy": finite(baseline.accuracy.mean())}
        baselines[BASELINE] = {answer.choose: baseline.chosen_options, **told}
    differences = []
    for value, against, _, metric, _, _, found, p in answer.comparisons:
        row: dict[str, Any] = {"value": str(value.value), "against": str(against.value), "metric": metric}
        mean, *ends = map(finite, found[:5])
        row |= {"mean": mean, "interval": ends[:2], "naive_interval": ends[2:], "level": found.level}
        differences.append({**row, "p": finite(found.p), "holm_p": finite(p), "splits": found.splits})
    return {
        "compare": f"model.{answer.compare}",
        "choose": f"model.{answer.choose}",
        "splits": sorted({network.split for network in answer.model.networks}),
        "seeds": sorted({network.seed for network in answer.model.networks}),
        "step": int(answer.steps[-1]),
        "at": answer.at,
        "margin": answer.margin,
        "chosen": {name: each.chosen_options for name, each in answer.values.items()},
        "at_the_edge": [name for name, each in answer.values.items() if each.at_edge],
        "diverged": int(answer.model.diverged.sum()),
        "test_accuracy": {name: finite(each.accuracy.mean()) for name, each in answer.values.items()},
        "baselines": baselines,
        "differences": differences,
        "sentences": answer.verdicts,
    }


def networks_table(answer: Answer) -> list[list[str]]:
    """Return a row a network: what it is, and what was measured of it at the end, and where it was best."""
    networks, diverged = answer.model.networks, answer.model.diverged.tolist()
    options = list(dict.fromkeys((answer.compare, answer.choose, "activation", *networks[0].options)))
    *columns, best = [[f"{part}_{metric}" for metric in ("loss", *METRICS)] for part in (*EVALUATED, "best_test")]
    rows = [["split", "seed", *options, "diverged", *chain(*columns), "best_step", *best]]
    for number, network in enumerate(networks):
        facts = [network.split, network.seed, *map(network.options.get, options), diverged[number]]
        own = list(METRICS).index(network.options["loss"])
        last, best = answer.curves[-1, :, :, number], answer.best_tested[:, number]
        values = [value for measured in last for value in (measured[own], *measured)]
        values += [answer.best_step[number], best[own], *best]
        texts = [str(fact).lower() if isinstance(fact, bool) else str(fact) for fact in facts]
        rows.append([*texts, *(f"{value:.9g}" for value in values)])
    return rows


def find_band(values: Numbers) -> Numbers:
    """Return mean and SHARES over splits, (4, ...), of what was measured in each, (..., S)."""
    return np.stack([values.mean(-1), *np.quantile(values, list(SHARES.values()), axis=-1)])


def curves_table(answer: Answer) -> list[list[str]]:
    """Return a row an iteration and compared value, at its chosen options: mean and spread over splits."""
    columns = [f"{subset}_{metric}_{part}" for subset in EVALUATED for metric in METRICS for part in ("mean", *SHARES)]
    rows = [["step", answer.compare, *columns]]
    for name, each in answer.values.items():
        for step, measured in zip(answer.steps, np.moveaxis(find_band(each.curves), 0, -1), strict=True):
            rows.append([f"{step:.0f}", name, *(f"{value:.9g}" for value in measured.flat)])
    return rows


def draw_curves(answer: Answer) -> Figure:
    named = {each.name: each.curves for each in answer.values.values()}
    so_far = " at the lowest validation loss so far" if answer.at == "best" else ""
    bands = {
        title + so_far: {name: find_band(curves[:, subset, ACCURACY]) for name, curves in named.items()}
        for title, subset in (("validation accuracy", VAL), ("test accuracy", TEST))
    }
    lines = {"guessing": 0.5}
    if answer.baseline is not None:
        lines[f"no hidden layer ({BASELINE})"] = float(answer.baseline.accuracy.mean())
    return study.curves_figure(answer.steps, bands, lines)


def draw_differences(answer: Answer) -> Figure:
    panels: dict[str, dict[str, tuple[Numbers, Difference]]] = {}
    for each in answer.comparisons:
        if each.against is not answer.baseline:  # Beside it, the others would hardly differ.
            panels.setdefault(each.measure, {})[" - ".join(each.names)] = each.by_split, each.found
    return study.differences_figure(panels)


def draw_boundary(answer: Answer, wanted: str) -> Figure:
    """Draw what the networks of one split answer together: those of the first compared value, one of each seed."""
    first, data = next(iter(answer.values.values())), answer.data
    models = [answer.model.classifier(int(place)) for place in first.networks[0]]
    train = np.concatenate(data.classes.dots["train"])
    with torch.no_grad(), evaluating(models):
        plane = choose_plane(wanted, models[0], train, data.feature_names)
        scene = show_rows(data, plane, ("train",), 150)  # places an axis
        answers = np.stack([ask_model(each, plane, scene.places()) for each in models])
        said = describe_answers(models, data, plane, scene, answers.mean(0), "train")
    networks = "1 network" if len(models) == 1 else f"{len(models)} networks"
    chosen = f"{answer.choose} {study.plain(first.chosen_options[0])}"
    note = f"{first.name} at {chosen}: {networks} of split {data.seed} after {answer.steps[-1]:,.0f} iterations"
    note = f"{note}, {len(train):,} training rows\n{said}".rstrip()
    return study.ensemble_figure(answers, scene._replace(note=note))


def write_study(folder: RunFolder, answer: Answer, plane: str) -> None:
    """Print what was found, and write tables, study.json, figures and report into the study's folder."""
    facts, said = study_facts(answer), answer.sentences
    if lost := facts["diverged"]:
        networks = len(answer.model.networks)
        said.append(f"{lost} of {networks} networks diverged; no split chose an option at which one of its own did")
    tables = {"networks.csv": networks_table(answer), "curves.csv": curves_table(answer)}
    texts = {name: "".join(",".join(row) + "\n" for row in rows) for name, rows in tables.items()}
    texts["study.json"] = json.dumps(facts, indent=2, allow_nan=False) + "\n"
    for name, text in texts.items():
        write_whole(folder.path / name, text.encode())
    print("\n".join(said))
    measure = "lowest validation loss" if answer.at == "best" else "validation loss"
    named = {each.name: each for each in answer.values.values()}
    with own_style():
        figures = {"curves": draw_curves(answer), "choice": study.choice_figure(named, answer.choose, measure)}
        figures["boundary"] = draw_boundary(answer, plane)
        if len(answer.values) > 1:
            figures["differences"] = draw_differences(answer)
        if {"bce", "mse"} <= answer.values.keys():
            figures["slopes"] = study.slopes_figure()
    for name, figure in figures.items():
        write_whole(folder.figures / f"{name}.png", to_file(figure, "png"))
    rows = []
    for each in answer.comparisons:
        mean, low, high = (digits(finite(value)) for value in each.found[:3])
        level = f"{100 * each.found.level:.3g} %"
        rows.append((*each.names, each.measure, mean, level, low, high, format_p(each.p)))
    header = ("", "against", "in", "difference", "interval of", "from", "to", "Holm's p") if rows else ()
    found = Section(said, header, rows, figures=pictures(folder.figures, SHOWN))
    again = Section(commands=[f"study --config {quote(str(folder.config))}"])
    asked = {name: folder.options()[name] for name in ("splits", "seeds", "compare", "choose")}
    sections = {"Answer": found, "Again": again, "Options": options_section(folder, asked)}
    subtitle = f"{len(facts['splits'])} splits, {facts['step']} iterations"
    render(folder.path, f"Study {folder.path.name}", subtitle, sections)
    print(f"written: {', '.join(texts)}, report.html and figures ({join_words(list(figures))}) in {folder.path}")
