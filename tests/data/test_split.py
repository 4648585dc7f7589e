"""Every row lands in exactly one subset, by nothing but the split's own seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import seed_everything

from project.data.split import DROPPED, TEST, TRAIN, VAL, split

class_indices = st.integers(0, 1)
seeds = st.just(0) | st.integers(0, 2**80)


@given(rows=st.integers(5, 3000), seed=seeds, class_index=class_indices, data=st.data())
def test_each_row_is_in_one_subset_and_the_counts_are_exact(
    rows: int, seed: int, class_index: int, data: st.DataObject
) -> None:
    keep = data.draw(st.just(rows) | st.integers(5, rows))
    assignment = split(rows, keep, seed, class_index)
    k = keep // 5
    subsets = [set(np.flatnonzero(assignment == subset).tolist()) for subset in (TRAIN, VAL, TEST, DROPPED)]
    assert [len(subset) for subset in subsets] == [keep - 2 * k, k, k, rows - keep]
    assert set.union(*subsets) == set(range(rows))
    assert assignment.shape == (rows,)
    assert assignment.dtype == np.uint8


@given(rows=st.integers(5, 300), seed=seeds, class_index=class_indices, other=st.integers(0, 2**32 - 1))
def test_the_same_arguments_give_the_same_split_whatever_the_global_seed(
    rows: int, seed: int, class_index: int, other: int
) -> None:
    seed_everything(0, verbose=False)
    first = split(rows, rows, seed, class_index)
    seed_everything(other, verbose=False)
    np.testing.assert_array_equal(split(rows, rows, seed, class_index), first)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=5, unique=True), class_indices)
def test_seeds_differ(seeds: list[int], class_index: int) -> None:
    """Seed 0 is a seed like any other."""
    splits = {split(100, 100, seed, class_index).tobytes() for seed in [*seeds, 0]}
    assert len(splits) == len({*seeds, 0})


@given(st.integers(0, 2**32 - 1))
def test_the_classes_are_shuffled_independently(seed: int) -> None:
    assert split(100, 100, seed, 0).tobytes() != split(100, 100, seed, 1).tobytes()


@pytest.mark.parametrize(("rows", "keep"), [(10, 10), (14, 10)])
def test_each_row_has_the_same_chance(rows: int, keep: int) -> None:
    """Over 4000 seeds, no frequency is further than five standard deviations from its probability."""
    seeds = 4000
    assignments = np.stack([split(rows, keep, seed, 0) for seed in range(seeds)])
    k = keep // 5
    for subset, size in {TRAIN: keep - 2 * k, VAL: k, TEST: k, DROPPED: rows - keep}.items():
        p = size / rows
        frequencies = (assignments == subset).mean(0)
        assert np.abs(frequencies - p).max() <= 5 * np.sqrt(p * (1 - p) / seeds)
