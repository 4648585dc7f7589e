"""Two class files as a LightningDataModule: loaded, split, and handed to the trainer in batches."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningDataModule, Trainer

from project.data import sample
from project.data.batches import Loader, Store, Subset, TrainingBatches, choose_store
from project.data.checks import checked_rows
from project.data.classes import ClassFiles, find_files
from project.data.npy import open_array
from project.data.split import Balance, has_groups
from project.errors import InputError
from project.options import check


class NpyDataModule(LightningDataModule):
    """Two ``.npy`` files, one per class, split 60/20/20 into balanced, disjoint subsets.

    After ``setup``, ``train``, ``val`` and ``test`` each hold ``features``, float32 (N, j), and ``labels``, float32
    (N, 1) of 0 and 1: first the rows of class 0, then as many of class 1; ``TensorDataset(*dm.train)`` takes them. Its
    loaders give (x, y) batches to any module or loop, and pieces of prepared rows to a module with ``takes_pieces``.

    Args:
        root: Folder with class_0.npy and class_1.npy, each (N, j); null is the shipped sample.
        batch_size: Rows per iteration, 1 to those in train; null is all (full batch).
        piece_rows: Rows computed together, at least 1; the result is the same.
        seed: Fixes the split, and nothing else does; an integer >= 0.
        split: What stays whole, rows or groups; null is groups if there are group_0.npy and group_1.npy (N,).
        balance: Where the classes differ in size, refuse (error) or drop rows of the larger (downsample).
        track_test: Also record test loss and accuracy at each validation, for comparisons only.
        predict: The rows to classify, an .npy file (N, j).
        feature_names: Names and units of the features: a list, or F1,F2.
        class_names: Names of class 0 and 1; likewise.

    Raises:
        ValueError: if a file or an option is not what it should be.
    """

    def __init__(
        self,
        root: Path | str | None = None,
        batch_size: int | None = None,
        piece_rows: int = 16384,
        seed: int = 0,
        split: Literal["rows", "groups"] | None = None,
        balance: Balance = "error",
        track_test: bool = False,
        predict: Path | str | None = None,
        feature_names: list[str] | str | None = None,
        class_names: list[str] | str | None = None,
    ) -> None:
        super().__init__()
        check(batch_size=batch_size, piece_rows=piece_rows, seed=seed)
        if balance not in ("error", "downsample"):
            raise ValueError(f"balance: {balance}; need error or downsample")
        if split not in (None, "rows", "groups"):
            raise ValueError(f"split: {split}; need rows or groups")
        self.root = sample.ROOT if root is None else Path(root).expanduser()
        self.is_sample = root is None
        self.group_name = sample.GROUP_NAME if self.is_sample else "groups"
        self.place = sample.PLACE if self.is_sample else str(self.root)  # the same on every machine
        if split is None:  # The sample's default stays the coursework's random split.
            split = "groups" if has_groups(self.root) and not self.is_sample else "rows"
        # A checkpoint must agree with these; where the data lie and what they are called may differ between machines.
        self.save_hyperparameters("batch_size", "seed", "split", "balance", "track_test", logger=False)
        self.predict_file = None if predict is None else Path(predict).expanduser()
        self.batch_size, self.piece_rows = batch_size, piece_rows
        self.seed, self.split, self.balance, self.track_test = seed, split, balance, track_test
        names = [given.split(",") if isinstance(given, str) else given for given in (feature_names, class_names)]
        known = (sample.FEATURE_NAMES, sample.CLASS_NAMES) if self.is_sample else (None, ["class 0", "class 1"])
        self._feature_names, self.class_names = names[0] or known[0], names[1] or known[1]
        for option, given in zip(("feature_names", "class_names"), names, strict=True):
            if given and len(set(given)) < len(given):
                raise ValueError(f"{option}: {', '.join(map(str, given))}; need different names")
        if len(self.class_names) != 2:
            raise ValueError(f"class_names: {len(self.class_names)} names given; need 2, one each")
        self._store: Store | None = None

    def __repr__(self) -> str:
        what = self._counts() if "classes" in vars(self) else "not set up"
        return f"{type(self).__name__}({self.place!r}: {what})"

    __str__ = __repr__

    def _counts(self) -> str:
        rows = ", ".join(f"{name} {self._count(name)}" for name in self.classes.rows)
        apart = ", no group in two of them" if self.split == "groups" else ""
        return f"{rows} rows of {self.classes.num_features} features, half of each class 0{apart}"

    def _count(self, subset: str) -> str:
        return str(self.classes.rows[subset])

    @property
    def num_features(self) -> int:
        """The number of columns j, read from the file's header alone."""
        return open_array(self.predict_file or find_files(self.root)[0]).shape[1]

    @property
    def feature_names(self) -> list[str]:
        """The names of the j features, "feature 1" and so on unless given."""
        return self._feature_names or [f"feature {i + 1}" for i in range(self.num_features)]

    @property
    def claim(self) -> str:
        """What the numbers of a test are an estimate for, where rows come in groups."""
        return f"new {self.group_name}" if self.split == "groups" else f"new rows of these {self.group_name}"

    def setup(self, stage: str | None = None) -> None:
        """Check and split the data, once; ``predict`` loads only the file to classify."""
        if stage != "predict":
            _ = self.classes
        elif self.predict_file is not None:  # Lightning sets up the data of an earlier fit, too.
            rows = checked_rows(open_array(self.predict_file))
            self.to_predict = torch.cat([torch.from_numpy(values) for _, values in rows])

    @cached_property
    def classes(self) -> ClassFiles:
        """The class files, read, checked and split when they are asked for."""
        if self.predict_file is not None:
            raise InputError(f"--data.predict: {self.predict_file} has no effect here; it is for the predict command")
        if (given := len(self.feature_names)) != self.num_features:
            raise InputError(f"--data.feature_names: {given} names given; need {self.num_features}, one each")
        # The sample's docstring tells that some of its rows stand in both classes.
        classes = ClassFiles(self.root, self.seed, self.balance, self.split == "groups", self.is_sample)
        if (self.batch_size or 1) > (most := classes.rows["train"]):
            raise InputError(f"--data.batch_size: {self.batch_size}; need 1 to {most}, the rows in train")
        return classes

    @cached_property
    def train(self) -> Subset:
        """The raw training subset, read when it is asked for; training itself takes standardized rows."""
        return self.classes.gather("train")

    @cached_property
    def val(self) -> Subset:
        return self.classes.gather("val")

    @cached_property
    def test(self) -> Subset:
        return self.classes.gather("test")

    @property
    def largest_piece(self) -> int:
        """How many rows are computed together at most."""
        rows = len(self.to_predict) if hasattr(self, "to_predict") else self.batch_size or self.classes.rows["train"]
        return min(rows, self.piece_rows)

    def describe(self, trainer: Trainer) -> str:
        """Return a line that counts the rows of each subset, and says where they are kept."""
        place = "memory"
        if (folder := self._choose_store(trainer).scratch) is not None:
            place = f"a scratch file in {folder}, gone when the run ends"
        return f"{self.place}: {self._counts()}; copied into {place}"

    def train_dataloader(self) -> TrainingBatches:
        trainer, train = self.trainer, self._prepared("train")
        batch_size, seed = self.batch_size or train.rows, torch.initial_seed()
        iterations = -(-train.rows // batch_size)
        done = trainer.current_epoch * iterations if trainer else 0
        if trainer and self._pieces:
            done = trainer.global_step
            if trainer.max_epochs == -1:  # The run is one pass: one for each iteration would cost more than the step.
                iterations = trainer.max_steps
                if any(config.interval == "epoch" for config in trainer.lr_scheduler_configs):
                    raise ValueError("lr_scheduler: its interval is an epoch, and max_steps alone is one; need 'step'")
        return TrainingBatches(train, batch_size, self._pieces, seed, iterations, done)

    def val_dataloader(self) -> list[Loader]:
        names = ["val", "test"] if self.track_test else ["val"]
        return [Loader([self._prepared(name).whole(self._pieces)]) for name in names]

    def test_dataloader(self) -> Loader:
        return Loader([self._prepared("test").whole(self._pieces)])

    def predict_dataloader(self) -> Loader:
        if self.predict_file is None:
            raise InputError("--data.predict: missing; name an .npy file of rows to classify")
        return Loader(torch.split(self.to_predict, self.piece_rows))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave pieces where their rows are: the classifier moves one by one what is not there already."""
        return batch if self._pieces else super().transfer_batch_to_device(batch, device, dataloader_idx)

    @property
    def _pieces(self) -> int | None:
        """How many prepared rows are computed together, or None where no trainer at work has a module that asks."""
        module = None if self.trainer is None or self.trainer.state.finished else self.trainer.lightning_module
        return self.piece_rows if getattr(module, "takes_pieces", False) else None

    def _prepared(self, name: str) -> Subset:
        """Standardize this process's share of a subset once, instead of in every step, if pieces are asked for."""
        trainer = self.trainer
        if trainer is None or self._pieces is None:
            if trainer and trainer.world_size > 1:
                raise ValueError("devices: several processes need a module that takes pieces, as BinaryClassifier does")
            return cast("Subset", getattr(self, name))
        device, prepare = trainer.strategy.root_device, cast("Any", trainer.lightning_module).standardized
        share = trainer.global_rank, trainer.world_size
        return self.classes.gather(name, self._choose_store(trainer), lambda rows: prepare(rows.to(device)), share)

    def _choose_store(self, trainer: Trainer) -> Store:
        if self._store is None:  # What is free changes once the first subset is there.
            device, folder = trainer.strategy.root_device, Path(trainer.default_root_dir)
            cells = sum(self.classes.rows.values()) * self.classes.num_features // trainer.world_size
            self._store = choose_store(cells, device, trainer.num_devices, folder)
        return self._store
