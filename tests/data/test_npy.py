"""A class file is read exactly as numpy reads it, or refused in one line that names it, the value and the remedy."""

import io
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from project.data import npy as arrays
from project.data.npy import CHUNK_ROWS, open_array
from project.errors import InputError
from tests.campaigns.class_files import header, npy, run

FLOATS = ["f2", "f4", "f8"]
INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
MANY_DIGITS = "0x" + "f" * 4000  # more decimal digits than Python agrees to print

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


def memory_of(action: Callable[[], object]) -> int:
    """Return how many bytes are allocated at once at most."""
    tracemalloc.start()
    action()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@given(tables, st.booleans(), st.integers(1, 3), st.integers(1, 8), st.integers(1, 30))
def test_valid_files_are_read_as_numpy_reads_them(
    path: Path, array: npt.NDArray[np.generic], fortran: bool, major: int, most: int, cells: int
) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.asfortranarray(array) if fortran else array, (major, 0))
    result, expected = open_array(path), np.load(path, allow_pickle=False)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", most)
        patch.setattr(arrays, "CHUNK_CELLS", cells)
        parts = [(start, part.tobytes()) for start, part in result.stretches()]
        middle = [(start, part.tobytes()) for start, part in result.stretches(1, len(array) - 1)]
    rows = max(1, min(most, cells // array.shape[1]))
    assert parts == [(n, expected[n : n + rows].tobytes()) for n in range(0, len(array), rows)]
    stop = len(array) - 1
    assert middle == [(n, expected[n : min(n + rows, stop)].tobytes()) for n in range(1, stop, rows)]


def test_a_header_costs_no_memory_and_a_stretch_only_its_own(path: Path) -> None:
    path.write_bytes(npy(header("<f8", False, (2**24, 8)).ljust(10_000)))  # the longest header that numpy reads
    os.truncate(path, path.stat().st_size + 2**24 * 8 * 8)
    assert memory_of(lambda: open_array(path)) < 2**20
    result = open_array(path)
    assert result.shape == (2**24, 8)
    assert memory_of(lambda: next(result.stretches(2**24 - 5))) < 2**20
    assert memory_of(lambda: next(result.stretches())) < 2 * CHUNK_ROWS * 8 * 8
    path.unlink()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_that_shrinks_while_it_is_read_is_one_line(path: Path, order: str, monkeypatch: Any) -> None:
    np.save(path, np.ones((100, 2), order=order))
    monkeypatch.setattr(arrays, "CHUNK_ROWS", 10)
    rows = open_array(path).stretches()
    next(rows)
    os.truncate(path, 300)
    assert_refused(path, "the file changed while it was read", lambda _: list(rows))


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    assert_refused(tmp_path / "class_0.npy", "No such file")
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path(os.devnull)):
        assert_refused(path, "not a regular file")


def in_bytes(save: Callable[..., None], *arguments: object) -> bytes:
    file = io.BytesIO()
    save(file, *arguments)
    return file.getvalue()


WHOLE = in_bytes(np.save, np.arange(200.0).reshape(100, 2))
HOLDS = r"header says \(100, 2\) float64 = 1600 bytes of data, file has"
MALFORMED = ["5", "{'descr': ", "{'descr': open('x')}", "(" * 9000, "-" * 9000 + "1", "1+" * 4000 + "1", "{'\\d': 1}"]
LONG = [f"{MANY_DIGITS}, 2", f"{MANY_DIGITS},", f"-{MANY_DIGITS}, 2", f"{'9' * 4000}, {'9' * 4000}", f"{'9' * 400}, 2"]
LONG = [header("<f8", False, f"({numbers})") for numbers in [*LONG, "1, " * 3000]]
LONG += [header("<f8", MANY_DIGITS, (1, 2)), header("<f8", repr("no" * 2000), (1, 2))]
LONG += [f"{{'descr': {MANY_DIGITS}, 'fortran_order': False, 'shape': (1, 2)}}"]
HUGE = [header("<f8", False, shape) for shape in [(2**40, 2), (2**62, 2**62), (2**63, 1), (1, 10**30)]]
DAMAGED = {
    "empty": (b"", "the file is empty"),
    "text": (b"1.0,2.0\n3.0,4.0\n", r"not an \.npy file"),
    "half the magic": (b"\x93NUM", r"not an \.npy file"),
    "pickle": (pickle.dumps([[1.0, 2.0]]), r"not an \.npy file"),
    "object array": (in_bytes(np.save, np.array([[1, None]])), "holds Python objects .*refused"),
    "npz": (in_bytes(np.savez, np.ones((5, 2))), r"this is an \.npz archive; .*numpy\.save"),
    "truncated": (WHOLE[:-100], f"{HOLDS} 1500"),
    "trailing bytes": (WHOLE + b"more", f"{HOLDS} 1604"),
    "truncated length": (WHOLE[:9], "ends inside its header"),
    "truncated header": (WHOLE[:50], "ends inside its header"),
    "negative shape": (npy(header("<f8", False, (-5, 2)), bytes(80)), r"malformed.*\(-5, 2\)"),
    "shape of bool": (npy(header("<f8", False, (True, 2)), bytes(16)), "malformed.*True"),
    "shape no tuple": (npy(header("<f8", False, "5"), bytes(80)), "malformed.*5"),
    "shape of half a character": (npy(header("<f8", False, r"'\ud800'"), bytes(80)), r"malformed.*'\\ud800'"),
    "fortran_order": (npy(header("<f8", 0, (5, 2)), bytes(80)), "malformed.*fortran_order 0"),
    "a key too few": (npy("{'descr': '<f8', 'shape': (5, 2)}", bytes(80)), "malformed"),
    "a key too many": (npy(header("<f8", False, (5, 2))[:-1] + "'x': 1}", bytes(80)), "malformed"),
    "unprintable": (npy(header("<f8\\n\\x1b[31merror", False, (1, 2)), bytes(16)), "dtype .* is not supported"),
    "null byte": (npy("{\0}"), "malformed"),
    "not UTF-8": (npy("ab", version=(3, 0))[:-1] + b"\xff", "malformed"),
    "long": (npy(header("<f8", False, (5, 2)).ljust(10_001), bytes(80)), "header too long.*10001"),
}
DAMAGED |= {f"version {v}": (npy("", version=v), rf"{v[0]}\.{v[1]} is not supported") for v in [(0, 0), (1, 1), (4, 0)]}
DAMAGED |= {f"malformed {i}": (npy(text), "malformed") for i, text in enumerate(MALFORMED)}
DAMAGED |= {f"huge {i}": (npy(text, bytes(160)), "header") for i, text in enumerate(HUGE)}
DAMAGED |= {f"long {i}": (npy(text), "header|shape|dtype") for i, text in enumerate(LONG)}
DTYPES = {"?": "bool", "c8": "complex64", ">c16": "complex128", "f8, i4": "structured", "U3": "<U3", "S3": r"\|S3"}
DTYPES |= {"M8[s]": r"<M8\[s\]", "m8[ms]": r"<m8\[ms\]", "V5": r"\|V5"}
DTYPES |= {"g": np.dtype("g").str} if np.dtype("g") != np.float64 else {}
SHAPES = {
    (): r"shape \(\) is 0-D; need \(N, j\)",
    (100,): r"shape \(100,\) is 1-D; need \(N, j\), e\.g\. reshape to \(100, 1\)",
    (4, 3, 2): r"shape \(4, 3, 2\) is 3-D; need \(N, j\)",
    (0, 2): r"shape \(0, 2\) has no rows",
    (5, 0): r"shape \(5, 0\) has no columns",
    (0, 0): r"shape \(0, 0\) has no rows",
}
NEED = "is not supported; need float16/32/64 or an integer type"
DAMAGED |= {t: (in_bytes(np.save, np.zeros((5, 2), t)), f"dtype .*{words}.* {NEED}") for t, words in DTYPES.items()}
DAMAGED |= {f"shape {shape}": (in_bytes(np.save, np.zeros(shape)), words) for shape, words in SHAPES.items()}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_table_of_numbers_is_refused_and_nothing_is_allocated(path: Path, name: str) -> None:
    data, words = DAMAGED[name]
    path.write_bytes(data)
    assert_refused(path, words)
    if name.startswith("huge"):
        assert memory_of(lambda: assert_refused(path, words)) < 2**20


def test_5000_damaged_files_are_read_as_numpy_reads_them_or_refused() -> None:
    summary = run(files=5_000, seconds=50, seed=0)
    assert not summary.failures, summary.failures[:10]
    assert min(summary.read, summary.refused) > 500
