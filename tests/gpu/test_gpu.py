"""The script for a card runs to its end on a processor, and finds there what it would assert of a card."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CONFIGS

CHECKS = {"commands", "resume", "nccl", "waits", "rows_1e6", "study", "rows_1e7"}


@pytest.mark.process
def test_every_check_of_a_card_passes_small_on_a_processor(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gpu", "--device", "cpu", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=CONFIGS.parent, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found.keys() == CHECKS | {"device", "torch"}
    assert found["waits"]["aten::_local_scalar_dense"] == 20, "on a processor each iteration looks at its loss"
    table = (tmp_path / "gpu.md").read_text()
    assert all(f"| {check} | seconds |" in table for check in CHECKS)
