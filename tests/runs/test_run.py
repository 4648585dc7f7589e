"""Run folders: claimed once, held by one process, and found again by name or as the newest; and their tables."""

import errno
import multiprocessing
import os
import shutil
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path
from unittest.mock import Mock

import filelock
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.errors import InputError
from project.runs.disk import HELD, release
from project.runs.run import RunFolder, find_checkpoint, newest
from project.runs.table import Table

FORK = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else None)


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


def test_a_run_that_another_process_writes_is_left_alone_until_it_is_killed(tmp_path: Path) -> None:
    claimed, forever = FORK.Event(), FORK.Event()
    writer = FORK.Process(target=lambda: (RunFolder.claim(tmp_path, "mine"), claimed.set(), forever.wait()))
    writer.start()
    assert claimed.wait(60)
    with pytest.raises(InputError, match=r"mine: another process is writing this run; wait for it or stop it"):
        RunFolder.claim(tmp_path, "mine")
    writer.kill()
    writer.join()
    for process in writer.pid, os.getpid():
        (tmp_path / "mine" / f".half-written.{process}.tmp").touch()
    assert RunFolder.claim(tmp_path, "mine").path.name == "mine"
    left = {path.name for path in (tmp_path / "mine").iterdir()}
    assert left == {".lock", f".half-written.{os.getpid()}.tmp"}, "what a living process writes stays"


def claim(logs: Path, name: str | None, number: int, barrier: Barrier) -> None:
    """Wait for the other processes, claim a folder, and leave a mark in it."""
    barrier.wait()
    try:
        claimed = RunFolder.claim(logs, name)
    except InputError:
        sys.exit(2)
    (claimed.path / f"owner{number}").touch()
    claimed.last.parent.mkdir(exist_ok=True)
    claimed.last.touch()  # A name without a checkpoint is free again once its process has ended.


@pytest.mark.parametrize("name", [*[None] * 8, *["the same"] * 2])
def test_processes_that_start_together_share_no_run_folder(name: str | None, tmp_path: Path) -> None:
    barrier = FORK.Barrier(4)
    processes = [FORK.Process(target=claim, args=(tmp_path, name, number, barrier)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    winners = 4 if name is None else 1
    assert sorted(process.exitcode or 0 for process in processes) == [0] * winners + [2] * (4 - winners)
    assert [len(list(path.glob("owner*"))) for path in tmp_path.iterdir() if path.is_dir()] == [1] * winners


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
    assert find_checkpoint(tmp_path, None, "best") == zzz.best
    for name, wanted in ("old", "last"), ("old", str(old.last)):
        assert find_checkpoint(tmp_path, name, wanted) == old.last
    (tmp_path / "runs.txt").unlink()
    (tmp_path / "studies.txt").write_text("copy\n")
    with pytest.raises(InputError, match="or give the --name of one that is there: old and zzz"):
        newest(tmp_path)
    for name, wanted, message in (
        ("nosuch", "last", r"--name: .*nosuch: no such run; .* there: old and zzz"),
        ("zzz", str(old.last), r"--name: zzz; .* is of another run"),
    ):
        with pytest.raises(InputError, match=message):
            find_checkpoint(tmp_path, name, wanted)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.one_of(st.none(), st.floats(width=32, allow_nan=False)), max_size=30),
    keep=st.integers(0, 40),
    torn=st.binary(max_size=5).filter(lambda tail: b"\n" not in tail),
)
def test_a_table_keeps_every_float32_and_is_cut_at_a_step(
    tmp_path: Path, rows: list[float | None], keep: int, torn: bytes
) -> None:
    table = Table(tmp_path / "table.csv")
    table.create(["step", "value"])
    cells = ({} if value is None else {"value": value, "of no column": 0} for value in rows)
    table.append({"step": step, **cell} for step, cell in enumerate(cells, 1))
    assert table.rows == len(rows)
    with table.path.open("ab") as file:
        file.write(torn)  # This is what a kill in the middle of a write leaves.
    table.truncate(keep)
    read = table.read()
    expected = [np.nan if value is None else value for value in rows[:keep]]
    np.testing.assert_array_equal(read["step"], np.arange(1, len(expected) + 1))
    np.testing.assert_array_equal(read["value"].astype(np.float32), np.array(expected, np.float32))


def test_a_table_that_a_spreadsheet_saved_is_read_and_what_is_none_is_refused(tmp_path: Path) -> None:
    table = Table(tmp_path / "table.csv")
    for damaged in b"", b"\x00\xff\x89PNG", b"step,value\n1,a\n", b"step,value\n1,2,3\n", b"1,2\n", None:
        table.path.unlink(missing_ok=True) if damaged is None else table.path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"table\.csv: "):
            table.read()
    table.path.write_bytes(b"\xef\xbb\xbfstep,value\r\n1,0.5\r\n2.0,\r\n")
    table.truncate(2)
    assert list(table.read()) == ["step", "value"]
    np.testing.assert_array_equal(list(table.read().values()), [[1, 2], [0.5, np.nan]])
