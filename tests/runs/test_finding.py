"""Runs and checkpoints are found again, by name or as the newest."""

import shutil
from pathlib import Path

import pytest

from project.errors import InputError, InputWarning
from project.runs.disk import release
from project.runs.finding import find_checkpoint, newest
from tests.runs.test_run import make_trained


def test_newest_is_the_run_that_began_or_went_on_last_whatever_the_times_of_files(tmp_path: Path) -> None:
    """A run that came from elsewhere is none of them; an untrained one is named, one that is gone is not."""
    with pytest.raises(InputError, match=r"no run was trained here yet; run fit first$"):
        newest(tmp_path)
    zzz, old, gone = (make_trained(tmp_path, name) for name in ("zzz", "old", "gone"))
    shutil.copytree(old.path, tmp_path / "copy")
    zzz.last.touch()
    shutil.rmtree(gone.path)
    assert newest(tmp_path).path == old.path
    zzz.hold()
    release(zzz.path)
    assert newest(tmp_path).path == zzz.path
    make_trained(tmp_path, "untrained").table.create(["step", "train_loss"])
    with pytest.warns(InputWarning, match="untrained began later, but without a checkpoint .*; zzz is taken"):
        assert newest(tmp_path).path == zzz.path
    (tmp_path / "runs.txt").unlink()
    with pytest.raises(InputError, match="or give the --name of one that is there: copy, old and zzz"):
        newest(tmp_path)


def test_a_named_run_must_be_there_and_be_the_checkpoints_own(tmp_path: Path) -> None:
    a, b = make_trained(tmp_path, "a"), make_trained(tmp_path, "b")
    assert find_checkpoint(tmp_path, "a", "last") == find_checkpoint(tmp_path, "a", str(a.last)) == a.last
    assert find_checkpoint(tmp_path, None, "best") == b.best
    with pytest.raises(InputError, match=r"--name: .*nosuch: no such run; .* there: a and b"):
        find_checkpoint(tmp_path, "nosuch", "last")
    with pytest.raises(InputError, match=r"--name: b; .* is of another run"):
        find_checkpoint(tmp_path, "b", str(a.last))
