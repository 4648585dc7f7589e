"""The two-layer network."""

from torch import nn

from project.errors import InputError

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


class NNet(nn.Sequential):
    """Linear, activation, Linear, Sigmoid: the probability of class 1.

    Shape: (N, in_features) to (N, 1), float32, in [0, 1].

    Args:
        in_features: Number of features j, at least 1.
        hidden_features: Width of the hidden layer, at least 1.
        activation: A name in ACTIVATIONS.

    Raises:
        InputError: if an argument is out of its range.
    """

    def __init__(self, in_features: int = 2, hidden_features: int = 32, activation: str = "tanh") -> None:
        if in_features < 1:
            raise InputError(f"in_features: {in_features}; need at least 1")
        if hidden_features < 1:
            raise InputError(f"--model.hidden_features: {hidden_features}; need at least 1")
        if activation not in ACTIVATIONS:
            raise InputError(f"--model.activation: {activation}; need one of {', '.join(ACTIVATIONS)}")
        super().__init__(
            nn.Linear(in_features, hidden_features),
            ACTIVATIONS[activation](),
            nn.Linear(hidden_features, 1),
            nn.Sigmoid(),
        )
