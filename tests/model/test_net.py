"""The network against matrix arithmetic in numpy, and standardization against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lightning.pytorch import seed_everything
from torch import nn

from project.data.checks import Moments
from project.model import BinaryClassifier, NNet
from project.model.net import ACTIVATIONS, Standardization

numbers = arrays(np.float64, st.tuples(st.integers(2, 20), st.integers(1, 5)), elements=st.floats(-1e6, 1e6))


def test_layers_and_defaults_are_the_courseworks() -> None:
    """Each layer is an attribute and torch.nn's own; NNet() has 2 features, 32 hidden units and tanh."""
    net = NNet()
    assert list(net.children()) == [net.hidden, net.activation, net.output, net.sigmoid]
    assert [type(layer) for layer in net.children()] == [nn.Linear, nn.Tanh, nn.Linear, nn.Sigmoid]
    assert [tuple(p.shape) for p in net.parameters()] == [(32, 2), (32,), (1, 32), (1,)]
    assert net(torch.empty(0, 2)).shape == (0, 1)
    assert net(torch.tensor([[1e30, -1e30], [-1e30, 1e30]])).isfinite().all()


def test_equals_matrix_arithmetic_and_activations_are_torchs_own() -> None:
    assert all(layer.__name__.lower() == name.replace("_", "") for name, layer in ACTIVATIONS.items())
    features = np.random.default_rng(2).normal(0, 3, (40, 3)).astype(np.float32)
    for activation, formula in {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "identity": lambda x: x}.items():
        net = NNet(3, 5, activation)
        w1, b1, w2, b2 = (p.detach().double().numpy() for p in net.parameters())
        expected = 1 / (1 + np.exp(-(formula(features.astype(np.float64) @ w1.T + b1) @ w2.T + b2)))
        np.testing.assert_allclose(net(torch.from_numpy(features)).detach(), expected, rtol=2e-6, atol=1e-7)


def test_initial_weights_are_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """seed_everything and BinaryClassifier draw the weights that manual_seed and NNet draw: nothing else draws."""
    for variable in "PL_GLOBAL_SEED", "PL_SEED_WORKERS":  # seed_everything sets them
        monkeypatch.setenv(variable, "0")
    seed_everything(2**32 - 1, verbose=False)
    classifier = BinaryClassifier(num_features=2)
    torch.manual_seed(2**32 - 1)
    assert all(map(torch.equal, classifier.net.parameters(), NNet().parameters()))


@pytest.mark.filterwarnings("ignore::project.errors.InputWarning")
@given(numbers)
def test_training_rows_get_mean_zero_and_deviation_one_or_zero_if_constant(rows: np.ndarray) -> None:
    """As numpy has it; rows whose deviation float64 can hardly tell from 0 are left out."""
    moments = Moments()
    moments.add(torch.from_numpy(rows))
    mean, std = moments.mean.numpy(), moments.std.numpy()
    on, off = Standardization(rows.shape[1]), Standardization(rows.shape[1], is_on=False)
    for standardization in on, off:
        standardization.take(moments)
    with np.errstate(all="ignore"):
        expected = np.where(std > 0, (rows - mean) / std, 0).astype(np.float32)
    seen, kept = on(torch.from_numpy(rows)), (std == 0) | (std > 1e-300)
    assert seen.dtype == torch.float32
    np.testing.assert_allclose(seen.numpy()[:, kept], expected[:, kept], rtol=1e-6)
    assert off(torch.from_numpy(rows)).tolist() == rows.astype(np.float32).tolist()
