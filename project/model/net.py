"""The two-layer network, and the scale on which it sees features."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.utilities.data import sized_len
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from project.data.checks import Moments
from project.model.loss import check_pair
from project.options import check, look_up

RECTIFIERS = nn.CELU, nn.ELU, nn.GELU, nn.Mish, nn.ReLU, nn.SELU, nn.SiLU, nn.Softplus
SIGMOIDS = nn.Sigmoid, nn.Softsign, nn.Tanh
ACTIVATIONS: dict[str, type[nn.Module]] = {"identity": nn.Identity, "leaky_relu": nn.LeakyReLU}
ACTIVATIONS |= {layer.__name__.lower(): layer for layer in (*RECTIFIERS, *SIGMOIDS)}


class NNet(nn.Module):
    """Linear, activation, Linear, Sigmoid: features (N, in_features) to the probability of class 1, float32 (N, 1).

    Args:
        in_features: Number of features j, at least 1.
        hidden_features: Width of the hidden layer, 1 to 65536.
        activation: A name in ACTIVATIONS; it and the others raise a ValueError outside their range.
    """

    def __init__(self, in_features: int = 2, hidden_features: int = 32, activation: str = "tanh") -> None:
        super().__init__()
        check(in_features=in_features, hidden_features=hidden_features)
        self.hidden = nn.Linear(in_features, hidden_features)
        self.activation = look_up("activation", activation, ACTIVATIONS)()
        self.output = nn.Linear(hidden_features, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.activation(self.hidden(features))
        y_hat: Tensor = self.sigmoid(self.output(hidden))
        return y_hat


# Networks of one's own take the same arguments, and rows (N, in_features) to probabilities (N, 1).
NETWORKS: dict[str, type[nn.Module]] = {"two_layer": NNet}


class Standardization(nn.Module):
    """Raw features to ``(x - mean) / deviation`` of the training rows, once ``take`` has got them; off, to themselves.

    Shape: features of any float or integer type (N, num_features), to float32 (N, num_features).
    """

    mean: Tensor  # float64 (j,); in float32, the digits of a large mean would hide the rest
    scale: Tensor  # float64 (j,), 1 / deviation; 0 of a constant feature, which becomes 0

    def __init__(self, num_features: int, is_on: bool = True) -> None:
        super().__init__()
        self.is_on = is_on
        self.register_buffer("mean", torch.zeros(num_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(num_features, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return ((features - self.mean) * self.scale if self.is_on else features).to(torch.float32)

    def check(self, features: Tensor) -> None:
        """Refuse, by a ValueError, features of another shape; ``forward`` does not, because no trace could follow."""
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ValueError(f"features {tuple(features.shape)}; need (N, {len(self.mean)}), as the model was made for")

    def measure(self, loader: Any) -> Moments:
        """Return the moments of the features that a plain loader gives, in one pass."""
        moments = Moments()
        if sized_len(loader) is None:
            raise ValueError("standardize: needs a loader that ends; use standardize=False")
        with isolate_rng():  # The order in which a loader shuffles must not depend on this pass.
            for batch in loader:
                features, _ = check_pair(batch)
                self.check(features)
                moments.add(features.to(self.mean.device))
        return moments

    def take(self, moments: Moments, names: Sequence[str] | None = None) -> None:
        """Scale from now on by the moments of the features; warn, by their names, of odd ones."""
        self.check(moments.mean[None])
        moments.warn_of_odd_scales(self.is_on, names)
        if self.is_on:
            self.mean.copy_(moments.mean)
            self.scale.copy_(torch.where(moments.std > 0, 1 / moments.std, 0))


@contextmanager
def evaluating(models: Iterable[nn.Module]) -> Iterator[None]:
    """Let models answer as they are when not training, so that a picture changes no statistics and draws no dropout."""
    training = [module for model in models for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
