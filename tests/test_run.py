"""Run folders: claimed once, found again, and their tables."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.errors import InputError
from project.run import Run, Table


def make_trained(folder: Path, age: int) -> Run:
    run = Run(folder)
    run.last.parent.mkdir(parents=True)
    run.last.touch()
    os.utime(run.last, (1000 - age, 1000 - age))
    run.history.create(["step", "train_loss"])
    run.history.append([[1, 0.5]])
    return run


def test_claims_count_upwards_from_the_highest_version(tmp_path: Path) -> None:
    for taken in ("version_0", "version_10", "version_x", "other"):
        (tmp_path / "logs" / taken).mkdir(parents=True)
    assert Run.claim(tmp_path / "logs", None).path.name == "version_11"
    assert Run.claim(tmp_path / "logs", "mine").path.name == "mine"
    with pytest.raises(InputError, match=r"--name.*mine exists.*--ckpt_path"):
        Run.claim(tmp_path / "logs", "mine")


def test_claims_at_the_same_time_never_share_a_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: Run.claim(tmp_path / "logs", None), range(64)))
    assert len({run.path for run in runs}) == 64


def test_newest_is_the_run_trained_last_and_never_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained run"):
        Run.newest(tmp_path)
    make_trained(tmp_path / "old", age=50)
    newest = make_trained(tmp_path / "zzz", age=10)
    make_trained(tmp_path / "middle", age=20)
    (tmp_path / "version_99").mkdir()
    untrained = make_trained(tmp_path / "untrained", age=0)
    untrained.history.create(["step", "train_loss"])
    assert Run.newest(tmp_path) == newest


def test_a_checkpoint_elsewhere_has_no_run(tmp_path: Path) -> None:
    run = make_trained(tmp_path / "a", age=0)
    assert Run.of_checkpoint(run.last) is None
    run.config.touch()
    assert Run.of_checkpoint(run.last) == run


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    table.append([step, value] for step, value in enumerate(rows, 1))
    assert table.rows == len(rows)
    with table.path.open("ab") as file:
        file.write(torn)  # what a kill in the middle of a write leaves
    table.truncate(keep)
    read = table.read()
    expected = [np.nan if value is None else value for value in rows[:keep]]
    np.testing.assert_array_equal(read["step"], np.arange(1, len(expected) + 1))
    np.testing.assert_array_equal(read["value"].astype(np.float32), np.array(expected, np.float32))
