"""The criteria against torch's own, hand-computed values and central differences."""

import math
import re
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode, resolve_name

from project.model import BCELoss
from project.model.loss import MSELoss, accuracy

OPERATORS = {"add", "sub", "rsub", "mul", "neg"}

labels = st.sampled_from([0.0, 1.0])
inside = st.floats(1e-6, 1 - 1e-6, width=64)  # where nothing clamps
anywhere = st.floats(0, 1, width=32)


def columns(rows: list[tuple[float, float]], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Return labels and probabilities, each (N, 1)."""
    table = torch.tensor(rows, dtype=dtype)
    return table[:, :1], table[:, 1:]


class Recorder(TorchFunctionMode):
    """Notes the name of every torch function that is called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(resolve_name(func) or repr(func))
        return func(*args, **(kwargs or {}))


@given(st.lists(st.tuples(labels, inside), min_size=1, max_size=40))
def test_either_criterion_equals_torchs(rows: list[tuple[float, float]]) -> None:
    y, y_hat = columns(rows)
    bce, mse = BCELoss()(y, y_hat), MSELoss()(y, y_hat)
    assert bce.shape == mse.shape == ()
    torch.testing.assert_close(bce, functional.binary_cross_entropy(y_hat, y), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(mse, functional.mse_loss(y_hat, y), rtol=1e-12, atol=1e-15)


@given(st.lists(st.tuples(labels, anywhere), min_size=1, max_size=40))
def test_bce_is_finite_and_at_least_0(rows: list[tuple[float, float]]) -> None:
    """For every float32 in [0, 1], both ends included, and so is its gradient."""
    y, y_hat = columns(rows, torch.float32)
    loss = BCELoss()(y, y_hat.requires_grad_())
    (gradient,) = torch.autograd.grad(loss, [y_hat])
    assert 0 <= loss.item() <= 7 * math.log(10) * (1 + 1e-6)
    assert bool(gradient.isfinite().all())


def test_each_metric_by_hand() -> None:
    """Labels 1, 0, 1 at 1/2, 1/4, 1/8: ln(64/3) / 3, (16 + 4 + 49) / 64 / 3, and 2/3, for 1/2 speaks for class 1."""
    y, y_hat = columns([(1, 0.5), (0, 0.25), (1, 0.125)])
    assert BCELoss()(y, y_hat).item() == pytest.approx(math.log(64 / 3) / 3, rel=1e-12)
    assert MSELoss()(y, y_hat).item() == pytest.approx(69 / 192, rel=1e-12)
    assert accuracy(y, y_hat).item() == pytest.approx(2 / 3, rel=1e-12)
    for dtype in torch.float32, torch.float64:  # The clamp makes certain but wrong cost -ln(1e-7) = 7 ln(10) = 16.118.
        assert BCELoss()(*columns([(0, 1), (1, 0)], dtype)).item() == pytest.approx(7 * math.log(10), rel=1e-6)
        assert BCELoss()(*columns([(0, 0), (1, 1)], dtype)).item() == 0


def test_gradients_equal_central_differences() -> None:
    y, y_hat = columns([(0, 0.03), (1, 0.2), (0, 0.5), (1, 0.61), (0, 0.97)])
    for criterion in BCELoss(), MSELoss():
        assert torch.autograd.gradcheck(partial(criterion, y), y_hat.requires_grad_(), eps=1e-5, rtol=1e-5, atol=0)


def test_refuses_other_shapes() -> None:
    """Most of these would broadcast silently to a wrong mean."""
    shapes: list[Any] = [((4,), (4, 1)), ((4, 1), (4,)), ((1, 1), (4, 1)), ((4,), (4,)), ((4, 2), (4, 2)), ((), ())]
    for criterion, (y, y_hat) in product((BCELoss(), MSELoss(), accuracy), shapes):
        with pytest.raises(ValueError, match=re.escape(f"labels {y} and probabilities {y_hat}; need (N, 1) and")):
            criterion(torch.zeros(y), torch.full(y_hat, 0.5))


def test_bce_uses_only_log_clamp_and_mean() -> None:
    """Of torch's functions, that is: the rest are arithmetic operators, and reads of the shapes."""
    y, y_hat = columns([(0, 0.2), (1, 0.7)])
    with Recorder() as recorder:
        BCELoss()(y, y_hat)
    functions = {name for name in recorder.names if not name.startswith("torch.Tensor.")}
    assert functions == {"torch.log", "torch.clamp", "torch.mean"}
    methods = {name.removeprefix("torch.Tensor.").removesuffix(".__get__") for name in recorder.names - functions}
    assert {name.strip("_") for name in methods} <= OPERATORS | {"shape", "ndim"}
