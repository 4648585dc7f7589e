"""Every row lands in exactly one subset, by nothing but the split's own seed, and rows of a group stay together."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from project.data import NpyDataModule, npy
from project.data.classes import ClassFiles
from project.data.split import DROPPED, SUBSETS, deal, split
from project.errors import InputError, InputWarning
from tests.conftest import Write
from tests.data.test_classes import MEMORY, Pair, distinct, load, sizes

seeds = st.just(0) | st.integers(0, 2**80)
TEN, TENS, NINES = np.arange(10), np.arange(100) // 10, np.arange(100) // 9  # groups of one, ten and nine rows
CHANCES = {
    "rows": (lambda seed: split(14, 10, seed, 0), (6 / 14, 2 / 14, 2 / 14, 4 / 14)),
    "groups": (lambda seed: deal([TEN, TEN], seed)[0], (0.6, 0.2, 0.2, 0)),
}


@given(sizes, seeds, st.integers(1, 50))
def test_every_row_is_in_one_subset_and_each_is_balanced(path: Path, rows: Pair, seed: int, chunk_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npy, "CHUNK_ROWS", chunk_rows)
        files, tables = load(path.parent, rows, seed)
        subsets = [files.gather(name, MEMORY, torch.neg) for name in SUBSETS]
    k = min(rows) // 5
    for subset, size in zip(subsets, [min(rows) - 2 * k, k, k], strict=True):
        assert subset.features.shape == (2 * size, 2)
        assert subset.features.dtype == subset.labels.dtype == torch.float32
        assert subset.labels.tolist() == [[0.0]] * size + [[1.0]] * size
    for label, table in enumerate(tables):
        taken = [tuple(row) for s in subsets for row in (-s.features[s.labels[:, 0] == label]).tolist()]
        assert len(set(taken)) == len(taken) == min(rows)
        assert set(taken) <= table


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5, unique=True))
def test_seeds_differ_and_classes_are_shuffled_independently(seeds: list[int]) -> None:
    """Seed 0 is a seed like any other."""
    splits = {split(100, 100, seed, class_index).tobytes() for seed in [*seeds, 0] for class_index in (0, 1)}
    assert len(splits) == 2 * len({*seeds, 0})


@pytest.mark.parametrize("what", CHANCES)
def test_each_row_and_each_group_has_the_same_chance(what: str) -> None:
    """Over 3000 seeds, no frequency is further than five standard deviations from its probability."""
    draw, probabilities = CHANCES[what]
    assignments = np.stack([draw(seed) for seed in range(3000)])
    for subset, p in enumerate(probabilities):
        assert np.abs((assignments == subset).mean(0) - p).max() <= 5 * np.sqrt(p * (1 - p) / 3000)


@st.composite
def groups(draw: st.DrawFn) -> list[npt.NDArray[np.int64]]:
    """Draw groups of 60 to 90 rows a class: of both classes or of one, of equal sizes or of very different ones."""
    rng = np.random.default_rng(draw(seeds))
    number, shift, power = draw(st.integers(6, 40)), draw(st.sampled_from([0, 1000])), draw(st.sampled_from([1, 3]))
    few = [(number * rng.random(draw(st.integers(60, 90))) ** power).astype(np.int64) for _ in range(2)]
    return [few[0] - 2**62, few[1] - 2**62 + shift]


def write_groups(root: Path, *groups: Any) -> None:
    for label, each in enumerate(groups):
        if each is not None:
            np.save(root / f"group_{label}.npy", each)


@given(groups(), seeds)
def test_whole_groups_are_dealt_and_surplus_rows_of_a_subset_are_dropped(
    path: Path, groups: list[npt.NDArray[np.int64]], seed: int
) -> None:
    for label, each in enumerate(groups):
        np.save(path.with_name(f"class_{label}.npy"), distinct(len(each), 1, 1000 * label))
    write_groups(path.parent, *groups)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # one that says how many rows were dropped
            files, again = (ClassFiles(path.parent, seed, "downsample", by_groups=True) for _ in range(2))
    except InputError as error:  # Few groups of very different sizes may leave none of a class for a subset.
        assert "need three groups of each class" in str(error)  # noqa: PT017
        assert min(len(np.unique(each)) for each in groups) < 8
        return
    assert files.fingerprint == again.fingerprint
    dealt, held = deal(groups, seed), set[int]()
    for name, subset in SUBSETS.items():
        rows, found = files.row_numbers(name), files.groups_of(name)
        assert len(rows[0]) == len(rows[1]) == min(int((each == subset).sum()) for each in dealt) > 0
        assert found is not None
        assert found.tolist() == [*groups[0][rows[0]], *groups[1][rows[1]]]
        assert held.isdisjoint(found.tolist())
        held |= set(found.tolist())
        assert files.gather(name).features[:, 0].tolist() == [*rows[0], *(1000 + rows[1])]
    for before, kept in zip(dealt, files.assignments, strict=True):
        assert ((kept == before) | (kept == DROPPED)).all()


@given(st.integers(3, 300), seeds)
def test_equal_groups_are_shared_out_as_60_20_20_and_by_chance(number: int, seed: int) -> None:
    whole = np.repeat(np.arange(number), 2)
    dealt = deal([whole, whole], seed)
    assert dealt[0].tolist() == dealt[1].tolist()
    assert np.abs(np.bincount(dealt[0], minlength=3) / 2 - np.array([0.6, 0.2, 0.2]) * number).max() < 1.21


@pytest.fixture
def root(write_classes: Write) -> Path:
    return write_classes(distinct(100, 2), distinct(100, 2, 1000))


def test_groups_that_give_no_split_are_one_line(root: Path) -> None:
    for zeros, ones, words in [
        (TENS[:99], TENS, "group_0.npy: 99 groups for the 100 rows of class_0.npy; need one each"),
        (TENS, TENS.astype(np.uint64), "group_1.npy: dtype uint64; need an integer type up to int64"),
        (TENS, TENS[:, None], r"group_1.npy: shape \(100, 1\) is 2-D; need \(N,\), the number of a group for each row"),
        (TENS, TENS // 5, "10 groups leave no row of class 1 for (val|test); need three groups of each class"),
    ]:
        write_groups(root, zeros, ones)
        with pytest.raises(InputError, match=words):
            NpyDataModule(root).setup("fit")


def test_rows_that_whole_groups_leave_over_are_dropped_where_asked(root: Path) -> None:
    write_groups(root, TENS, NINES)
    with pytest.raises(InputError, match=r"unequal rows of class 0 and 1 \(train .* downsample to drop ") as error:
        NpyDataModule(root).setup("fit")
    surplus = str(error.value).partition("to drop ")[2].partition(",")[0]
    data = NpyDataModule(root, balance="downsample")
    with pytest.warns(InputWarning, match=f"dropped {surplus} of 200 rows, so that each subset of whole groups is"):
        data.setup("fit")
    assert sum(data.classes.rows.values()) == 200 - int(surplus)


def test_groups_are_the_default_where_they_are_and_rows_of_the_sample(root: Path) -> None:
    with pytest.raises(InputError, match=r"^--data.split: groups; .* has no group_0.npy and group_1.npy"):
        NpyDataModule(root, split="groups").setup("fit")
    without = NpyDataModule(root)
    write_groups(root, TENS.astype(np.int8), TENS.astype(">u4"))
    rows, whole = NpyDataModule(root, split="rows"), NpyDataModule(root)
    assert [data.split for data in (without, whole, NpyDataModule())] == ["rows", "groups", "rows"]
    with pytest.raises(InputError, match=r"^--data.split: the checkpoint was trained on another split .* with rows"):
        rows.classes.check_same(whole.classes.fingerprint)
    speakers = NpyDataModule(split="groups").classes
    assert speakers.rows == {"train": 920, "val": 300, "test": 300}
    assert [len(np.unique(speakers.groups_of(name))) for name in SUBSETS] == [46, 15, 15]
