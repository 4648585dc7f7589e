"""Run folders: claimed once, and held by one process."""

import subprocess
import sys
from pathlib import Path

import pytest

from project import Run
from project.errors import InputError
from project.runs.disk import release


def make_trained(logs: Path, name: str | None) -> Run:
    run = Run.claim(logs, name)
    release(run.path)
    run.last.parent.mkdir()
    run.last.touch()
    run.table.create(["step", "train_loss"])
    run.table.append([[1, 0.5]])
    return run


def test_claims_count_upwards_and_never_take_what_is_there(tmp_path: Path) -> None:
    for taken in ("version_0", "version_10", "version_x", "other"):
        (tmp_path / taken).mkdir()
    assert Run.claim(tmp_path, None).path.name == "version_11"
    mine = Run.claim(tmp_path, "mine")
    assert Run.claim(tmp_path, "mine").path == mine.path, "it has no checkpoint, and begins again"
    mine.last.parent.mkdir()
    mine.last.touch()
    with pytest.raises(InputError, match=r"^name.*mine exists.*ckpt_path="):
        Run.claim(tmp_path, "mine")


def test_a_checkpoint_elsewhere_has_no_run(tmp_path: Path) -> None:
    run = make_trained(tmp_path, None)
    assert Run.of_checkpoint(run.last) is None
    run.config.touch()
    assert getattr(Run.of_checkpoint(run.last), "path", None) == run.path


@pytest.mark.process
def test_a_run_that_another_process_writes_is_left_alone_until_it_ends(tmp_path: Path) -> None:
    program = f"from project.runs.run import *; Run.claim(Path({str(tmp_path)!r}), 'mine'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(InputError, match=rf"mine: process {process.pid} is writing this run"):
            Run.claim(tmp_path, "mine")
        process.kill()
    assert Run.claim(tmp_path, "mine").path.name == "mine"
