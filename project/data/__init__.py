"""From two ``.npy`` files to batches."""

from project.data.datamodule import NpyDataModule

__all__ = ["NpyDataModule"]
