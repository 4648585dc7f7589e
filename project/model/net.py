"""The two-layer network."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from project.options import check, look_up

ACTIVATIONS = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
}


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
