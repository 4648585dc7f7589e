"""The notebook runs from its first cell to its last, and shows figures and texts and nothing else."""

import base64
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import project

pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq"),  # pyzmq's own calls
]
NOTEBOOK = Path(project.__file__).parent / "coursework.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the cells have put out; an error in one of them is raised here."""
    folder, patch = tmp_path_factory.mktemp("notebook"), pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    patch.setenv("IPYTHONDIR", str(folder / "ipython"))
    notebook = nbformat.read(NOTEBOOK, 4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    patch.undo()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_it_is_stored_without_what_one_machine_has_put_out() -> None:
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


def test_nothing_is_said_on_stderr_and_no_widget_is_left(outputs: list[Any]) -> None:
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert kinds == {"text/plain", "image/png"}
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    text = "".join(output.get("text", "") for output in outputs)
    assert "validation loss" in text
    assert "warning" not in text


def test_figures_show_inline(outputs: list[Any]) -> None:
    images = [base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.get("data", {})]
    assert len(images) == 6
    assert all(image.startswith(b"\x89PNG") and len(image) > 10_000 for image in images)
