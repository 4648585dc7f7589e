"""Rows that belong together stay together: files of groups, and splits of whole groups."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.data import NpyDataModule
from project.data.classes import ClassFiles
from project.data.split import DROPPED, SUBSETS, deal
from project.errors import InputError, InputWarning
from tests.conftest import Write
from tests.data.test_classes import distinct

Numbers = npt.NDArray[np.generic]
seeds = st.integers(0, 2**32)
TENS = np.arange(100) // 10  # ten groups of ten rows


@st.composite
def groups(draw: st.DrawFn) -> list[npt.NDArray[np.int64]]:
    """Draw groups of 60 to 90 rows a class: of both classes or of one, of equal sizes or of very different ones."""
    rng = np.random.default_rng(draw(seeds))
    number, shift, power = draw(st.integers(6, 40)), draw(st.sampled_from([0, 1000])), draw(st.sampled_from([1, 3]))
    rows = [draw(st.integers(60, 90)) for _ in range(2)]
    few = [(number * rng.random(n) ** power).astype(np.int64) for n in rows]
    return [few[0] - 2**62, few[1] - 2**62 + shift]


@given(groups(), seeds)
def test_whole_groups_are_dealt_and_surplus_rows_of_a_subset_are_dropped(
    path: Path, groups: list[npt.NDArray[np.int64]], seed: int
) -> None:
    root = path.parent
    for label, of in enumerate(groups):
        np.save(root / f"class_{label}.npy", distinct(len(of), 1, 1000 * label))
        np.save(root / f"group_{label}.npy", of)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # one that says how many rows were dropped
            files, again = (ClassFiles(root, seed, "downsample", by_groups=True) for _ in range(2))
    except InputError as error:  # Few groups of very different sizes may leave none of a class for a subset.
        assert "need three groups of each class" in str(error)  # noqa: PT017
        assert min(len(np.unique(of)) for of in groups) < 8
        return
    assert [a.tolist() for a in files.assignments] == [a.tolist() for a in again.assignments]
    dealt, held = deal(groups, seed), set[int]()
    for name, subset in SUBSETS.items():
        rows = files.row_numbers(name)
        assert len(rows[0]) == len(rows[1]) == min(int((each == subset).sum()) for each in dealt) > 0
        of = files.groups_of(name)
        assert of is not None
        assert of.tolist() == [*groups[0][rows[0]], *groups[1][rows[1]]]
        assert held.isdisjoint(of.tolist())
        held |= set(of.tolist())
        assert files.gather(name).features[:, 0].tolist() == [*rows[0], *(1000 + rows[1])]
    for given_to, kept in zip(dealt, files.assignments, strict=True):
        assert ((kept == given_to) | (kept == DROPPED)).all()


@given(st.integers(3, 300), seeds)
def test_equal_groups_are_shared_out_as_60_20_20_and_by_chance(number: int, seed: int) -> None:
    whole = np.repeat(np.arange(number), 2)
    dealt = deal([whole, whole], seed)
    assert dealt[0].tolist() == dealt[1].tolist()
    shares = np.bincount(dealt[0], minlength=3) / 2
    assert shares.sum() == number
    assert np.abs(shares - np.array([0.6, 0.2, 0.2]) * number).max() < 1.21
    others = {deal([whole, whole], other)[0].tobytes() for other in range(seed, seed + 5)}
    assert len(others) > 1 or number < 5


def test_each_group_has_the_same_chance() -> None:
    """Over 3000 seeds, no group's frequency is further than five standard deviations from the subset's share."""
    whole, seeds = np.arange(10), 3000
    dealt = np.stack([deal([whole, whole], seed)[0] for seed in range(seeds)])
    for subset, p in enumerate([0.6, 0.2, 0.2]):
        frequencies = (dealt == subset).mean(0)
        assert np.abs(frequencies - p).max() <= 5 * np.sqrt(p * (1 - p) / seeds)


def write_groups(root: Path, zeros: Any, ones: Any) -> None:
    for label, of in enumerate((zeros, ones)):
        if of is not None:
            np.save(root / f"group_{label}.npy", of)


@pytest.fixture
def root(write_classes: Write) -> Path:
    return write_classes(distinct(100, 2), distinct(100, 2, 1000))


@pytest.mark.parametrize(
    ("zeros", "ones", "words"),
    [
        (TENS, None, "group_1.npy: No such file"),
        (TENS[:99], TENS, "group_0.npy: 99 groups for the 100 rows of class_0.npy; need one each"),
        (TENS.astype(float), TENS, "group_0.npy: dtype float64; need an integer type up to int64"),
        (TENS, TENS.astype(np.uint64), "group_1.npy: dtype uint64; need an integer type up to int64"),
        (TENS, TENS[:, None], r"group_1.npy: shape \(100, 1\) is 2-D; need \(N,\), the number of a group for each row"),
        (TENS, np.array(["a"] * 100), "group_1.npy: dtype str32 is not supported"),
        (TENS, np.array([None] * 100), "group_1.npy: holds Python objects"),
        (TENS // 5, TENS // 5, "2 groups leave no row of class 0 for test; need three groups of each class"),
        (TENS, TENS // 5, "10 groups leave no row of class 1 for (val|test); need three groups of each class"),
        (TENS, np.arange(100) // 9, r"unequal rows of class 0 and 1 \(train .* use --data.balance downsample to drop"),
    ],
)
def test_groups_that_give_no_split_are_one_line(root: Path, zeros: Numbers, ones: Numbers | None, words: str) -> None:
    write_groups(root, zeros, ones)
    with pytest.raises(InputError, match=words):
        NpyDataModule(root).setup("fit")


def test_the_line_about_unequal_groups_says_what_downsample_drops(root: Path) -> None:
    write_groups(root, TENS, np.arange(100) // 9)
    with pytest.raises(InputError) as error:
        NpyDataModule(root).setup("fit")
    surplus = str(error.value).partition("to drop ")[2].partition(",")[0]
    data = NpyDataModule(root, balance="downsample")
    with pytest.warns(
        InputWarning, match=f"dropped {surplus} of 200 rows, so that each subset of whole groups is half"
    ):
        data.setup("fit")
    assert sum(data.classes.rows.values()) == 200 - int(surplus)


def test_groups_are_the_default_where_they_are_and_rows_of_the_sample(root: Path) -> None:
    assert NpyDataModule(root).split == "rows"
    with pytest.raises(InputError, match=r"^--data.split: groups; .* has no group_0.npy and group_1.npy"):
        NpyDataModule(root, split="groups").setup("fit")
    without = NpyDataModule(root)
    without.setup("fit")
    write_groups(root, TENS.astype(np.int8), TENS.astype(">u4"))
    rows, whole = NpyDataModule(root, split="rows"), NpyDataModule(root)
    assert (rows.split, whole.split, whole.hparams["split"]) == ("rows", "groups", "groups")
    for data in rows, whole:
        data.setup("fit")
    assert rows.fingerprint == without.fingerprint, "groups do not change a split by rows"
    with pytest.raises(InputError, match=r"^--data.split: the checkpoint was trained on another split .* with rows"):
        rows.check_fingerprint(whole.fingerprint)
    assert NpyDataModule().split == "rows"
    speakers = NpyDataModule(split="groups")
    speakers.setup("fit")
    assert speakers.classes.rows == {"train": 920, "val": 300, "test": 300}
    assert [len(np.unique(speakers.classes.groups_of(name))) for name in SUBSETS] == [46, 15, 15]
