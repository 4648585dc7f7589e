"""Tables: every float32 survives, and a row is there whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.errors import InputError
from project.runs.table import Table


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
