"""Ends of a fit before its last iteration: a loss that is not finite, and a signal."""

import math
import signal
import threading
import warnings
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from project.errors import InputWarning, InterruptedRunError
from project.evaluation.baseline import guess
from project.runs.checkpoint import diverged, first_rates, rate_option
from project.runs.run import RunFolder

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
BARELY_BETTER = 0.55  # an accuracy
LEARNED = 0.8  # times the loss of guessing: what chance alone does not do for a training loss


class Divergence(Callback):
    """Ends the run at the first loss that is not finite, and warns at the end of one that got nowhere.

    On a GPU the loss is looked at only at validations, because to look is to wait for the iteration to end. A failed
    validation ends the run one iteration later, so that what others have recorded does not depend on their order.
    """

    _validation = 0.0  # the newest loss

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        if outputs["batch_loss"].device.type == "cpu":
            self._check(trainer, "train_loss", outputs["batch_loss"].item())
        self._check(trainer, "val_loss", self._validation)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation = trainer.callback_metrics["val/loss"].item()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer, "val_loss", self._validation)
        options, metrics = pl_module.hparams, trainer.callback_metrics
        guessing = guess()[options["loss"]]
        if "val/loss" not in metrics or metrics["val/loss"] < guessing or metrics["val/accuracy"] >= BARELY_BETTER:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it.
        reach = (data.classes.moments.mean.abs() + 2 * data.classes.moments.std).max().item()
        rate, *_ = first_rates(trainer.optimizers[0].param_groups)
        option = rate_option(rate, options)
        if not options["standardize"] and reach > 10:
            cause = f"the features reach {reach:.3g}, which saturates the network; try --model.standardize true"
        elif metrics["train/loss"] < LEARNED * guessing:
            learned = f"it learned the {data.classes.rows['train']} training rows (loss {metrics['train/loss']:.2g})"
            few = "groups" if data.split == "groups" else "rows"
            cause = f"{learned}, and nothing that holds for others: too few {few}, or no signal in the features"
        elif metrics["val/loss"] > 2 * guessing:
            cause = f"the network is sure and wrong; try a smaller {option} than {rate}"
        else:
            cause = f"the classes may look alike, or {option} and --trainer.max_steps may be too small"
        found = f"val_loss {metrics['val/loss']:.4g}, val_accuracy {metrics['val/accuracy']:.4g}"
        what = f"training did not beat guessing: {found} after iteration {trainer.global_step}"
        warnings.warn(f"{what}; {cause}", InputWarning, stacklevel=2)

    def _check(self, trainer: Trainer, name: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise diverged(f"{name} is {loss}", trainer.global_step, RunFolder.from_trainer(trainer).last)


class Interrupt(Callback):
    """Turns SIGINT, SIGTERM and SIGHUP into an InterruptedRunError between two iterations, at which others save.

    Lightning ends at once on SIGINT and with exit status 0 on SIGTERM, and saves on neither; its own way of stopping,
    ``trainer.should_stop``, would validate where an uninterrupted run does not. It restores the handlers at the end.
    Several processes end at the same iteration, whichever of them gets the signal.
    """

    _noted = 0  # the number of a signal

    def __init__(self, command: str = "fit") -> None:
        self.command = command  # which resumes the run

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread set handlers.
            for number in SIGNALS:
                signal.signal(number, self._note)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        number = self._noted
        if trainer.world_size > 1:
            noted = torch.tensor(number, device=trainer.strategy.root_device)
            number = int(trainer.strategy.reduce(noted, reduce_op="max"))
        if number:
            # Lightning has counted the batch that is not trained on now; uncounted, the checkpoint is that of its step.
            progress = trainer.fit_loop.epoch_loop.batch_progress
            progress.total.ready -= 1
            progress.current.ready -= 1
            run = RunFolder.from_trainer(trainer).path
            raise InterruptedRunError(signal.Signals(number), run, trainer.global_step, self.command)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number
