"""The notebook: it runs from its first cell to its last, and ships with what a fresh run shows.

``python -m tests.test_coursework`` writes its outputs anew.
"""

import base64
import io
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import project

NOTEBOOK = Path(project.__file__).parent / "coursework.ipynb"
NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Files that are most of a short fit, and not looked at here: cells draw their own figures.
LESS = """
from project.callbacks import Checkpoints, History
from project.commands import network
network.CALLBACKS, network.write_report = [History, Checkpoints], str
network.RunLogger = lambda folder, _: network.FolderLogger(folder)
"""


def execute(notebook: Any, folder: Path) -> None:
    """Run all cells in a folder, and leave their outputs in them, but not when and by which Python."""
    metadata, place = dict(notebook.metadata), {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=300, record_timing=False, coalesce_streams=True, resources=place)
    client.execute()
    notebook.metadata = nbformat.from_dict(metadata)


def open_png(png: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")


def shown(cell: Any) -> tuple[str, list[Any]]:
    """Return the text of a cell's outputs, and its pictures, (height, width, 3)."""
    contents = [output.get("data", {}) for output in cell.outputs]
    texts = [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]
    pngs = [content["image/png"] for content in contents if "image/png" in content]
    return "\n".join(texts), [np.asarray(open_png(png), float) for png in pngs]


@pytest.mark.process
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq")  # pyzmq's own calls
def test_it_ships_with_what_a_fresh_run_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said on stderr, and no cell raises an error, also where runs lie already: Run All works twice."""
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    assert NOTEBOOK.stat().st_size <= 1_000_000
    (shipped, fresh), place = (nbformat.read(NOTEBOOK, 4) for _ in range(2)), tmp_path / "place"
    (place / "lightning_logs" / "version_9").mkdir(parents=True)
    fresh.cells.insert(0, nbformat.v4.new_code_cell(LESS))
    execute(fresh, place)
    pictures = 0
    for number, (old, new) in enumerate(zip(shipped.cells, fresh.cells[1:], strict=True)):
        if old.cell_type != "code":
            continue
        assert {output.get("name", "stdout") for output in new.outputs} <= {"stdout"}
        (text, images), (new_text, new_images) = shown(old), shown(new)
        new_text = re.sub(r"version_(\d+)", lambda name: f"version_{int(name[1]) - 10}", new_text)
        assert NUMBER.split(new_text) == NUMBER.split(text), f"cell {number}: run python -m tests.test_coursework"
        assert not re.search(r"(?<![\w.])/\w", text), "a path of one machine"
        numbers, new_numbers = (list(map(float, NUMBER.findall(each))) for each in (text, new_text))
        assert new_numbers == pytest.approx(numbers, rel=0.02, abs=0.02)
        for image, new_image in zip(images, new_images, strict=True):
            assert image.shape == new_image.shape
            assert np.abs(image - new_image).mean() < 3, f"cell {number}"
        pictures += len(images)
    assert pictures == 8


def write() -> None:
    """Execute the notebook and store it with its outputs, the pictures in 256 colours."""
    notebook = nbformat.read(NOTEBOOK, 4)
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, Path(folder))
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if png := output.get("data", {}).get("image/png"):
            open_png(png).quantize(256).save(reduced := io.BytesIO(), "png", optimize=True)
            output["data"]["image/png"] = base64.b64encode(reduced.getvalue()).decode()
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    write()
