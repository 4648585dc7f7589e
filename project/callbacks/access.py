"""What a callback finds at the trainer, with its type."""

import signal
from pathlib import Path

from lightning.pytorch import Trainer

from project.callbacks.interrupt import Interrupt
from project.data import NpyDataModule
from project.logger import RunLogger
from project.model import BinaryClassifier
from project.run import Run


def run_of(trainer: Trainer) -> Run:
    """Return the run folder; every rank must ask."""
    assert trainer.log_dir is not None
    return Run(Path(trainer.log_dir))


def data_of(trainer: Trainer) -> NpyDataModule:
    data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it when it attaches the data
    assert isinstance(data, NpyDataModule)
    return data


def model_of(trainer: Trainer) -> BinaryClassifier:
    assert isinstance(trainer.lightning_module, BinaryClassifier)
    return trainer.lightning_module


def run_loggers_of(trainer: Trainer) -> list[RunLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]


def validates_training(trainer: Trainer) -> bool:
    """Whether a validation that just ended was one of fit's own, not of ``validate`` or a sanity check."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def interrupted(trainer: Trainer) -> signal.Signals | None:
    """Return the signal that ends the run before its last iteration, if one came."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning's own list
    received = [callback.received for callback in callbacks if isinstance(callback, Interrupt)]
    return next(filter(None, received), None) if trainer.global_step < trainer.max_steps else None


def stops_here(trainer: Trainer) -> bool:
    """Whether the run is interrupted after the iteration that just ended, with no validation due to save it."""
    every = trainer.val_check_batch
    return interrupted(trainer) is not None and not (every and trainer.global_step % every == 0)
