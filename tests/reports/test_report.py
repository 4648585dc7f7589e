"""Reports: one file each, valid, small, readable anywhere, and never more than text where names hold markup."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
import pytest
from PIL import Image

from project import Run
from project.__main__ import main
from project.data import NpyDataModule
from project.reports.report import data_section, leaks_section, write_report
from tests.conftest import Write

pytestmark = pytest.mark.process
NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with two runs whose names and classes hold markup, their comparison, and a study."""
    folder, rng = tmp_path_factory.mktemp("reports"), np.random.default_rng(0)
    (folder / "data").mkdir()
    for label in (0, 1):
        rows = rng.normal(2 * label - 1, 1, (50, 2))
        np.save(folder / "data" / f"class_{label}.npy", np.concatenate([rows, np.ones((50, 1))], 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        data = ["--data.root", "data", "--data.class_names", f"{NASTY},dogs & cats"]
        for name in "<b>one", "two":
            assert main(["fit", "--name", name, "--trainer.max_steps", "60", *data]) == 0
        assert main(["test", "--name", "<b>one"]) == 0
        assert main(["compare", "<b>one", "two", "--output", "compared"]) == 0
        study = ["--splits", "2", "--seeds", "1", "--trainer.max_steps", "20", "--name", "study"]
        assert main(["study", *study, *data]) == 0
    return folder


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def parse(html: str) -> tuple[Any, str]:
    """Return the elements of a page, which is refused if it is not valid, and its text."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    return tree, " ".join(" ".join(tree.find("body").itertext()).split())


def test_a_report_is_one_small_valid_file() -> None:
    """With so many pictures; of the first one's, four are in a film."""
    for where, count in {"lightning_logs/<b>one": 5 + 4, "compared": 1, "lightning_logs/study": 5}.items():
        html = Path(where, "report.html").read_text()
        tree, _ = parse(html)
        assert len(html) < 1_000_000
        assert not re.search(r"""(src|href)=["'](?!data:)""", html), "nothing is fetched"
        pictures = list(tree.iter("img"))
        assert len(pictures) == count
        for picture in pictures:
            assert len(picture.get("alt").split()) > 5
            data = base64.b64decode(picture.get("src").removeprefix("data:image/png;base64,"))
            assert Image.open(io.BytesIO(data)).size > (300, 200)
        assert len(list(tree.iter("script"))) == 1, "the template's own"
        assert "<b>" not in html


def test_it_tells_data_options_numbers_and_how_to_go_on() -> None:
    run, study = Run("<b>one"), Path("lightning_logs/study")
    (_, text), numbers = parse((run.path / "report.html").read_text()), run.numbers()
    for words in (
        f"{NASTY} (class_0.npy)",
        "Noticed: column 2 constant in the training subset.",
        "rows in train 60",
        "model.loss bce",
        "trainer.max_steps 60",
        f"val_loss {run.final()['val_loss']:.4f}",
        f"accuracy {numbers['accuracy']:.4f} {numbers['accuracy_interval'][0]:.4f}",
        "20 test rows, last.ckpt after 60 iterations.",
        "duplicates looked for, not found 0 test rows also occur in train",
        "python -m project fit --ckpt_path 'lightning_logs/<b>one/checkpoints/last.ckpt' --trainer.max_steps 120",
    ):
        assert words in text
    assert json.loads((study / "study.json").read_text())["sentence"] in parse((study / "report.html").read_text())[1]
    Path("data").rename("moved")
    (run.path / "history.csv").rename("history.csv")
    html = write_report(Run("<b>one")).read_text()
    assert html.count("What would stand here is missing: ") == 3, "data, training and leaks"
    Path("moved").rename("data")
    Path("history.csv").rename(run.path / "history.csv")


def test_leaks_that_are_there_are_found(write_classes: Write) -> None:
    """All rows of class 0 are equal, and one of class 1; groups that a split by rows tears apart are said to be."""
    rows = np.arange(40.0).reshape(20, 2)
    rows[3] = 1
    with pytest.warns(UserWarning, match="test rows also occur"):
        (data := NpyDataModule(write_classes(np.ones((20, 2)), rows))).setup("fit")
    run = Run("two", data=data)
    said = "Noticed: 1 feature vectors occur in both classes, which nothing can tell apart."
    assert data_section(run).texts == [said]
    found = [row[1] for row in leaks_section(run).rows]
    assert len(found) == 8, "the types of Kapoor and Narayanan"
    assert (found[3], found[6]) == ("found", "not looked for")
    for split, word in {"rows": "found", "groups": "looked for, not found"}.items():
        (data := NpyDataModule(split=split)).setup("fit")  # type: ignore[arg-type]
        assert leaks_section(Run("two", data=data)).rows[6][1] == word
