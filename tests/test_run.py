"""Run folders: claimed once, and found again."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project.disk import release
from project.errors import InputError, InputWarning
from project.run import Run, find_checkpoint


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


def test_newest_is_the_run_that_began_or_went_on_last_whatever_the_times_of_files(tmp_path: Path) -> None:
    """A run that came from elsewhere is none of them; an untrained one is named, one that is gone is not."""
    with pytest.raises(InputError, match=r"no run was trained here yet; run fit first$"):
        Run.newest(tmp_path)
    zzz, old, gone = (make_trained(tmp_path, name) for name in ("zzz", "old", "gone"))
    shutil.copytree(old.path, tmp_path / "copy")
    zzz.last.touch()
    shutil.rmtree(gone.path)
    assert Run.newest(tmp_path).path == old.path
    zzz.hold()
    release(zzz.path)
    assert Run.newest(tmp_path).path == zzz.path
    make_trained(tmp_path, "untrained").table.create(["step", "train_loss"])
    with pytest.warns(InputWarning, match="untrained began later, but without a checkpoint .*; zzz is taken"):
        assert Run.newest(tmp_path).path == zzz.path
    (tmp_path / "runs.txt").unlink()
    with pytest.raises(InputError, match="or give the --name of one that is there: copy, old and zzz"):
        Run.newest(tmp_path)


def test_a_named_run_must_be_there_and_be_the_checkpoints_own(tmp_path: Path) -> None:
    a, b = make_trained(tmp_path, "a"), make_trained(tmp_path, "b")
    assert find_checkpoint(tmp_path, "a", "last") == find_checkpoint(tmp_path, "a", str(a.last)) == a.last
    assert find_checkpoint(tmp_path, None, "best") == b.best
    with pytest.raises(InputError, match=r"--name: .*nosuch: no such run; .* there: a and b"):
        find_checkpoint(tmp_path, "nosuch", "last")
    with pytest.raises(InputError, match=r"--name: b; .* is of another run"):
        find_checkpoint(tmp_path, "b", str(a.last))


def test_a_checkpoint_elsewhere_has_no_run(tmp_path: Path) -> None:
    run = make_trained(tmp_path, None)
    assert Run.of_checkpoint(run.last) is None
    run.config.touch()
    assert getattr(Run.of_checkpoint(run.last), "path", None) == run.path


@pytest.mark.process
def test_a_run_that_another_process_writes_is_left_alone_until_it_ends(tmp_path: Path) -> None:
    program = f"from project.run import *; Run.claim(Path({str(tmp_path)!r}), 'mine'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(InputError, match=rf"mine: process {process.pid} is writing this run"):
            Run.claim(tmp_path, "mine")
        process.kill()
    assert Run.claim(tmp_path, "mine").path.name == "mine"
