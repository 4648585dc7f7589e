"""The notebook runs from its first cell to its last, and shows figures and texts and nothing else."""

import base64
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import project

NOTEBOOK = Path(project.__file__).parent / "coursework.ipynb"


@pytest.mark.process
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq")  # pyzmq's own calls
def test_it_shows_texts_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stored without outputs. Nothing is said on stderr, no widget is left, and no cell raises an error."""
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all((cell.outputs, cell.execution_count) == ([], None) for cell in code)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    shown = [item for output in outputs for item in output.get("data", {}).items()]
    assert {kind for kind, _ in shown} == {"text/plain", "image/png"}
    text = "".join(output.get("text", "") for output in outputs)
    assert "validation loss" in text
    assert "warning" not in text
    images = [content for kind, content in shown if kind == "image/png"]
    assert len(images) == 6
    assert all(len(base64.b64decode(image)) > 10_000 for image in images)
