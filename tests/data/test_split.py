"""Every row lands in exactly one subset, by nothing but the split's own seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import seed_everything

from project.data.split import DROPPED, TEST, TRAIN, VAL, split

seeds = st.just(0) | st.integers(0, 2**80)


@given(st.integers(5, 3000), seeds, st.integers(0, 1), st.integers(0, 2**32 - 1), st.data())
def test_each_row_is_in_one_subset(rows: int, seed: int, class_index: int, other: int, data: st.DataObject) -> None:
    """The counts are exact, and the global seed changes nothing."""
    keep = data.draw(st.just(rows) | st.integers(5, rows))
    seed_everything(0, verbose=False)
    assignment = split(rows, keep, seed, class_index)
    k = keep // 5
    subsets = [set(np.flatnonzero(assignment == subset).tolist()) for subset in (TRAIN, VAL, TEST, DROPPED)]
    assert [len(subset) for subset in subsets] == [keep - 2 * k, k, k, rows - keep]
    assert set.union(*subsets) == set(range(rows))
    assert (assignment.shape, assignment.dtype) == ((rows,), np.uint8)
    seed_everything(other, verbose=False)
    np.testing.assert_array_equal(split(rows, keep, seed, class_index), assignment)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5, unique=True))
def test_seeds_differ_and_classes_are_shuffled_independently(seeds: list[int]) -> None:
    """Seed 0 is a seed like any other."""
    splits = {split(100, 100, seed, class_index).tobytes() for seed in [*seeds, 0] for class_index in (0, 1)}
    assert len(splits) == 2 * len({*seeds, 0})


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
