"""A class file is read exactly as numpy reads it, or refused in one line that names it, the value and the remedy."""

import io
import os
import pickle
import tracemalloc
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from project.data import npy
from project.data.npy import CHUNK_ROWS, open_array
from project.errors import InputError
from tests.campaigns.class_files import assemble, header, run

FLOATS, INTEGERS = ["f2", "f4", "f8"], ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
CHANGES = [lambda f: os.truncate(f, 300), lambda f: f.write_bytes(b"0"), lambda f: os.utime(f, (0, 0)), Path.unlink]
shapes = st_np.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)
dtypes = st.sampled_from([np.dtype(order + kind) for kind in FLOATS + INTEGERS for order in "<>"])
tables = dtypes.flatmap(lambda dtype: st_np.arrays(dtype, shapes))


def assert_refused(path: Path, words: str, read: Callable[[Path], object] = open_array) -> None:
    """Expect one short, printable line that starts with the path and contains the words, a regular expression."""
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) - len(str(path)) < 200


@given(tables, st.booleans(), st.integers(1, 3), st.integers(1, 8), st.integers(1, 30))
def test_valid_files_are_read_as_numpy_reads_them(
    path: Path, array: npt.NDArray[np.generic], fortran: bool, major: int, most: int, cells: int
) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.asfortranarray(array) if fortran else array, (major, 0))
    result, expected = open_array(path), np.load(path, allow_pickle=False)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    rows = max(1, min(most, cells // array.shape[1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npy, "CHUNK_ROWS", most)
        patch.setattr(npy, "CHUNK_CELLS", cells)
        for first, stop in (0, len(array)), (1, len(array) - 1):
            parts = [(start, part.tobytes()) for start, part in result.stretches(first, stop)]
            assert parts == [(n, expected[n : min(n + rows, stop)].tobytes()) for n in range(first, stop, rows)]


def test_a_header_costs_no_memory_and_a_stretch_only_its_own(path: Path) -> None:
    path.write_bytes(assemble(header("<f8", False, (2**24, 8)).ljust(npy.MAX_HEADER_BYTES)))
    os.truncate(path, path.stat().st_size + 2**24 * 8 * 8)
    for start, most in (None, 2**20), (2**24 - 5, 2**20), (0, 2 * CHUNK_ROWS * 8 * 8):
        tracemalloc.start()
        result = open_array(path)
        if start is not None:
            next(result.stretches(start))
        assert tracemalloc.get_traced_memory()[1] < most
        tracemalloc.stop()
    path.unlink()


def test_a_file_that_changes_while_it_is_read_is_refused(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(npy, "CHUNK_ROWS", 10)
    for change, taken in product(CHANGES, (0, 1)):
        np.save(path, np.ones((100, 2)))
        rows = open_array(path).stretches()
        assert len(list(islice(rows, taken))) == taken
        change(path)
        assert_refused(path, "the file changed while it was read", lambda _, rest=rows: list(rest))


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    assert_refused(tmp_path / "class_0.npy", "No such file")
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path(os.devnull)):
        assert_refused(path, "not a regular file")


def saved(values: Any, save: Callable[..., None] = np.save) -> bytes:
    file = io.BytesIO()
    save(file, values)
    return file.getvalue()


WHOLE = saved(np.arange(200.0).reshape(100, 2))
HOLDS = r"header says \(100, 2\) float64 = 1600 bytes of data, file has"
DIGITS = "0x" + "f" * 900  # more digits than a message should hold
SHAPES = [r"'\ud800'", (-5, 2), (True, 2), (2**63, 1), f"({DIGITS}, 2)", "(10L, 2)"]
MALFORMED = [b"{'descr': open('x')}", b"(" * 1000, *(header("<f8", False, shape) for shape in SHAPES)]
REFUSED = {
    "the file is empty": [b""],
    r"not an \.npy file": [b"1.0,2.0\n3.0,4.0\n", pickle.dumps([[1.0, 2.0]])],
    "holds Python objects .*refused": [saved(np.array([[1, None]])), saved(np.array([(1, None)], "i4,O"))],
    r"this is an \.npz archive; .*numpy\.save": [saved(np.ones((5, 2)), np.savez)],
    f"{HOLDS} 1500": [WHOLE[:-100]],
    f"{HOLDS} 1604": [WHOLE + b"more"],
    "malformed, cut off or too long .above 1024": [
        *(WHOLE[:9], WHOLE[:50], assemble(b"ab\xff", version=(3, 0)), *map(assemble, MALFORMED)),
        *(assemble(WHOLE[10:128].ljust(1025), WHOLE[128:]), assemble(b"", version=(2, 0), length=2**32 - 1)),
    ],
    "header says": [assemble(header("<f8", False, shape), bytes(160)) for shape in [(2**40, 2), (2**62, 2**62)]],
    r"1\.1 is not supported": [assemble(b"", version=(1, 1))],
    r"shape \(\) is 0-D; need \(N, j\)": [saved(np.zeros(()))],
    r"shape \(2,\) is 1-D; need \(N, j\), e\.g\. reshape to \(2, 1\) or, .* to \(1, 2\)": [saved(np.zeros(2))],
    r"shape \(4, 3, 2\) is 3-D; need \(N, j\)": [saved(np.zeros((4, 3, 2)))],
    r"shape \(0, 2\) has no rows": [saved(np.zeros((0, 2)))],
    r"shape \(5, 0\) has no columns": [saved(np.zeros((5, 0)))],
}
DTYPES = {"bool": "?", "complex64": "c8", "structured": "f8, i4", "str96": "U3", r"datetime64\[s\]": "M8[s]"}
DTYPES |= {"void40": "V5"} | ({np.dtype("g").name: "g"} if np.dtype("g") != np.float64 else {})
NEED = "is not supported; need float16/32/64 or an integer type"
REFUSED |= {f"dtype {name} {NEED}": [saved(np.zeros((5, 2), kind))] for name, kind in DTYPES.items()}


def test_what_is_no_table_of_numbers_is_refused(path: Path) -> None:
    for words, files in REFUSED.items():
        for data in files:
            path.write_bytes(data)
            assert_refused(path, words)


def test_damaged_files_are_read_as_numpy_reads_them_or_refused() -> None:
    summary = run(files=400, seconds=600, seed=0)
    assert not summary.failures, summary.failures[:10]
    assert min(summary.counts.values()) > 0.2 * summary.counts.total()
