"""What is noticed about the data is what numpy and plain Python notice, however the rows are cut."""

import hashlib
import re
import warnings
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from project.data import arrays, checks
from project.data.arrays import open_array
from project.data.checks import Features, Moments, Overlap, checked_rows, fingerprint, hash_file, hash_rows, survey
from project.data.split import DROPPED, TEST, TRAIN, VAL, Assignment, split
from project.errors import InputWarning
from tests.data.test_arrays import FLOATS, assert_refused, shapes, tables

Floats = npt.NDArray[np.float64]
FILES = [Path("class_0.npy"), Path("class_1.npy")]
LARGEST = float(np.finfo(np.float32).max)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for one class file, shared by all examples."""
    return tmp_path_factory.mktemp("checks") / "class_0.npy"


def read(path: Path) -> list[tuple[int, Features]]:
    return list(checked_rows(path, open_array(path)))


@given(array=tables, fortran=st.booleans(), chunk_rows=st.integers(1, 8))
@settings(deadline=None)
def test_rows_come_in_float32_or_the_first_that_does_not_fit_is_named(
    path: Path, array: npt.NDArray[np.generic], fortran: bool, chunk_rows: int
) -> None:
    np.save(path, np.asfortranarray(array) if fortran else array)
    with np.errstate(all="ignore"):
        expected = array.astype(np.float32)
    unfit = np.argwhere(~np.isfinite(expected)).tolist()
    large = array.dtype.kind in "iu" and max(abs(int(value)) for value in array.flat) > 2**24
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        patch.setattr(arrays, "CHUNK_ROWS", chunk_rows)
        if unfit:
            assert_refused(path, "at row {}, column {}(;| is too large)".format(*unfit[0]), read)
            return
        parts = read(path)
    assert [start for start, _ in parts] == list(range(0, len(array), chunk_rows))
    assert all(values.dtype == np.float32 for _, values in parts)
    np.testing.assert_array_equal(np.concatenate([values for _, values in parts]), expected)
    words = [f"{path}: values above 2^24 lose precision in float32"] * large
    assert [str(warning.message) for warning in warned] == words


@given(
    kind=st.sampled_from(FLOATS), shape=shapes, bad=st.sampled_from([np.nan, np.inf, -np.inf]),
    chunk_rows=st.integers(1, 8), data=st.data(),
)  # fmt: skip
@settings(deadline=None)
def test_nan_and_infinity_are_counted_and_found_in_any_cell(
    path: Path, kind: str, shape: tuple[int, int], bad: float, chunk_rows: int, data: st.DataObject
) -> None:
    places = data.draw(st.sets(st.tuples(*(st.integers(0, n - 1) for n in shape)), min_size=1))
    array = np.ones(shape, kind)
    for place in places:
        array[place] = bad
    np.save(path, array)
    row, column = min(places)
    counted = "1 value is" if len(places) == 1 else f"{len(places)} values are"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", chunk_rows)
        assert_refused(path, f"{counted} NaN or infinite; first: {bad} at row {row}, column {column};", read)


SIGNALING = [np.array([[0, bits]], "u8") for bits in (0x7FF0000000000001, 0xFFF4000000000000)]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        *[(bits.view("f8"), "1 value is NaN or infinite; first: nan at row 0, column 1") for bits in SIGNALING],
        *[(bits.byteswap().view(">f8"), "NaN or infinite; first: nan at row 0, column 1") for bits in SIGNALING],
        ([[np.nan, 1e300], [1.0, 2.0]], "1 value is NaN or infinite; first: nan at row 0, column 0"),
        ([[1, 2], [6.4e38, 3], [6.4e38] * 2], r"value 6\.4e\+38 at row 1, column 0 is too large for float32"),
        ([[1e200, np.nan], [-1e300, 3]], r"value 1e\+200 at row 0, column 0 is too large for float32"),
        ([[1, -(2.0**128)]], r"value -3\.4e\+38 at row 0, column 1 is too large for float32"),
    ],
)
def test_values_that_no_float32_holds_are_told_apart(path: Path, array: npt.ArrayLike, words: str) -> None:
    np.save(path, array)
    assert_refused(path, words, read)


@pytest.mark.parametrize(
    "values", [[LARGEST, -LARGEST], [5e-324, -0.0], np.float16([65504, -65504]), [2**24, -(2**24)], [2.0**60]]
)
def test_values_that_fit_pass_in_silence(path: Path, values: npt.ArrayLike) -> None:
    np.save(path, [values])
    read(path)


@pytest.mark.parametrize(
    "value", [2**24 + 1, -(2**24) - 1, np.uint32(2**24 + 1), -(2**63), 2**63 - 1, np.uint64(2**64 - 1)]
)
def test_integers_above_2_to_the_24_warn(path: Path, value: int) -> None:
    np.save(path, [[value - value], [value]])
    with pytest.warns(InputWarning, match=rf"^{re.escape(str(path))}: values above 2\^24 lose precision in float32"):
        read(path)


def moments(values: Features, places: set[int]) -> tuple[Floats, Floats]:
    """Return mean and deviation of rows that are cut at some places."""
    result = Moments()
    for part in np.split(values, sorted(place for place in places if place < len(values))):
        result.add(torch.from_numpy(part))
    assert result.rows == len(values)
    assert result.mean.dtype == result.std.dtype == torch.float64
    return result.mean.numpy(), result.std.numpy()


cuts = st.sets(st.integers(1, 30))


@given(st_np.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=st.floats(-1e6, 1e6, width=32)), cuts)  # fmt: skip  # noqa: E501
@settings(deadline=None)
def test_any_cut_gives_numpys_mean_and_deviation(values: Features, places: set[int]) -> None:
    """Up to some digits of the largest value, which is as good as a sum of float64 numbers gets."""
    wide = values.astype(np.float64)
    for result, expected in zip(moments(values, places), (wide.mean(0), wide.std(0)), strict=True):
        assert (np.abs(result - expected) <= np.abs(wide).max(0) * 1e-12).all()


@pytest.mark.parametrize("chunk_rows", [1, 7, 1000, 10_000])
def test_a_large_mean_costs_no_digits_of_the_deviation(chunk_rows: int) -> None:
    values = np.random.default_rng(0).normal(1e6, 1, (10_000, 3)).astype(np.float32)
    mean, std = moments(values, set(range(chunk_rows, 10_000, chunk_rows)))
    np.testing.assert_allclose(mean, values.astype(np.float64).mean(0), rtol=1e-14)
    np.testing.assert_allclose(std, values.astype(np.float64).std(0), rtol=1e-9)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 200), cuts)
@settings(deadline=None)
def test_a_constant_feature_has_a_deviation_of_exactly_zero(value: float, rows: int, places: set[int]) -> None:
    assert moments(np.full((rows, 1), value, np.float32), places) == (value, 0)


def test_moments_by_hand() -> None:
    mean, std = moments(np.float32([[1, 5], [3, 5], [5, 5], [7, 5]]), {1})
    assert (mean.tolist(), std.tolist()) == ([4, 5], [5**0.5, 0])


def counted(pair: list[Floats], assignments: list[Assignment]) -> Overlap:
    """Be the oracle: a row is a tuple of float32 numbers, for which Python says that -0.0 equals 0.0."""
    rows = [[tuple(row.tolist()) for row in table.astype(np.float32)] for table in pair]
    placed = [(row, place) for i in range(2) for row, place in zip(rows[i], assignments[i].tolist(), strict=True)]
    train = {row for row, place in placed if place == TRAIN}
    return Overlap(
        sorted(rows[0]) == sorted(rows[1]),
        len(set(rows[0]) & set(rows[1])),
        sum(place == TEST and row in train for row, place in placed),
    )


cells = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.0 + 1e-12, 3e38])  # 1 + 1e-12 is 1 in float32
few_rows = st.integers(1, 3).map(lambda columns: st_np.arrays(np.float64, st.tuples(st.integers(5, 12), st.just(columns)), elements=cells))  # fmt: skip  # noqa: E501


@given(few_rows.flatmap(lambda table: st.tuples(table, table)), st.booleans(), st.booleans(), st.randoms(use_true_random=False))  # fmt: skip  # noqa: E501
@settings(deadline=None)
def test_one_pass_finds_what_numpy_and_sets_find(
    pair: tuple[Floats, Floats], shuffled: bool, fortran: bool, random: Random
) -> None:
    class_0, class_1 = pair
    if shuffled:
        class_1 = -(-class_0)[random.sample(range(len(class_0)), len(class_0))]
    both = [np.asfortranarray(table) if fortran else table for table in (class_0, class_1)]
    keep, rows = min(map(len, both)), sum(map(len, both))
    assignments = [split(len(table), keep, random.randrange(99), i) for i, table in enumerate(both)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", random.randint(1, 13))
        patch.setattr(checks, "BLOCK", random.randint(1, 25))
        patch.setattr(checks, "MOST_COMPARED", rows)
        found, overlap = survey(FILES, both, assignments)
        patch.setattr(checks, "MOST_COMPARED", rows - 1)
        unchanged, unseen = survey(FILES, both, assignments)
    assert overlap == counted(both, assignments)
    assert overlap.same_rows or not shuffled
    assert unseen is None
    train = np.concatenate([both[i][assignments[i] == TRAIN] for i in range(2)]).astype(np.float32).astype(np.float64)
    for result in found, unchanged:
        np.testing.assert_allclose(result.mean, train.mean(0), rtol=1e-12, atol=1e-12 * np.abs(train).max())
        np.testing.assert_allclose(result.std, train.std(0), rtol=1e-12, atol=1e-12 * np.abs(train).max())


def test_overlap_by_hand() -> None:
    class_0 = np.array([[1, 2], [3, 4], [3, 4], [0.0, 5], [6, 7], [9, 9]])
    class_1 = np.array([[3, 4], [-0.0, 5], [2, 1], [6, 7.5], [8, 8]])
    places = [[TRAIN, TRAIN, TEST, TEST, VAL, DROPPED], [TEST, TRAIN, TRAIN, VAL, TRAIN]]
    _, overlap = survey(FILES, [class_0, class_1], [np.array(place, np.uint8) for place in places])
    assert overlap == Overlap(same_rows=False, both_classes=2, test_in_train=3)


def test_different_rows_have_different_hashes_in_the_bits_that_are_compared() -> None:
    """Among all rows of three small numbers are permuted and repeated ones, and columns of zero of either sign."""
    rows = np.array(list(product(np.arange(-20.0, 20.0), repeat=3)), np.float32)
    hashes = hash_rows(rows) >> np.uint64(3)
    assert len(set(hashes.tolist())) == len(rows)
    np.testing.assert_array_equal(hash_rows(np.where(rows == 0, np.float32(-0.0), rows)) >> np.uint64(3), hashes)


def test_files_and_split_are_hashed_byte_by_byte(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, rows = [blobs / "class_0.npy", blobs / "class_1.npy"], {"train": 60, "val": 20, "test": 20}
    assignments = [split(50, 50, 0, i) for i in (0, 1)]
    one = fingerprint(files, assignments, 0, rows)
    assert one["sha256"] == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert one["split"] == hashlib.sha256(np.concatenate(assignments).tobytes()).hexdigest()
    first, last = assignments[0][0], assignments[0][-1]
    assignments[0][[0, -1]] = last, first
    assert (fingerprint(files, assignments, 0, rows) == one) == (first == last)
    monkeypatch.setattr(checks, "BLOCK", 8)
    for size in (0, 1, 7, 8, 9, 100):
        files[0].write_bytes(bytes(range(size)))
        assert hash_file(files[0]) == hashlib.sha256(bytes(range(size))).hexdigest()
