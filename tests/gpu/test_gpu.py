"""The script for a card runs to its end on a processor, and finds there what it would assert of a card."""

import json
import multiprocessing
from pathlib import Path

import pytest

from tests.gpu.__main__ import main

CHECKS = {"commands", "resume", "nccl", "waits", "rows_1e6", "study", "rows_1e7"}


@pytest.mark.process
def test_every_check_of_a_card_passes_small_on_a_processor(tmp_path: Path) -> None:
    options = ["--device", "cpu", "--output", str(tmp_path)]
    process = multiprocessing.get_context("fork").Process(target=main, args=[options])
    process.start()
    process.join(400)
    found, table = json.loads((tmp_path / "gpu.json").read_text()), (tmp_path / "gpu.md").read_text()
    assert process.exitcode == 0, table
    assert found.keys() == CHECKS | {"device", "torch"}
    assert found["waits"]["aten::_local_scalar_dense"] == 20, "on a processor each iteration looks at its loss"
    assert all(f"| {check} | seconds |" in table for check in CHECKS)
