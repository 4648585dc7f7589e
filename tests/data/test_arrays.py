"""A class file is read exactly as numpy reads it, or refused in one line that names it, the value and the remedy."""

import contextlib
import io
import mmap
import os
import pickle
import re
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from project.data import arrays
from project.data.arrays import check_values, chunks, open_array
from project.errors import InputError, InputWarning
from tests.campaigns.class_files import header, npy, run

FLOATS = ["f2", "f4", "f8"]
INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
MANY_DIGITS = "0x" + "f" * 4000  # more decimal digits than Python agrees to print

dtypes = st.sampled_from([np.dtype(order + kind) for kind in FLOATS + INTEGERS for order in "<>"])
shapes = st_np.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for one class file, shared by all examples."""
    return tmp_path_factory.mktemp("arrays") / "class_0.npy"


def saved(path: Path, array: npt.ArrayLike) -> Path:
    np.save(path, array)
    return path


def check(path: Path) -> None:
    check_values(path, open_array(path))


@contextlib.contextmanager
def refused(path: Path, words: str) -> Iterator[None]:
    """Expect one short, printable line that starts with the path and contains the words, a regular expression."""
    with pytest.raises(InputError, match=words) as caught:
        yield
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) - len(str(path)) < 200


@given(array=dtypes.flatmap(lambda dtype: st_np.arrays(dtype, shapes)), fortran=st.booleans(), major=st.integers(1, 3))
@settings(deadline=None)
def test_valid_files_are_read_as_numpy_reads_them(
    path: Path, array: npt.NDArray[np.generic], fortran: bool, major: int
) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.asfortranarray(array) if fortran else array, (major, 0))
    result, expected = open_array(path), np.load(path, allow_pickle=False)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    assert result.flags.f_contiguous == expected.flags.f_contiguous
    assert result.tobytes() == expected.tobytes()


def test_an_array_is_backed_by_its_file_and_read_only(path: Path) -> None:
    result = open_array(saved(path, np.ones((2, 3))))
    assert isinstance(result.base, mmap.mmap)
    assert not result.flags.writeable


def test_a_large_file_is_not_held_in_memory(path: Path) -> None:
    rows = 2**24
    path.write_bytes(npy(header("<f8", False, (rows, 8))))
    os.truncate(path, path.stat().st_size + rows * 8 * 8)
    tracemalloc.start()
    try:
        assert open_array(path).shape == (rows, 8)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
        path.unlink()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "class_0.npy"
    with refused(missing, "No such file"):
        open_array(missing)


def test_a_folder_is_not_a_class_file(tmp_path: Path) -> None:
    with refused(tmp_path, "not a regular file"):
        open_array(tmp_path)


def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    fifo = tmp_path / "class_0.npy"
    os.mkfifo(fifo)
    with refused(fifo, "not a regular file"):
        open_array(fifo)


def test_a_device_is_not_a_class_file() -> None:
    with refused(Path(os.devnull), "not a regular file"):
        open_array(Path(os.devnull))


def zipped(*values: npt.ArrayLike) -> bytes:
    file = io.BytesIO()
    np.savez(file, *values)
    return file.getvalue()


def saved_bytes(array: npt.NDArray[np.generic], allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle)
    return file.getvalue()


WHOLE = saved_bytes(np.arange(200.0).reshape(100, 2))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"1.0,2.0\n3.0,4.0\n", r"not an \.npy file", id="text"),
        pytest.param(b"\x93NUM", r"not an \.npy file", id="half the magic"),
        pytest.param(pickle.dumps([[1.0, 2.0]]), r"not an \.npy file", id="pickle"),
        pytest.param(saved_bytes(np.array([[1, None]]), True), "holds Python objects .*refused", id="object array"),
        pytest.param(zipped(np.ones((5, 2))), r"this is an \.npz archive; .*numpy\.save", id="npz"),
        pytest.param(
            WHOLE[:-100], r"header says \(100, 2\) float64 = 1600 bytes of data, file has 1500", id="truncated"
        ),
        pytest.param(
            WHOLE + b"more", r"header says \(100, 2\) float64 = 1600 bytes of data, file has 1604", id="trailing bytes"
        ),
        pytest.param(WHOLE[:9], "ends inside its header", id="truncated length"),
        pytest.param(WHOLE[:50], "ends inside its header", id="truncated header"),
        pytest.param(npy(header("<f8", False, (-5, 2)), bytes(80)), r"malformed.*\(-5, 2\)", id="negative shape"),
        pytest.param(npy(header("<f8", False, (True, 2)), bytes(16)), "malformed.*True", id="shape of bool"),
        pytest.param(npy(header("<f8", False, "5"), bytes(80)), "malformed.*5", id="shape no tuple"),
        pytest.param(npy(header("<f8", 0, (5, 2)), bytes(80)), "malformed.*fortran_order 0", id="fortran_order"),
        pytest.param(npy("{'descr': '<f8', 'shape': (5, 2)}", bytes(80)), "malformed", id="a key too few"),
        pytest.param(npy(header("<f8", False, (5, 2))[:-1] + "'x': 1}", bytes(80)), "malformed", id="a key too many"),
        pytest.param(npy("5"), "malformed", id="no dict"),
        pytest.param(npy("{'descr': "), "malformed", id="no Python"),
        pytest.param(npy("{'descr': open('x')}"), "malformed", id="no literal"),
        pytest.param(npy("(" * 9000), "malformed", id="deep"),
        pytest.param(npy("-" * 9000 + "1"), "malformed", id="deeper"),
        pytest.param(npy("1+" * 4000 + "1"), "malformed", id="deepest"),
        pytest.param(npy("{'\\d': 1}"), "malformed", id="odd escape"),
        pytest.param(npy("{\0}"), "malformed", id="null byte"),
        pytest.param(npy("ab", version=(3, 0))[:-1] + b"\xff", "malformed", id="not UTF-8"),
        pytest.param(npy(header("<f8", False, (5, 2)).ljust(10_001), bytes(80)), "header too long.*10001", id="long"),
        pytest.param(npy("", version=(0, 0)), r"version 0\.0 is not supported", id="version 0"),
        pytest.param(npy("", version=(1, 1)), r"version 1\.1 is not supported", id="version 1.1"),
        pytest.param(npy("", version=(4, 0)), r"version 4\.0 is not supported", id="version 4"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(path: Path, data: bytes, words: str) -> None:
    path.write_bytes(data)
    with refused(path, words):
        open_array(path)


def test_a_header_of_10000_bytes_is_read(path: Path) -> None:
    path.write_bytes(npy(header("<f8", False, (5, 2)).ljust(10_000), bytes(80)))
    np.testing.assert_array_equal(open_array(path), np.zeros((5, 2)))


@pytest.mark.parametrize("shape", [(2**40, 2), (2**62, 2**62), (2**63, 1), (1, 10**30)])
def test_a_huge_claimed_shape_allocates_nothing(path: Path, shape: tuple[int, int]) -> None:
    path.write_bytes(npy(header("<f8", False, shape), bytes(160)))
    tracemalloc.start()
    try:
        with refused(path, "header"):
            open_array(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        header("<f8", False, f"({MANY_DIGITS}, 2)"),
        header("<f8", False, f"({MANY_DIGITS},)"),
        header("<f8", False, f"(-{MANY_DIGITS}, 2)"),
        header("<f8", False, f"({'9' * 4000}, {'9' * 4000})"),
        header("<f8", False, f"({'9' * 400}, 2)"),
        header("<f8", False, (1,) * 3000),
        header("<f8", MANY_DIGITS, (1, 2)),
        header("<f8", repr("no" * 2000), (1, 2)),
        f"{{'descr': {MANY_DIGITS}, 'fortran_order': False, 'shape': (1, 2)}}",
    ],
    ids=["shape", "1-D", "negative", "product", "400 digits", "3000-D", "order", "long order", "descr"],
)
def test_a_value_too_long_to_print_is_refused_in_one_short_line(path: Path, text: str) -> None:
    path.write_bytes(npy(text))
    with refused(path, "header|shape|dtype"):
        open_array(path)


def test_a_message_is_one_printable_line_whatever_the_file_says(path: Path) -> None:
    path.write_bytes(npy(header("<f8\\n\\x1b[31merror", False, (1, 2)), bytes(16)))
    with refused(path, "dtype .* is not supported"):
        open_array(path)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("?", "bool"),
        ("c8", "complex64"),
        (">c16", "complex128"),
        ("f8, i4", "structured"),
        ("U3", "<U3"),
        ("S3", r"\|S3"),
        ("M8[s]", r"<M8\[s\]"),
        ("m8[ms]", r"<m8\[ms\]"),
        ("V5", r"\|V5"),
        ("g", np.dtype("g").str),
    ],
)
def test_an_unsupported_dtype_is_named(path: Path, dtype: str, words: str) -> None:
    if np.dtype(dtype) == np.float64:
        pytest.skip("here, longdouble is float64")
    saved(path, np.zeros((5, 2), dtype))
    with refused(path, f"dtype .*{words}.* is not supported; need float16/32/64 or an integer type"):
        open_array(path)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((), r"shape \(\) is 0-D; need \(N, j\)"),
        ((100,), r"shape \(100,\) is 1-D; need \(N, j\), e\.g\. reshape to \(100, 1\)"),
        ((4, 3, 2), r"shape \(4, 3, 2\) is 3-D; need \(N, j\)"),
        ((0, 2), r"shape \(0, 2\) has no rows"),
        ((5, 0), r"shape \(5, 0\) has no columns"),
        ((0, 0), r"shape \(0, 0\) has no rows"),
    ],
)
def test_a_shape_that_is_no_table_is_named(path: Path, shape: tuple[int, ...], words: str) -> None:
    with refused(path, words):
        open_array(saved(path, np.zeros(shape)))


@given(
    array=dtypes.flatmap(lambda dtype: st_np.arrays(dtype, shapes)),
    fortran=st.booleans(),
    chunk_rows=st.integers(1, 8),
)
@settings(deadline=None)
def test_chunks_are_the_rows_in_float32(array: npt.NDArray[np.float64], fortran: bool, chunk_rows: int) -> None:
    with np.errstate(all="ignore"):
        expected = array.astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", chunk_rows)
        pieces = list(chunks(np.asfortranarray(array) if fortran else array))
    assert [start for start, _ in pieces] == list(range(0, len(array), chunk_rows))
    assert all(values.dtype == np.float32 for _, values in pieces)
    np.testing.assert_array_equal(np.concatenate([values for _, values in pieces]), expected)


@given(
    kind=st.sampled_from(FLOATS),
    shape=shapes,
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
    fortran=st.booleans(),
    chunk_rows=st.integers(1, 8),
    data=st.data(),
)
@settings(deadline=None)
def test_nan_and_infinity_are_found_in_any_cell(
    path: Path, kind: str, shape: tuple[int, int], bad: float, fortran: bool, chunk_rows: int, data: st.DataObject
) -> None:
    cells = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    places = data.draw(st.sets(cells, min_size=1))
    array = np.ones(shape, kind, "F" if fortran else "C")
    for place in places:
        array[place] = bad
    saved(path, array)
    row, column = min(places)
    counted = "1 value is" if len(places) == 1 else f"{len(places)} values are"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", chunk_rows)
        with refused(path, f"{counted} NaN or infinite; first: {bad} at row {row}, column {column};"):
            check(path)


@pytest.mark.parametrize("bits", [0x7FF0000000000001, 0xFFF4000000000000], ids=hex)
@pytest.mark.parametrize("order", "<>")
def test_a_signaling_nan_is_a_nan(path: Path, bits: int, order: str) -> None:
    saved(path, np.array([[0, bits]], order + "u8").view(order + "f8"))
    with refused(path, "1 value is NaN or infinite; first: nan at row 0, column 1"):
        check(path)


def test_values_too_large_are_not_counted_as_nan(path: Path) -> None:
    saved(path, np.array([[np.nan, 1e300], [1.0, 2.0]]))
    with refused(path, "1 value is NaN or infinite; first: nan at row 0, column 0"):
        check(path)


@pytest.mark.parametrize(("value", "text"), [(6.4e38, r"6\.4e\+38"), (-1e300, r"-1e\+300"), (2.0**128, r"3\.4e\+38")])
def test_values_beyond_float32_are_named(path: Path, value: float, text: str) -> None:
    saved(path, np.array([[1, 2], [value, 3], [value, value]]))
    with refused(path, f"value {text} at row 1, column 0 is too large for float32"):
        check(path)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[float(np.finfo(np.float32).max), -float(np.finfo(np.float32).max)]]),
        np.array([[5e-324, -0.0]]),
        np.array([[65504, -65504]], np.float16),
        np.array([[2**24, -(2**24)]]),
        np.array([[255]], np.uint8),
        np.array([[2.0**60]]),
    ],
)
def test_values_that_fit_pass_in_silence(path: Path, array: npt.NDArray[np.generic]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(saved(path, array))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2**24 + 1, "i4"),
        (-(2**24) - 1, "i4"),
        (2**24 + 1, "u4"),
        (-(2**63), "i8"),
        (2**63 - 1, "i8"),
        (2**64 - 1, "u8"),
    ],
)
def test_integers_above_2_to_the_24_warn(path: Path, value: int, kind: str) -> None:
    saved(path, np.array([[1], [value]], kind))
    with pytest.warns(InputWarning, match=rf"^{re.escape(str(path))}: values above 2\^24 lose precision in float32"):
        check(path)


def test_20000_damaged_files_are_read_as_numpy_reads_them_or_refused() -> None:
    summary = run(files=20_000, seconds=50, seed=0)
    assert not summary.failures, summary.failures[:10]
    assert summary.read > 1000
    assert summary.refused > 1000
