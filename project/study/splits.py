"""Data that are split by several seeds."""

from typing import Any

import torch
from lightning.pytorch import Trainer

from project.data import NpyDataModule
from project.data.batches import Iterations, Loader, Subset
from project.model import BinaryClassifier


class Splits(NpyDataModule):
    """The data of one split, by the options of an NpyDataModule, and of others whose seeds follow its own."""

    def __init__(self, splits: int, **options: Any) -> None:
        super().__init__(**options)
        self.by_seed: dict[int, NpyDataModule] = {self.seed: self}
        for seed in range(self.seed + 1, self.seed + splits):
            self.by_seed[seed] = NpyDataModule(**{**options, "seed": seed})
        self._rows: dict[tuple[int, str, bool], Subset] = {}

    def setup(self, stage: str) -> None:
        for data in self.by_seed.values():
            NpyDataModule.setup(data, stage)

    def rows(self, split: int, subset: str, model: BinaryClassifier, device: torch.device) -> Subset:
        """Return the rows of train, val or test of one split as a model sees them, once for all that see the same."""
        key = (split, subset, model.standardize)
        if key not in self._rows:
            rows = self.by_seed[split].classes.gather(subset, prepare=model.standardized)
            self._rows[key] = rows._replace(features=rows.features.to(device), labels=rows.labels.to(device))
        return self._rows[key]

    @property
    def largest_piece(self) -> int:
        """How many rows a network is computed on at once."""
        return self.batch_size or self.classes.rows["train"]

    def describe(self, trainer: Trainer) -> str:
        """Return a line that counts splits and rows."""
        counts = ", ".join(f"{name} {rows}" for name, rows in self.classes.rows.items())
        splits = "1 split" if len(self.by_seed) == 1 else f"{len(self.by_seed)} splits"
        return f"{self.root}: {splits}, {counts} rows each, half of each class 0"

    def train_dataloader(self) -> Iterations:  # type: ignore[override]  # It gives numbers of iterations, not rows.
        trainer = self.trainer
        assert trainer is not None
        return Iterations(torch.initial_seed(), trainer.max_steps, trainer.global_step)

    def val_dataloader(self) -> list[Loader]:
        return [Loader([0])]  # The networks have the rows already.
