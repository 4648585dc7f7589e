"""How the rows of several splits of the same data reach a study."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor

from project.data import NpyDataModule
from project.data.batches import Loader, Subset


class Iterations:
    """The numbers of a run's iterations from 1, in one sized pass that can stop and resume anywhere."""

    def __init__(self, last: int, done: int) -> None:
        self.last, self.done = last, done

    def __len__(self) -> int:
        return self.last

    def __iter__(self) -> Iterator[int]:
        yield from range(self.done + 1, self.last + 1)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the trainer knows how many iterations there were."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing, likewise."""


class Splits(LightningDataModule):
    """One folder of class files, split by several seeds.

    Args:
        make: from the seed of a split to its data.
        seeds: of the splits.
    """

    def __init__(self, make: Callable[[int], NpyDataModule], seeds: Sequence[int]) -> None:
        super().__init__()
        self.data = {seed: make(seed) for seed in seeds}

    def setup(self, stage: str) -> None:
        for data in self.data.values():
            data.setup(stage)

    def rows(self, split: int, subset: str, prepare: Callable[[Tensor], Tensor]) -> Subset:
        """Return the rows of train, val or test of one split, prepared by a function of raw features (n, j)."""
        return self.data[split].classes.gather(subset, prepare=prepare)

    def train_dataloader(self) -> Iterations:
        assert self.trainer is not None
        return Iterations(self.trainer.max_steps, self.trainer.global_step)

    def val_dataloader(self) -> Loader:
        return Loader([0])  # The networks have the rows already.
