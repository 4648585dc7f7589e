"""Mean and deviation equal numpy's, however the rows are cut."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from torch import Tensor

from project.data.statistics import Statistics, medians, statistics

Floats = npt.NDArray[np.float32]
shapes = st_np.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)
tables = st_np.arrays(np.float32, shapes, elements=st.floats(-1e6, 1e6, width=32))


def cut_anywhere(data: st.DataObject, values: Floats) -> list[Tensor]:
    """Cut the rows at any places, ragged or even."""
    places = data.draw(st.sets(st.integers(1, len(values) - 1)) if len(values) > 1 else st.just(set()))
    return [torch.from_numpy(part) for part in np.split(values, sorted(places))]


def assert_equals_numpy(result: Statistics, values: Floats, digits: float) -> None:
    """Up to some digits of the largest value, which is as good as a sum of float64 numbers gets."""
    wide = values.astype(np.float64)
    scale = np.abs(wide).max(0) * digits
    assert result.mean.dtype == result.std.dtype == torch.float64
    assert (np.abs(result.mean.numpy() - wide.mean(0)) <= scale).all()
    assert (np.abs(result.std.numpy() - wide.std(0)) <= scale).all()


@given(tables, st.data())
@settings(deadline=None)
def test_any_chunking_gives_numpys_mean_and_deviation(values: Floats, data: st.DataObject) -> None:
    assert_equals_numpy(statistics(cut_anywhere(data, values)), values, 1e-12)


@pytest.mark.parametrize("chunk_rows", [1, 7, 1000, 10_000])
def test_a_large_mean_costs_no_digits_of_the_deviation(chunk_rows: int) -> None:
    values = np.random.default_rng(0).normal(1e6, 1, (10_000, 3)).astype(np.float32)
    result = statistics(torch.split(torch.from_numpy(values), chunk_rows))
    np.testing.assert_allclose(result.mean, values.astype(np.float64).mean(0), rtol=1e-14)
    np.testing.assert_allclose(result.std, values.astype(np.float64).std(0), rtol=1e-9)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 200), st.data())
@settings(deadline=None)
def test_a_constant_feature_has_a_deviation_of_exactly_zero(value: float, rows: int, data: st.DataObject) -> None:
    values = np.full((rows, 1), value, np.float32)
    mean, std = statistics(cut_anywhere(data, values))
    assert mean.item() == value
    assert std.item() == 0


def test_by_hand() -> None:
    mean, std = statistics([torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 5.0], [5.0, 5.0], [7.0, 5.0]])])
    assert mean.tolist() == [4, 5]
    assert std.tolist() == [5**0.5, 0]


def test_chunks_may_come_from_a_generator() -> None:
    chunk = torch.tensor([[1.0], [3.0]])
    mean, std = statistics(chunk + step for step in (0, 10))
    assert (mean.item(), std.item()) == (7, 26**0.5)


@given(
    rows=st.integers(1, 30),
    columns=st.integers(1, 3),
    chunk_rows=st.integers(1, 31),
    data=st.data(),
)
def test_medians_are_numpys(rows: int, columns: int, chunk_rows: int, data: st.DataObject) -> None:
    cells = st.sampled_from([0.0, -1.0, 1e-40, 3e38]) | st.floats(-1e6, 1e6, width=32)
    values = data.draw(st_np.arrays(np.float32, (rows, columns), elements=cells))
    found = medians(lambda: np.split(values, range(chunk_rows, rows, chunk_rows)), rows)
    np.testing.assert_array_equal(found, np.median(values.astype(np.float64), axis=0).astype(np.float32))
