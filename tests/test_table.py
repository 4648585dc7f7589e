"""Tables: every float32 survives, and a row is there whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.errors import InputError
from project.table import Table


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
        file.write(torn)  # This is what a kill in the middle of a write leaves.
    table.truncate(keep)
    read = table.read()
    expected = [np.nan if value is None else value for value in rows[:keep]]
    np.testing.assert_array_equal(read["step"], np.arange(1, len(expected) + 1))
    np.testing.assert_array_equal(read["value"].astype(np.float32), np.array(expected, np.float32))


def test_rows_that_a_disk_refuses_half_way_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    table = Table(tmp_path / "table.csv")
    table.create(["step", "value"])
    table.append([[1, 0.5]])
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "fsync", full)
        table.append([[2, 0.25], [3, None]])
    assert table.path.read_bytes() == b"step,value\n1,0.5\n"
    table.append([[2, 0.25]])
    assert table.rows == 2


@pytest.mark.parametrize("saved", [b"\xef\xbb\xbfstep,value\r\n1,0.5\r\n2.0,\r\n", b"step,value\n1.0,5e-1\n2,nan\n"])
def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path, saved: bytes) -> None:
    (tmp_path / "table.csv").write_bytes(saved)
    columns = Table(tmp_path / "table.csv").read()
    assert {name: values.tolist() for name, values in columns.items()} == {
        "step": [1, 2],
        "value": [0.5, pytest.approx(np.nan, nan_ok=True)],
    }


@pytest.mark.parametrize(
    "damaged", [None, b"", b"\x00\xff\x89PNG", b"step,value\n1,a\n", b"step,value\n1,2,3\n", b"1,2\n"]
)
def test_what_is_no_table_is_refused(tmp_path: Path, damaged: bytes | None) -> None:
    path = tmp_path / "table.csv"
    if damaged is not None:
        path.write_bytes(damaged)
    with pytest.raises(InputError, match="table.csv: "):
        Table(path).read()
