"""The scale on which the network sees features."""

import torch
from torch import Tensor, nn


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

    def take(self, mean: Tensor, std: Tensor) -> None:
        """Scale from now on by the mean and deviation of each feature, (j,) each."""
        if self.is_on:
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(std > 0, 1 / std, 0))
