"""Reports: one file each, valid, small, readable anywhere, and never more than text where names hold markup."""

import base64
import io
import json
import re
from pathlib import Path

import html5lib
import numpy as np
import pytest
from PIL import Image

from project import Run
from project.__main__ import main
from project.data import NpyDataModule
from project.reports.plot import run_figures
from project.reports.report import data_section, features_section, leaks_section, write_report, wrong_section
from tests.conftest import Write
from tests.reports.conftest import NASTY

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("runs")]


def read_page(folder: str, pictures: int) -> str:
    """Return the text of a report, which is one small valid file with so many pictures, and executes nothing."""
    html = Path(folder, "report.html").read_text()
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    assert len(html) < 1_000_000
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html), "nothing is fetched"
    assert not list(tree.iter("script"))
    assert "<b>" not in html
    images, links = list(tree.iter("img")), [link for link in tree.iter("a") if link.find("img") is not None]
    sizes = [f"#{figure.get('id')}" for figure in tree.iter("figure")]
    assert [link.get("href") for link in links] == sizes, "a figure in its full size"
    assert len(images) == len(links) == pictures
    assert all("wide" in place.get("class", "") for place in tree.iter("div")), "tables scroll"
    for image in images:
        assert len(image.get("alt").split()) > 5
        data = base64.b64decode(image.get("src").removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(data)).size > (300, 200)
    return " ".join(" ".join(tree.find("body").itertext()).split())


def test_a_report_is_one_small_valid_file_that_tells_what_was_found() -> None:
    assert main(["compare", "<b>one", "two", "--output", "compared"]) == 0
    study = ["--splits", "2", "--seeds", "1", "--trainer.max_steps", "20", "--name", "study", "--data.root", "data"]
    assert main(["study", *study, "--data.class_names", f"{NASTY},dogs & cats", "--model.lr", "[0.5, 1]"]) == 0
    write_report(run := Run("<b>one"))
    read_page("compared", 1)
    (sentence, *_) = json.loads(Path("lightning_logs/study/study.json").read_text())["sentences"]
    assert sentence in read_page("lightning_logs/study", 5)
    text, numbers = read_page("lightning_logs/<b>one", 5 + 6), run.numbers()
    titles = "Answer", "Test", "Test-best", "Training", "Data", "Leaks", "Again", "Options"
    places = [text.index(f" {title} ") for title in titles]
    assert places == sorted(places), "the answer comes first"
    assert " loss 0." not in text[places[1] : places[3]], "it is another one of the numbers"
    changed, _, record = text[places[-1] :].partition(" config.yaml ")
    for words in "model.loss mse", "trainer.max_steps 101", "optimizer used SGD", "learning rate used 2.0":
        assert words in changed
    assert "hidden_features" not in changed, "a default"
    assert " ".join(run.config.read_text().split()) in record
    assert " ".join(run.checkpoint()["fingerprint"]["sha256"]) in record
    accuracy, low = f"{numbers['accuracy']:.4f}", f"{numbers['accuracy_interval'][0]:.4f}"
    for words in (
        f"Accuracy {accuracy}, 95 % interval {low} to ",
        f"class_0.npy {NASTY}",
        "rows in train 60",
        f"val_loss {run.final()['val_loss']:.4f}",
        f"accuracy {accuracy} {low}",
        "20 test rows, last.ckpt after 101 iterations.",
        "duplicates looked for, not found 0 test rows also occur in train",
        "python -m project fit --ckpt_path 'lightning_logs/<b>one/checkpoints/last.ckpt' --trainer.max_steps 202",
    ):
        assert words in text


def test_the_most_wrong_rows_are_shown_and_ringed() -> None:
    """By their class and their number in its file, the worst first, with what they are, and so are features."""
    run, page = Run("<b>one"), write_report(Run("<b>one")).read_text()
    tested = np.loadtxt(run.path / "test_predictions.csv", delimiter=",", skiprows=1)
    distances = abs(tested[:, 2] - tested[:, 1])
    worst = [number for number in np.argsort(-distances, kind="stable") if distances[number] > 0.5]
    section, rings = wrong_section(run, "test"), run.figure("test-boundary").axes[0].lines[-1]
    for (name, *cells), place in zip(section.rows, worst, strict=True):
        row, label, probability = tested[place][:3]
        assert name == f"{[NASTY, 'dogs & cats'][int(label)]}, {row:.0f}"
        features = np.load(f"data/class_{label:.0f}.npy")[int(row)]
        assert [float(cell) for cell in cells] == pytest.approx([probability, *features], rel=1e-3)
        assert (abs(rings.get_xydata() - features).max(1) < 1e-6).any()
        assert "".join(f"<td>{cell}</td>" for cell in cells) in page
    assert rings.get_label() == f"the {len(worst)} most wrong"
    found = run.numbers()["importance"]["features"]
    assert [row[0] for row in features_section(run, "test").rows] == sorted(found, key=lambda name: -found[name]["bce"])
    assert all(f"<td>{found['feature 1'][name]:.4f}</td>" in page for name in ("accuracy", "bce"))


def test_it_says_what_is_missing() -> None:
    """A test of an earlier version among that."""
    Path("data").rename("moved")
    (run := Run("<b>one")).table.path.unlink()
    page, file = write_report(run).read_text(), run.path / "test.json"
    missing = page.count("What would stand here is missing: ")
    assert missing == 5, "data, training, leaks, and wrong rows of either test"
    file.write_text(file.read_text().replace("importance", "worth"))
    page = write_report(run).read_text()
    assert page.count("its test of last.ckpt is of an earlier version; run test again") == 3


@pytest.mark.usefixtures("quick")
def test_captions_speak_of_a_curve_where_there_is_one_feature() -> None:
    for label in (0, 1):
        np.save(f"data/class_{label}.npy", np.load(f"data/class_{label}.npy")[:, :1])
    assert main(["fit", "--name", "narrow", "--data.root", "data", "--trainer.max_steps", "20"]) == 0
    captions = " ".join(words for _, words in run_figures(Run("narrow")).values())
    assert "probability of class 1 along the feature" in captions
    assert not re.search("plane of|pale", captions)


def test_odd_data_and_leaks_are_found(write_classes: Write) -> None:
    """All rows of class 0 are equal, and one of class 1; groups that a split by rows tears apart are said to be."""
    rows = np.insert(np.arange(40.0).reshape(20, 2), 2, 1, 1)
    rows[3] = 1
    with pytest.warns(UserWarning, match=r"test rows also occur|is constant"):
        (data := NpyDataModule(write_classes(np.ones((20, 3)), rows))).setup("fit")
    run = Run("two", data=data)
    said = "Noticed: 1 feature vectors occur in both classes, which nothing can tell apart."
    assert data_section(run).texts == [said, "Noticed: column 2 constant in the training subset."]
    found = [row[1] for row in leaks_section(run).rows]
    assert len(found) == 8, "the types of Kapoor and Narayanan"
    assert (found[3], found[6]) == ("found", "not looked for")
    for split, word in {"rows": "found", "groups": "looked for, not found"}.items():
        (data := NpyDataModule(split=split)).setup("fit")  # type: ignore[arg-type]
        assert leaks_section(Run("two", data=data)).rows[6][1] == word
