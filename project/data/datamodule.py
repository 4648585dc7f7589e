"""How batches reach the trainer: two class files are loaded, split and handed over."""

import os
import warnings
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor

from project.data import sample
from project.data.arrays import Array, check_values, chunks, open_array
from project.data.batches import CPU, Batch, Loader, Rows, Share, Subset, TrainingBatches
from project.data.fingerprint import Fingerprint, check_same, fingerprint
from project.data.memory import free_memory
from project.data.overlap import find_overlap
from project.data.selection import Prepare, Selection, StreamedSubset
from project.data.split import MIN_ROWS, TEST, TRAIN, VAL, Assignment, split
from project.data.statistics import Statistics, medians, statistics
from project.errors import InputError, InputWarning

MEMORY_SHARE = 0.5  # of what is free, that the subsets may take
MEDIAN_COLUMNS = 16  # whose medians are found together, in as many half megabytes
CLASS_FILES = ("class_0.npy", "class_1.npy")


class NpyDataModule(LightningDataModule):
    """Two ``.npy`` files, one per class, split 60/20/20 into balanced, disjoint subsets.

    After ``setup``, ``train``, ``val`` and ``test`` each hold ``features``, float32 (N, j), and ``labels``, float32
    (N, 1) of 0 and 1: first the rows of class 0, then as many of class 1.

    Args:
        root: Folder with class_0.npy and class_1.npy, each (N, j); null is the shipped sample.
        batch_size: Rows per iteration, 1 to the rows in train; null is all of them (batch gradient descent).
        piece_rows: Rows computed together, at least 1: larger batches are cut into such pieces, with the same result.
        seed: Fixes the split, and nothing else does; an integer >= 0.
        balance: What to do when the classes differ in size: refuse (error) or drop rows of the larger (downsample).
        track_test: Also record test loss and accuracy at each validation, for comparisons only.
        predict: An .npy file of rows to classify, (N, j); for the predict command.
        feature_names: Names and units of the j features, for the figures' axes.
        class_names: Names of class 0 and class 1, for the figures' legends.

    Raises:
        InputError: if a file or an option is not what it should be.
    """

    fingerprint: Fingerprint
    statistics: Statistics

    def __init__(
        self,
        root: Path | str | None = None,
        batch_size: int | None = None,
        piece_rows: int = 16384,
        seed: int = 0,
        balance: Literal["error", "downsample"] = "error",
        track_test: bool = False,
        predict: Path | str | None = None,
        feature_names: list[str] | None = None,
        class_names: list[str] | None = None,
    ) -> None:
        super().__init__()
        # What a checkpoint must agree with; where the data lies, and what it is called, may differ between machines.
        self.save_hyperparameters("batch_size", "seed", "balance", "track_test", logger=False)
        if batch_size is not None and batch_size < 1:
            raise InputError(f"--data.batch_size: {batch_size}; need at least 1, or null for the whole training set")
        if piece_rows < 1:
            raise InputError(f"--data.piece_rows: {piece_rows}; need at least 1")
        if balance not in ("error", "downsample"):
            raise InputError(f"--data.balance: {balance}; need error or downsample")
        if seed < 0:
            raise InputError(f"--data.seed: {seed}; need an integer of at least 0")
        self.root = sample.ROOT if root is None else Path(root)
        self.predict_file = None if predict is None else Path(predict)
        self.is_sample = root is None
        self.batch_size, self.piece_rows = batch_size, piece_rows
        self.seed, self.balance, self.track_test = seed, balance, track_test
        self._feature_names = list(sample.FEATURE_NAMES) if feature_names is None and self.is_sample else feature_names
        self._class_names = list(sample.CLASS_NAMES) if class_names is None and self.is_sample else class_names
        self._fits_memory: bool | None = None

    @property
    def num_features(self) -> int:
        """The number of columns j, read from the file's header alone."""
        return int(open_array(self.predict_file or self._class_file(0)).shape[1])

    @property
    def feature_names(self) -> list[str]:
        """The names of the j features, "feature 1" and so on unless given."""
        return self._feature_names or [f"feature {i + 1}" for i in range(self.num_features)]

    @property
    def class_names(self) -> list[str]:
        """The names of class 0 and class 1, just that unless given."""
        return self._class_names or ["class 0", "class 1"]

    def check_names(self) -> None:
        for option, names, count in (
            ("feature_names", self.feature_names, self.num_features),
            ("class_names", self.class_names, 2),
        ):
            if len(names) != count:
                raise InputError(f"--data.{option}: {len(names)} names given; need {count}, one each")

    def setup(self, stage: str) -> None:
        """Load, check and split the data, once; ``predict`` loads only the file to classify."""
        if stage == "predict":
            self._setup_predict()
        elif not hasattr(self, "fingerprint"):
            self._setup_classes()

    def _setup_predict(self) -> None:
        if self.predict_file is None:
            raise InputError("--data.predict: missing; name an .npy file of rows to classify")
        array = open_array(self.predict_file)
        check_values(self.predict_file, array)
        self.to_predict = torch.cat([torch.from_numpy(values) for _, values in chunks(array)])

    def _setup_classes(self) -> None:
        if self.predict_file is not None:
            raise InputError(f"--data.predict: {self.predict_file} has no effect here; it is for the predict command")
        files = [self._class_file(0), self._class_file(1)]
        arrays = [open_array(file) for file in files]
        if arrays[0].shape[1] != arrays[1].shape[1]:
            columns = [f"{file} has {array.shape[1]} columns" for file, array in zip(files, arrays, strict=True)]
            raise InputError(f"{', '.join(columns)}; need the same features in both")
        self.check_names()
        for file, array in zip(files, arrays, strict=True):
            check_values(file, array)
        keep = self._rows_to_keep(arrays)
        assignments = [split(len(array), keep, self.seed, i) for i, array in enumerate(arrays)]
        self._check_overlap(arrays, assignments)
        subsets = {"train": TRAIN, "val": VAL, "test": TEST}
        self.selections = {name: Selection(arrays, assignments, subset) for name, subset in subsets.items()}
        rows = {name: selection.rows for name, selection in self.selections.items()}
        if self.batch_size is not None and self.batch_size > rows["train"]:
            raise InputError(f"--data.batch_size: {self.batch_size}; need 1 to {rows['train']}, the rows in train")
        self.statistics = statistics(torch.from_numpy(features) for _, features in self.selections["train"].read())
        self.fingerprint = fingerprint(files, assignments, self.seed, rows)

    @cached_property
    def train(self) -> Subset:
        """The raw training subset, read when it is asked for; training itself takes standardized rows."""
        return self._raw("train")

    @cached_property
    def val(self) -> Subset:
        return self._raw("val")

    @cached_property
    def test(self) -> Subset:
        return self._raw("test")

    def _raw(self, name: str) -> Subset:
        return self.selections[name].gather(as_it_is, CPU, torch.float32)

    def _class_file(self, label: int) -> Path:
        # Path.exists raises if the name is too long
        missing = [name for name in CLASS_FILES if not os.path.exists(self.root / name)]  # noqa: PTH110
        if missing:
            raise InputError(
                f"{self.root}: {' and '.join(missing)} missing; --data.root names the folder that holds "
                "class_0.npy and class_1.npy"
            )
        return self.root / CLASS_FILES[label]

    def _rows_to_keep(self, arrays: list[Array]) -> int:
        sizes = [len(array) for array in arrays]
        keep, surplus = min(sizes), max(sizes) - min(sizes)
        if surplus and self.balance == "error":
            raise InputError(
                f"{self.root}: class_0.npy has {sizes[0]} rows, class_1.npy {sizes[1]}; "
                f"use --data.balance downsample to drop {surplus}"
            )
        if surplus:
            larger = CLASS_FILES[sizes.index(max(sizes))]
            warnings.warn(f"{self.root}: dropped {surplus} of {max(sizes)} rows of {larger}", InputWarning, 2)
        if keep < MIN_ROWS:
            raise InputError(f"{self.root}: {keep} rows per class; need at least {MIN_ROWS} for a 60/20/20 split")
        return keep

    def _check_overlap(self, arrays: list[Array], assignments: list[Assignment]) -> None:
        overlap = find_overlap(arrays, assignments)
        if overlap.same_rows:
            raise InputError(f"{self.root}: class_0.npy and class_1.npy hold the same rows; nothing tells them apart")
        if (overlap.both_classes or overlap.test_in_train) and not self.is_sample:  # the sample's docstring tells
            warnings.warn(
                f"{self.root}: {overlap.both_classes} feature vectors occur in both classes; "
                f"{overlap.test_in_train} test rows also occur in train"
                + (f" (one in {overlap.buckets} was compared)" if overlap.buckets > 1 else ""),
                InputWarning,
                stacklevel=2,
            )

    def check_fingerprint(self, trained_on: Fingerprint) -> None:
        """Refuse a checkpoint of other data or another split."""
        check_same(self.root, self.fingerprint, trained_on)

    @property
    def largest_piece(self) -> int:
        """How many rows are computed together at most."""
        if hasattr(self, "to_predict"):
            return min(len(self.to_predict), self.piece_rows)
        return min(self.batch_size or self.selections["train"].rows, self.piece_rows)

    def training_medians(self, from_column: int) -> npt.NDArray[np.float32]:
        """Return the median of each training feature from a column on."""
        train = self.selections["train"]

        def read(first: int) -> Iterator[npt.NDArray[np.float32]]:
            return (rows[:, first : first + MEDIAN_COLUMNS] for _, rows in train.read())

        firsts = range(from_column, train.num_features, MEDIAN_COLUMNS)
        parts = [medians(partial(read, first), train.rows) for first in firsts]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def describe(self, trainer: Trainer) -> str:
        """One line that counts the rows of each subset, and says where they are kept."""
        counts = [f"{name} {rows}" for name, rows in self.fingerprint["rows"].items()]
        return f"{self.root}: {', '.join(counts)} rows of {self.num_features} features, half of each class 0; " + (
            "kept in memory" if self.fits_memory(trainer) else "read from the files in every iteration"
        )

    def train_dataloader(self) -> TrainingBatches:
        assert self.trainer is not None
        train = self._prepared("train")
        batch_size = self.batch_size or train.rows
        # For a trainer that counts steps the whole run is one pass: a pass an iteration would cost more than the step.
        iterations = self.trainer.max_steps
        if self.trainer.max_epochs != -1:
            iterations = -(-train.rows // batch_size)
        return TrainingBatches(train, batch_size, self.piece_rows, torch.initial_seed(), iterations)

    def val_dataloader(self) -> list[Loader[Batch]]:
        return [self._whole(name) for name in (["val", "test"] if self.track_test else ["val"])]

    def test_dataloader(self) -> Loader[Batch]:
        return self._whole("test")

    def predict_dataloader(self) -> Loader[Tensor]:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        return Loader([rows.to(device) for rows in torch.split(self.to_predict, self.piece_rows)])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # is there already

    def _whole(self, name: str) -> Loader[Batch]:
        return Loader([self._prepared(name).pieces(self.piece_rows)])

    def _prepared(self, name: str) -> Rows:
        """Standardize this process's share of a subset once, instead of in every step, if memory can hold it."""
        assert self.trainer is not None
        device, ranks = self.trainer.strategy.root_device, self.trainer.world_size
        prepare: Prepare = getattr(self.trainer.lightning_module, "standardized", as_it_is)
        whole = self.selections[name]
        selection, first = whole.share(self.trainer.global_rank, ranks)
        in_memory = self.fits_memory(self.trainer)
        held = (
            selection.gather(prepare, device, torch.uint8) if in_memory else StreamedSubset(selection, prepare, device)
        )
        return held if ranks == 1 else Share(held, whole.rows, first, selection.counts)

    def fits_memory(self, trainer: Trainer) -> bool:
        """Whether the trainer's device can hold this process's share of all subsets, and as much again; said once."""
        if self._fits_memory is None:
            device = trainer.strategy.root_device
            needed = sum(self.fingerprint["rows"].values()) * (4 * self.num_features + 1) // trainer.world_size
            sharing = trainer.num_devices if device.type == "cpu" else 1  # processes in the same memory
            self._fits_memory = needed <= MEMORY_SHARE * free_memory(device) / sharing
        return self._fits_memory


def as_it_is(features: Tensor) -> Tensor:
    return features
