"""Run folders: claimed once, held by one process, and found again by name or as the newest."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import filelock
import pytest

from project.errors import InputError
from project.runs.disk import HELD, release
from project.runs.run import RunFolder, find_checkpoint, newest
from tests.campaigns import claims


def make_trained(logs: Path, name: str | None) -> RunFolder:
    run = RunFolder.claim(logs, name)
    release(run.path)
    run.last.parent.mkdir()
    run.last.touch()
    run.table.create(["step", "train_loss"])
    run.table.append([{"step": 1, "train_loss": 0.5}])
    return run


def test_claims_count_upwards_and_never_take_what_is_there(tmp_path: Path) -> None:
    for taken in ("version_0", "version_10", "version_x"):
        (tmp_path / taken).mkdir()
    (tmp_path / "file").touch()
    assert RunFolder.claim(tmp_path, None).path.name == "version_11"
    mine = RunFolder.claim(tmp_path, "mine")
    assert RunFolder.claim(tmp_path, "mine").path == mine.path, "it has no checkpoint, and begins again"
    mine.last.parent.mkdir()
    mine.last.touch()
    assert RunFolder.from_checkpoint(mine.last) is None, "a checkpoint that is in no run"
    mine.config.touch()
    assert getattr(RunFolder.from_checkpoint(mine.last), "path", None) == mine.path
    for name in "mine", "file":
        with pytest.raises(InputError, match=rf"^--name: .*{name} exists.*--ckpt_path"):
            RunFolder.claim(tmp_path, name)


@pytest.mark.process
def test_a_run_that_another_process_writes_is_left_alone_until_it_is_killed(tmp_path: Path) -> None:
    claim = f"RunFolder.claim(Path({str(tmp_path)!r}), 'mine')"
    program = f"from project.runs.run import *; {claim}; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        next(iter(process.stdout or ()))
        with pytest.raises(InputError, match=r"mine: another process is writing this run; wait for it or stop it"):
            RunFolder.claim(tmp_path, "mine")
        process.kill()
    for writer in process.pid, os.getpid():
        (tmp_path / "mine" / f".half-written.{writer}.tmp").touch()
    assert RunFolder.claim(tmp_path, "mine").path.name == "mine"
    left = {path.name for path in (tmp_path / "mine").iterdir()}
    assert left == {".lock", f".half-written.{os.getpid()}.tmp"}, "what a living process writes stays"


@pytest.mark.process
def test_processes_that_start_together_share_no_run_folder() -> None:
    command = [sys.executable, "-m", claims.__name__, "--rounds", "10", "--processes", "4"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert "4 processes at once: 10 times claiming, 0 failures" in done.stdout


def test_a_run_is_held_once_and_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.claim(tmp_path, "mine")
    run.hold()
    assert (tmp_path / "runs.txt").read_text() == "mine\n"
    release(run.path)
    with filelock.FileLock(run.path / ".lock", timeout=0):
        assert run.path.absolute() not in HELD
    failure = OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    monkeypatch.setattr(filelock.FileLock, "acquire", Mock(side_effect=failure))
    with pytest.raises(OSError, match=f"No locks available; use another --trainer.*{run.path}"):
        run.hold()


def test_newest_is_the_run_that_began_or_went_on_last_whatever_the_times_of_files(tmp_path: Path) -> None:
    """A run that came from elsewhere is none of them, nor one that is not trained or gone."""
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
    assert newest(tmp_path).path == zzz.path
    (tmp_path / "runs.txt").unlink()
    (tmp_path / "studies.txt").write_text("copy\n")
    with pytest.raises(InputError, match="or give the --name of one that is there: old and zzz"):
        newest(tmp_path)


def test_a_named_run_must_be_there_and_be_the_checkpoints_own(tmp_path: Path) -> None:
    a, b = make_trained(tmp_path, "a"), make_trained(tmp_path, "b")
    assert find_checkpoint(tmp_path, "a", "last") == find_checkpoint(tmp_path, "a", str(a.last)) == a.last
    assert find_checkpoint(tmp_path, None, "best") == b.best
    for name, wanted, message in (
        ("nosuch", "last", r"--name: .*nosuch: no such run; .* there: a and b"),
        ("b", str(a.last), r"--name: b; .* is of another run"),
    ):
        with pytest.raises(InputError, match=message):
            find_checkpoint(tmp_path, name, wanted)
