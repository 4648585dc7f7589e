"""Features on the scale of the training rows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from project.model.standardization import Standardization

ROWS = arrays.arrays(np.float64, st.tuples(st.integers(2, 20), st.integers(1, 5)), elements=st.floats(-1e6, 1e6))


@given(ROWS)
def test_training_rows_get_mean_zero_and_deviation_one_or_zero_if_constant(rows: np.ndarray) -> None:
    """As numpy has it; rows whose deviation float64 can hardly tell from 0 are left out."""
    mean, std = rows.mean(0), np.where(np.ptp(rows, 0) > 0, rows.std(0), 0)
    on, off = Standardization(rows.shape[1]), Standardization(rows.shape[1], is_on=False)
    for standardization in on, off:
        standardization.take(torch.from_numpy(mean), torch.from_numpy(std))
    with np.errstate(all="ignore"):
        expected = np.where(std > 0, (rows - mean) / std, 0).astype(np.float32)
    seen, kept = on(torch.from_numpy(rows)), (std == 0) | (std > 1e-300)
    assert seen.dtype == torch.float32
    np.testing.assert_allclose(seen.numpy()[:, kept], expected[:, kept], rtol=1e-6)
    assert off(torch.from_numpy(rows)).tolist() == rows.astype(np.float32).tolist()


def test_features_of_another_shape_are_refused() -> None:
    standardization = Standardization(2)
    standardization.check(torch.zeros(0, 2))
    for features in torch.zeros(3), torch.zeros(2, 3), torch.zeros(1, 2, 2):
        with pytest.raises(ValueError, match=r"features \(.*\); need \(N, 2\)"):
            standardization.check(features)
