"""Rows that stand in two places are counted as sets of tuples count them."""

from itertools import product
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from project.data import arrays, overlap
from project.data.overlap import Overlap, find_overlap, hash_rows
from project.data.split import TEST, TRAIN, VAL, Assignment, split

Floats = npt.NDArray[np.float64]
cells = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.0 + 1e-12, 3e38])  # 1 + 1e-12 is 1 in float32


def tables(columns: int) -> st.SearchStrategy[Floats]:
    return st_np.arrays(np.float64, st.tuples(st.integers(5, 12), st.just(columns)), elements=cells)


def counted(tables: list[Floats], assignments: list[Assignment]) -> Overlap:
    """The oracle: a row is a tuple of float32 numbers, for which Python says that -0.0 equals 0.0."""
    rows = [[tuple(row.tolist()) for row in table.astype(np.float32)] for table in tables]
    placed = [(row, place) for i in range(2) for row, place in zip(rows[i], assignments[i].tolist(), strict=True)]
    train = {row for row, place in placed if place == TRAIN}
    return Overlap(
        sorted(rows[0]) == sorted(rows[1]),
        len(set(rows[0]) & set(rows[1])),
        sum(place == TEST and row in train for row, place in placed),
    )


@given(st.integers(1, 3).flatmap(lambda j: st.tuples(tables(j), tables(j))), st.integers(0, 99), st.integers(1, 13))
@settings(deadline=None)
def test_overlap_is_what_sets_say(pair: tuple[Floats, Floats], seed: int, chunk_rows: int) -> None:
    keep = min(len(table) for table in pair)
    assignments = [split(len(table), keep, seed, i) for i, table in enumerate(pair)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK_ROWS", chunk_rows)
        assert find_overlap(list(pair), assignments) == counted(list(pair), assignments)


def test_one_bucket_in_many_stands_for_large_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "BUCKET_ROWS", 100)
    rng = np.random.default_rng(0)
    pair = [rng.standard_normal((2000, 2)) for _ in range(2)]
    pair[1][:1000] = pair[0][:1000]
    assignments = [split(2000, 2000, 0, i) for i in range(2)]
    found = find_overlap(pair, assignments)
    assert found.buckets == 40
    assert found.both_classes == pytest.approx(1000 / 40, abs=4 * (1000 / 40) ** 0.5), "within four deviations"
    assert not found.same_rows
    assert find_overlap([pair[0], pair[0][::-1]], assignments).same_rows
    monkeypatch.setattr(overlap, "MOST_BUCKETS", 40)
    assert find_overlap(pair, assignments) == counted(pair, assignments)


@given(tables(2), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_shuffled_rows_are_the_same_rows(table: Floats, random: Random) -> None:
    order = random.sample(range(len(table)), len(table))
    assignments = [split(len(table), len(table), 0, i) for i in range(2)]
    assert find_overlap([table, -(-table)[order]], assignments).same_rows


def test_counts_by_hand() -> None:
    class_0 = np.array([[1, 2], [3, 4], [3, 4], [0.0, 5], [6, 7]])
    class_1 = np.array([[3, 4], [-0.0, 5], [2, 1], [6, 7.5], [9, 9]])
    places = [np.array(p, np.uint8) for p in ([TRAIN, TRAIN, TEST, TEST, VAL], [TEST, TRAIN, TRAIN, VAL, TRAIN])]
    assert find_overlap([class_0, class_1], places) == Overlap(same_rows=False, both_classes=2, test_in_train=3)


def test_dropped_rows_are_in_neither_train_nor_test() -> None:
    class_0, class_1 = np.array([[1.0]] * 6), np.arange(10.0, 15.0)[:, None]
    places = [np.array([TEST, VAL, 3, 3, 3, 3], np.uint8), np.array([TRAIN, TRAIN, TRAIN, VAL, TEST], np.uint8)]
    assert find_overlap([class_0, class_1], places) == Overlap(same_rows=False, both_classes=0, test_in_train=0)


def test_minus_zero_and_zero_are_the_same_row() -> None:
    signs = np.array([[0.0, 0.0], [-0.0, 0.0], [0.0, -0.0], [-0.0, -0.0], [-1e-60, 1e-60]])
    assert len(set(hash_rows(signs.astype(np.float32)).tolist())) == 1


def test_different_rows_have_different_hashes() -> None:
    """All rows of three small numbers: permuted, repeated, and zero, columns included."""
    rows = np.array(list(product(np.arange(-20.0, 20.0), repeat=3)))
    assert len(set(hash_rows(rows.astype(np.float32)).tolist())) == len(rows)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "u1", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_hashes_depend_on_values_alone(dtype: str, order: str) -> None:
    values = np.arange(40.0).reshape(10, 4)
    expected = hash_rows(values.astype(np.float32))
    np.testing.assert_array_equal(hash_rows(values.astype(dtype, order=order).astype(np.float32)), expected)
