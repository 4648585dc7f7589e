"""How the rows of several splits of the same data reach a study."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer

from project.data import NpyDataModule
from project.data.batches import Iterations, Loader, Subset
from project.data.checks import Fingerprint
from project.model import BinaryClassifier


class Splits(LightningDataModule):
    """One folder of class files, split by several seeds.

    Args:
        make: from the seed of a split to its data.
        seeds: of the splits.
    """

    def __init__(self, make: Callable[[int], NpyDataModule], seeds: Sequence[int]) -> None:
        super().__init__()
        self.data = {seed: make(seed) for seed in seeds}
        self.first = next(iter(self.data.values()))
        self.save_hyperparameters(dict(self.first.hparams), logger=False)
        self._rows: dict[tuple[int, str, bool], Subset] = {}

    def setup(self, stage: str) -> None:
        for data in self.data.values():
            data.setup(stage)

    def rows(self, split: int, subset: str, model: BinaryClassifier, device: torch.device) -> Subset:
        """Return the rows of train, val or test of one split as a model sees them, once for all that see the same."""
        key = (split, subset, model.standardize)
        if key not in self._rows:
            rows = self.data[split].classes.gather(subset, prepare=model.standardized)
            self._rows[key] = rows._replace(features=rows.features.to(device), labels=rows.labels.to(device))
        return self._rows[key]

    @property
    def fingerprint(self) -> Fingerprint:
        """What a checkpoint remembers of the data and the first split; the others follow from their seeds."""
        return self.first.fingerprint

    def check_fingerprint(self, trained_on: Fingerprint | None) -> None:
        """Refuse a checkpoint of other data, by an InputError."""
        self.first.check_fingerprint(trained_on)

    @property
    def largest_piece(self) -> int:
        """How many rows a network is computed on at once."""
        return self.first.batch_size or self.first.classes.rows["train"]

    def describe(self, trainer: Trainer) -> str:
        """One line that counts splits and rows."""
        counts = ", ".join(f"{name} {rows}" for name, rows in self.first.classes.rows.items())
        splits = f"{len(self.data)} split{'s' * (len(self.data) > 1)}"
        return f"{self.first.root}: {splits}, {counts} rows each, half of each class 0"

    def train_dataloader(self) -> Iterations:
        trainer = self.trainer
        assert trainer is not None
        return Iterations(torch.initial_seed(), trainer.max_steps, trainer.global_step)

    def val_dataloader(self) -> Loader:
        return Loader([0])  # The networks have the rows already.

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave the batch as it is: it is the number of an iteration."""
        return batch
