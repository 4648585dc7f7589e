"""The README's commands, run as they are written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from project.data import sample

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python -m project")
]


@pytest.mark.process
def test_every_command_succeeds_in_the_order_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "DIR").symlink_to(sample.ROOT)
    np.save(tmp_path / "NEW.npy", np.load(sample.ROOT / "class_0.npy"))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "project", "fit"], cwd=tmp_path, check=True)  # "make fit" does this.
    assert len(COMMANDS) >= 7
    for command in COMMANDS:
        subprocess.run(shlex.split(command), cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "comparison" / "comparison.png").exists()


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
