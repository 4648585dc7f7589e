"""Reports: one file each, valid, small, readable anywhere, and never more than text where names hold markup."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import html5lib
import numpy as np
import pytest
from PIL import Image

from project import Run
from project.__main__ import main
from project.data import NpyDataModule
from project.reports.report import leaks_section, oddities, write_report
from tests.conftest import Write

pytestmark = pytest.mark.process
NASTY = "<script>alert(1)</script>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
# A page that shows a report in a frame of 360 pixels, and then says by how much it is too wide, how high it is, and
# which pictures of its film are hidden, before and after its slider was moved to the beginning.
NARROW = """<!DOCTYPE html><title>frame</title><iframe width="360" height="800" style="border: 0"></iframe><script>
const frame = document.querySelector("iframe");
window.onload = () => {
    const {scrollWidth, clientWidth, scrollHeight} = frame.contentDocument.documentElement;
    const film = frame.contentDocument.querySelector(".film");
    const hidden = () => [...film?.querySelectorAll("img") ?? []].map((picture) => Number(picture.hidden)).join("");
    const before = hidden(), slider = film?.querySelector("input");
    if (slider) {
        slider.value = 0;
        slider.dispatchEvent(new Event("input"));
    }
    document.title = `${scrollWidth - clientWidth} ${scrollHeight} ${before} ${hidden()}`;
};
frame.srcdoc = %s;
</script>"""


class Text(HTMLParser):
    """Gathers the visible text, the tags, and the alternative texts of pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.tags, self.alternatives = list[str](), list[str](), list[str]()
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.alternatives += [value or "" for name, value in attributes if name == "alt"]

    def handle_data(self, data: str) -> None:
        self.words += [data] * (self.tags[-1:] not in (["style"], ["script"]))


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


REPORTS = {"lightning_logs/<b>one": 5 + 4, "compared": 1, "lightning_logs/study": 5}  # pictures, four in a film


@pytest.mark.parametrize("where", REPORTS)
def test_a_report_is_one_small_valid_file(where: str) -> None:
    html = Path(where, "report.html").read_text()
    html5lib.HTMLParser(strict=True).parse(html)
    assert len(html) < 1_000_000
    assert not re.search(r"""(src|href)=["'](?!data:)""", html), "nothing is fetched"
    found = Text(html)
    assert found.tags.count("img") == len(found.alternatives) == REPORTS[where]
    assert all(len(text.split()) > 5 for text in found.alternatives)
    pictures = [base64.b64decode(data) for data in re.findall(r'src="data:image/png;base64,([^"]*)"', html)]
    assert [Image.open(io.BytesIO(picture)).size > (300, 200) for picture in pictures] == [True] * REPORTS[where]
    assert found.tags.count("script") == 1, "the template's own"
    assert "<b>" not in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_it_tells_data_options_numbers_and_how_to_go_on() -> None:
    run = Run("<b>one")
    found, numbers = Text((run.path / "report.html").read_text()), run.numbers()
    assert f"{NASTY} (class_0.npy)" in found.text
    for words in (
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
        assert words in found.text
    Path("data").rename("moved")
    assert "The data are not where they were" in Text(write_report(Run("<b>one")).read_text()).text
    Path("moved").rename("data")
    study = Path("lightning_logs/study")
    told = Text((study / "report.html").read_text()).text
    assert json.loads((study / "study.json").read_text())["sentence"] in told


def test_leaks_that_are_there_are_found(write_classes: Write) -> None:
    """All rows of class 0 are equal, and one of class 1; groups that a split by rows tears apart are said to be."""
    rows = np.arange(40.0).reshape(20, 2)
    rows[3] = 1
    root = write_classes(np.ones((20, 2)), rows)
    with pytest.warns(UserWarning, match="test rows also occur"):
        (data := NpyDataModule(root)).setup("fit")

    def told(data: NpyDataModule) -> dict[str, str]:
        return {row[0]: row[1] for row in leaks_section(Run("two", data=data)).rows}

    assert len(told(data)) == 8, "the types of Kapoor and Narayanan"
    assert told(data)["duplicates"] == "found"
    assert told(data)["dependence between training and test rows"] == "not looked for"
    assert oddities(data) == ["1 feature vectors occur in both classes, which nothing can tell apart"]
    for split, word in {"rows": "found", "groups": "looked for, not found"}.items():
        (data := NpyDataModule(split=split)).setup("fit")  # type: ignore[arg-type]
        assert told(data)["dependence between training and test rows"] == word


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("where", REPORTS)
def test_in_a_browser_it_fits_a_narrow_screen(where: str, tmp_path: Path) -> None:
    html = json.dumps(Path(where, "report.html").read_text()).replace("</", "<\\/")
    (tmp_path / "frame.html").write_text(NARROW % html)
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    command = [str(CHROMIUM), *options, f"file://{tmp_path}/frame.html"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    too_wide, height, at_first, moved = re.findall(r"<title>(\d+) (\d+) (\d*) (\d*)</title>", dom)[0]
    assert too_wide == "0"
    assert int(height) > 800
    assert (at_first, moved) == (("1110", "0111") if REPORTS[where] > 5 else ("", ""))
