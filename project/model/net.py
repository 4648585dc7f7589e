"""The two-layer network, and how networks answer."""

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
    """Linear, activation, Linear, Sigmoid: the probability of class 1.

    Shape: (N, in_features) to (N, 1), float32, in [0, 1].

    Args:
        in_features: Number of features j, at least 1.
        hidden_features: Width of the hidden layer, 1 to 65536.
        activation: A name in ACTIVATIONS.

    Raises:
        ValueError: if an argument is out of its range.
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
        probability: Tensor = self.sigmoid(self.output(hidden))
        return probability


# Networks of one's own take the same arguments, and rows (N, in_features) to probabilities (N, 1).
NETWORKS: dict[str, type[nn.Module]] = {"two_layer": NNet}


@contextmanager
def evaluating(models: Iterable[nn.Module]) -> Iterator[None]:
    """Let models answer as they are when not training, so that a picture changes no statistics and draws no dropout."""
    modes = {module: module.training for model in models for module in model.modules()}
    for module in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
