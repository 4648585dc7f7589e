"""The sections of a run's report."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from project.errors import InputError, name_columns
from project.evaluation.baseline import remarks
from project.evaluation.estimate import digits, finite, format_ends
from project.evaluation.metrics import WORDS
from project.reports.page import ABSENT, FOUND, UNKNOWN, Pictures, Section, pictures, render
from project.reports.plot import FIGURES, LOST, numbers_of, run_figures
from project.reports.view import find_wrong
from project.runs.run import RunFolder

MOST_SHOWN = 6  # features of a row


def write_report(run: RunFolder) -> Path:
    """Write report.html into a run's folder from what that holds, say there what is missing, and return its path."""
    makers: dict[str, Callable[[RunFolder], Section]] = {"Answer": answer_section}
    for test in run.tests:
        makers |= {f"{test.capitalize()}{ending}": partial(tell, test=test) for ending, tell in TEST_SECTIONS.items()}
    sections = {}
    for title, make in {**makers, **SECTIONS}.items():
        try:
            sections[title] = make(run)
        except InputError as error:
            sections[title] = Section([f"What would stand here is missing: {error}"])
    return render(run.path, f"Run {run.path.name}", f"{run.table.rows} iterations of a binary classifier", sections)


def show(run: RunFolder, *names: str) -> Pictures:
    """Return some of the pictures that a run has, by the names of its figures."""
    return pictures(run.figures, {name: words for name, (_, words) in run_figures(run).items() if name in names})


def answer_section(run: RunFolder) -> Section:
    """Tell how right the answers are, by tests or, before there is one, by the validation of the final weights."""
    texts = []
    for checkpoint in run.tests.values():
        numbers = run.numbers(checkpoint)
        by = f"{numbers['checkpoint']} after {numbers['step']} iterations, on {numbers['rows']} test rows"
        accuracy = f"{digits(numbers['accuracy'])}, 95 % interval {format_ends(numbers, 'accuracy')}"
        texts.append(f"Accuracy {accuracy}: {by}.")
    if not texts:
        accuracy = digits(run.final().get("val_accuracy"))
        texts.append(f"Validation accuracy {accuracy} after {run.table.rows} iterations; it has not been tested yet.")
    return Section(texts, figures=show(run, "boundary"))


def test_section(run: RunFolder, test: str) -> Section:
    numbers = numbers_of(run, run.tests[test])
    baselines = numbers["baselines"]
    header = ("", "value", "95 % interval", *(name.replace("_", " ") for name in baselines), "")
    rows = []
    for name in baselines["guessing"]:
        others = [digits(each[name]) for each in baselines.values()]
        rows.append((name, digits(numbers[name]), format_ends(numbers, name), *others, WORDS.get(name, "")))
    texts = [f"{numbers['rows']} test rows, {numbers['checkpoint']} after {numbers['step']} iterations."]
    if "claim" in numbers:
        texts.append(f"An estimate for {numbers['claim']}.")
    return Section([*texts, *remarks(numbers)], header, rows, show(run, test, f"{test}-boundary"))


def points_section(run: RunFolder, test: str) -> Section:
    points = numbers_of(run, run.tests[test])["operating_points"]
    names = [name for name in points["threshold 0.5"] if f"{name}_interval" in points["threshold 0.5"]]
    rows = []
    for chosen, point in points.items():
        shares = [f"{digits(point[name])} ({format_ends(point, name)})" for name in names]
        rows.append((chosen, digits(point["threshold"]), *shares))
    texts = ["Validation rows have chosen each threshold but 0.5, for what it is called; the numbers are of test rows."]
    if "ppv" in names:
        texts.append("The last two hold for classes of the sizes of their files, all others for any.")
    commands = ["predict --threshold X --data.predict NEW.npy"]
    return Section(texts, ("chosen for", "threshold", *names), rows, commands=commands)


def features_section(run: RunFolder, test: str) -> Section:
    """Tell by how much answers to test rows get worse without what a feature says."""
    found, rows = numbers_of(run, run.tests[test])["importance"], []
    for feature, each in found["features"].items():
        rows.append([feature, *(cell for name in LOST for cell in (digits(each[name]), format_ends(each, name)))])
    header = ("", *(cell for words in LOST.values() for cell in (words, "95 % interval")))
    return Section([f"Of {found['rows']} test rows."], header, rows, show(run, test.replace("test", "importance")))


def wrong_section(run: RunFolder, test: str) -> Section:
    data, tested = run.data(), run.tested(run.tests[test])
    if not len(places := find_wrong(tested)):
        return Section(["No test row is wrong."])
    names, more = data.feature_names, ["..."] if data.num_features > MOST_SHOWN else []
    numbers, rows = np.concatenate(data.classes.row_numbers("test"))[places], []
    for place, number, features in zip(places, numbers, data.classes.pick("test", places), strict=True):
        label, probability = int(tested.labels[place]), finite(tested.probabilities[place])
        cells = [f"{value:.6g}" for value in features[:MOST_SHOWN].tolist()]
        rows.append((f"{data.class_names[label]}, {number}", digits(probability), *cells, *more))
    header = ("class, row of its file", f"probability of {data.class_names[1]}", *names[:MOST_SHOWN], *more)
    return Section(["Rows are counted from 0."], header, rows)


def training_section(run: RunFolder) -> Section:
    rows, texts = [(name, digits(value)) for name, value in run.final().items()], []
    if (lowest := run.lowest(run.table.rows)) is not None:
        texts.append(f"The validation loss was lower, {digits(lowest[1])}, after iteration {lowest[0]}: best.ckpt.")
    shown = FIGURES.keys() - {"scatter", "boundary"}  # which stand where the data and the answer are told
    return Section(texts, ("", "at the end"), rows, show(run, *shown))


def data_section(run: RunFolder) -> Section:
    data, texts = run.data(), []
    classes = data.classes
    rows = [("folder", data.place if data.is_sample else str(data.root.absolute()))]
    rows += zip((file.name for file in classes.files), data.class_names, strict=True)
    rows.append(("features", ", ".join(data.feature_names)))
    rows += [(f"rows in {name}", str(count)) for name, count in classes.rows.items()]
    rows.append(("split by", data.split))
    if classes.overlap and (both := classes.overlap.both_classes):
        texts.append(f"Noticed: {both} feature vectors occur in both classes, which nothing can tell apart.")
    if constant := classes.moments.constant:
        texts.append(f"Noticed: {name_columns(constant)} constant in the training subset.")
    return Section(texts or ["Nothing odd was noticed about the data."], rows=rows, figures=show(run, "scatter"))


def leaks_section(run: RunFolder) -> Section:
    """Tell which of eight types of leakage were looked for, and what was found.

    Kapoor and Narayanan (2023), "Leakage and the reproducibility crisis in machine-learning-based science".
    """
    data = run.data()
    duplicates, groups = (UNKNOWN, "there are too many rows to compare"), (UNKNOWN, "there are no group files")
    if data.classes.overlap is not None:
        count = data.classes.overlap.test_in_train
        duplicates = (FOUND if count else ABSENT, f"{count} test rows also occur in train")
    if data.split == "groups":
        groups = (ABSENT, "no group has rows in two subsets")
    elif data.classes.groups is not None:
        groups = (FOUND, "groups have rows in several subsets: the test speaks of new rows of these groups")
    rows = [
        ("no test set", ABSENT, "a fifth of the rows is tested on, and nothing else"),
        ("preprocessing on training and test set", ABSENT, "features are scaled by the training subset alone"),
        ("feature selection on training and test set", ABSENT, "no feature is selected"),
        ("duplicates", *duplicates),
        ("illegitimate features", UNKNOWN, "only who knows the features can tell"),
        ("temporal leakage", UNKNOWN, "rows have no time here"),
        ("dependence between training and test rows", *groups),
        ("sampling bias in the test set", UNKNOWN, "each class is half of it, whatever its share where rows come from"),
    ]
    return Section(header=("type", "was", "because"), rows=rows)


def commands_section(run: RunFolder) -> Section:
    config, last = quote(str(run.config)), f"--ckpt_path {quote(str(run.last))}"
    longer = f"fit {last} --trainer.max_steps {2 * max(run.table.rows, 1)}"
    commands = (f"fit --config {config}", longer, f"test {last}", f"predict {last} --data.predict NEW.npy")
    texts = ["The same run under another name; the run for longer; its test; and the classes of new rows:"]
    return Section(texts, commands=commands)


def used_section(run: RunFolder) -> Section:
    name, rates = run.optimizer()
    used = {"optimizer used": name, "learning rate used": rates}
    return options_section(run, used, run.checkpoint()["fingerprint"]["sha256"])


def options_section(run: RunFolder, first: Mapping[str, Any], hashes: Sequence[str] = ()) -> Section:
    """Show some facts, and the options that are not the defaults; the whole config and hashes are folded up below."""
    facts = {**first, **run.changed_options()}
    rows = [(name, ", ".join(map(str, value)) if isinstance(value, list) else value) for name, value in facts.items()]
    files = {run.config.name: run.config.read_text(encoding="utf-8")} if run.config.exists() else {}
    if hashes:
        files["sha256 of class_0.npy and class_1.npy"] = "\n".join(hashes)
    return Section(["All other options are the defaults."], rows=rows, files=files)


# What a report tells of a test, by the end of a title, and what it tells of the run after that
TEST_SECTIONS = {
    "": test_section,
    " at other thresholds": points_section,
    " by features": features_section,
    " rows most wrong": wrong_section,
}
SECTIONS = {"Training": training_section, "Data": data_section, "Leaks": leaks_section, "Again": commands_section}
SECTIONS |= {"Options": used_section}
