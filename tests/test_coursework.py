"""The notebook runs from its first cell to its last, and shows figures and texts and nothing else."""

import base64
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import project

NOTEBOOK = Path(project.__file__).parent / "coursework.ipynb"


def test_it_is_stored_without_what_one_machine_has_put_out() -> None:
    code = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert all((cell.outputs, cell.execution_count) == ([], None) for cell in code)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq")  # pyzmq's own calls
def test_it_shows_texts_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said on stderr, no widget is left, and no cell raises an error."""
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, 4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    data = [output.get("data", {}) for output in outputs]
    assert {kind for each in data for kind in each} == {"text/plain", "image/png"}
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    text = "".join(output.get("text", "") for output in outputs)
    assert "validation loss" in text
    assert "warning" not in text
    images = [base64.b64decode(each["image/png"]) for each in data if "image/png" in each]
    assert len(images) == 6
    assert all(image.startswith(b"\x89PNG") and len(image) > 10_000 for image in images)
