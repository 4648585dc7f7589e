"""What the scripts of other libraries share: the data, and iterations as epochs. It needs numpy alone."""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Epochs(NamedTuple):
    """How many rows make a batch, and how many epochs come before the clock starts, and then."""

    batch_size: int
    warmup: int
    measured: int


def epochs(options: argparse.Namespace, rows: int) -> Epochs:
    batch_size = options.batch_size or rows
    epoch = -(-rows // batch_size)
    return Epochs(batch_size, max(1, -(-options.warmup // epoch)), options.iterations // epoch)


def load(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 60% of each class, standardized: float32 (N, j) and labels (N,)."""
    arrays = [np.load(root / f"class_{label}.npy") for label in (0, 1)]
    parts = [array[: len(array) - 2 * (len(array) // 5)] for array in arrays]
    x = np.concatenate(parts)
    mean, std = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    return ((x - mean) / std).astype(np.float32), np.repeat([0, 1], [len(part) for part in parts])
