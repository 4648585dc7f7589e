"""What is noticed about the data is what numpy and plain Python notice, however the rows are cut."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from project.data import checks, npy
from project.data.checks import Features, Moments, Overlap, checked_rows, survey
from project.data.npy import open_array
from project.data.split import TEST, TRAIN, Assignment, split
from tests.data.test_npy import assert_refused

Floats = npt.NDArray[np.float64]
LOST = "values above 2^24 lose precision in float32"

cells = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.0 + 1e-12, 3e38])  # float32 takes 1 + 1e-12 for 1, float64 does not
few_rows = [st_np.arrays(np.float64, st.tuples(st.integers(5, 12), st.just(j)), elements=cells) for j in (1, 2, 3)]
pairs = st.sampled_from(few_rows).flatmap(lambda rows: st.tuples(rows, rows))
cuts, million = st.sets(st.integers(1, 30)), st.floats(-1e6, 1e6, width=32)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


def read(path: Path) -> list[tuple[int, Features]]:
    return list(checked_rows(open_array(path)))


def test_values_that_do_not_fit_are_counted_and_the_first_is_named(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(npy, "CHUNK_ROWS", 3)
    for places, words in [
        ({(7, 1): np.nan}, "1 value is NaN or infinite; first: nan at row 7, column 1; remove such rows"),
        ({(4, 1): -np.inf, (5, 0): 6.4e38, (9, 0): np.nan}, "2 values are NaN or infinite; first: -inf at row 4,"),
        ({(2, 0): 6.4e38, (9, 1): np.nan}, r"value 6\.4e\+38 at row 2, column 0 is too large for float32; rescale"),
    ]:
        rows = np.ones((10, 2))
        for place, value in places.items():
            rows[place] = value
        np.save(path, np.asfortranarray(rows))
        assert_refused(path, words, read)


def test_what_float32_loses_is_refused_or_warned_of(path: Path, recwarn: pytest.WarningsRecorder) -> None:
    np.save(path, np.array([[0, 0x7FF0000000000001]], "u8").view("f8"))  # a signaling NaN
    assert_refused(path, "1 value is NaN or infinite; first: nan at row 0, column 1; remove", read)
    for value in float(np.finfo(np.float32).max), 5e-324, 2.0**60, 2**24, -(2**24):
        np.save(path, [[value]])
        read(path)
    assert not recwarn.list
    for value in 2**24 + 1, -(2**63), np.uint64(2**64 - 1):
        np.save(path, [[value - value], [value]])
        read(path)
        assert str(recwarn.pop().message) == f"{path}: {LOST}"


def moments(values: Features, places: set[int]) -> tuple[Floats, Floats]:
    """Return mean and deviation of rows that are cut at some places."""
    result = Moments()
    for part in np.split(values, sorted(place for place in places if place < len(values))):
        result.add(torch.from_numpy(part))
    assert result.mean.dtype == result.std.dtype == torch.float64
    return result.mean.numpy(), result.std.numpy()


@given(st_np.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=million), numbers, cuts)
def test_any_cut_gives_numpys_mean_and_deviation(values: Features, constant: float, places: set[int]) -> None:
    """Up to some digits of the largest value, as a sum of float64 numbers does; a constant deviates by exactly 0."""
    values = np.column_stack([values, np.full(len(values), constant, np.float32)])
    wide, (mean, std) = values.astype(np.float64), moments(values, places)
    for result, expected in (mean, wide.mean(0)), (std, wide.std(0)):
        assert (np.abs(result - expected) <= np.abs(wide).max(0) * 1e-12).all()
    assert (mean[-1], std[-1]) == (constant, 0)


def test_a_large_mean_costs_no_digits_of_the_deviation() -> None:
    values = np.random.default_rng(0).normal(1e6, 1, (10_000, 3)).astype(np.float32)
    mean, std = moments(values, set(range(7, 10_000, 7)))
    np.testing.assert_allclose(mean, values.astype(np.float64).mean(0), rtol=1e-14)
    np.testing.assert_allclose(std, values.astype(np.float64).std(0), rtol=1e-9)


def counted(pair: list[Floats], assignments: list[Assignment]) -> Overlap:
    """Be the oracle: a row is a tuple of numbers, for which Python says that -0.0 equals 0.0."""
    rows = [[tuple(row.tolist()) for row in table] for table in pair]
    placed = [(row, place) for i in range(2) for row, place in zip(rows[i], assignments[i].tolist(), strict=True)]
    train = {row for row, place in placed if place == TRAIN}
    test_in_train = sum(place == TEST and row in train for row, place in placed)
    return Overlap(sorted(rows[0]) == sorted(rows[1]), len(set(rows[0]) & set(rows[1])), test_in_train)


@given(pairs, st.booleans(), st.randoms(use_true_random=False))
def test_one_pass_finds_what_sets_find(path: Path, pair: list[Floats], shuffled: bool, random: Random) -> None:
    both = list(pair)
    if shuffled:
        both[1] = -(-both[0])[random.sample(range(len(both[0])), len(both[0]))]
    files = [path.with_name(f"class_{i}.npy") for i in range(2)]
    for file, table in zip(files, both, strict=True):
        np.save(file, table)
    arrays, keep, rows = [open_array(file) for file in files], min(map(len, both)), sum(map(len, both))
    assignments = [split(len(table), keep, random.randrange(99), i) for i, table in enumerate(both)]
    train = np.concatenate([both[i][assignments[i] == TRAIN] for i in range(2)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npy, "CHUNK_ROWS", random.randint(1, 13))
        for most, expected in (rows, counted(both, assignments)), (rows - 1, None):
            patch.setattr(checks, "MOST_COMPARED", most)
            found, overlap = survey(arrays, assignments)
            assert overlap == expected
            limits = {"rtol": 1e-12, "atol": 1e-12 * np.abs(train).max()}
            np.testing.assert_allclose([found.mean, found.std], [train.mean(0), train.std(0)], **limits)
