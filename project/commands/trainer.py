"""Trainer, model and data of a command, by LightningCLI."""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from lightning.fabric.plugins import ClusterEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, ReduceLROnPlateau, instantiate_class
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler, Profiler
from lightning.pytorch.utilities import rank_zero_only
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from project.callbacks.progress import Progress
from project.commands.failures import refusing
from project.commands.origin import parse_with_origin
from project.commands.parsing import Parser, add_run_options, make_parser
from project.data import NpyDataModule
from project.errors import InputError
from project.model import BinaryClassifier
from project.options import as_list, check

PARALLEL_ELEMENTS = 2**17  # Layers with fewer lose more by waiting than they gain by several threads.


class NoProfiler(PassThroughProfiler):
    """Measures nothing. Lightning's own does that by a generator for each of some 80 calls in an iteration."""

    def profile(self, action_name: str) -> nullcontext[None]:  # type: ignore[override]  # It is as good a context.
        return nullcontext()


def set_threads(threads: int | None, trainer: Trainer, model: LightningModule, data: NpyDataModule) -> None:
    """Set the number of threads, which large sums depend on in their last bits; None suits the largest piece."""
    # Several processes share the cores, unless a number is set for each of them.
    processes = 1 if "OMP_NUM_THREADS" in os.environ else trainer.num_devices
    width: Any = model.width
    several = max(1, torch.get_num_threads() // processes)
    torch.set_num_threads(threads or (several if data.largest_piece * width >= PARALLEL_ELEMENTS else 1))
    if trainer.num_devices > 1:  # Lightning would set a number of its own.
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())


def make_trainer(
    max_steps: int = 1000,
    val_check_interval: int = 20,
    max_epochs: int | None = None,
    max_time: str | None = None,
    accelerator: Literal["auto", "cpu", "gpu"] = "auto",
    devices: int | Literal["auto"] | list[int] = 1,
    num_nodes: int = 1,
    strategy: Literal["auto", "ddp"] = "auto",
    precision: Literal["32-true", "bf16-mixed", "32", "bf16"] = "32-true",
    gradient_clip_val: float | None = None,
    gradient_clip_algorithm: Literal["norm", "value"] = "norm",
    deterministic: bool | Literal["warn"] = True,
    detect_anomaly: bool = False,
    callbacks: list[Callback] | Callback | None = None,
    logger: list[Logger] | Logger | bool = True,
    profiler: Profiler | Literal["simple", "advanced", "pytorch"] | None = None,
    plugins: list[Precision | ClusterEnvironment] | Precision | ClusterEnvironment | None = None,
    enable_progress_bar: bool = True,
    default_root_dir: str | None = None,
) -> Trainer:
    """Train and evaluate: iterations, the machine, and what of Lightning's looks on.

    Args:
        max_steps: Iterations, that is steps of the optimizer.
        val_check_interval: Iterations from one validation to the next.
        max_epochs: Passes over the training rows, if they end before max_steps; null is no limit.
        max_time: Longest time, as in 00:01:30:00 for an hour and a half; null is no limit.
        accelerator: The cpu, or a gpu of CUDA; auto takes the gpu where there is one.
        devices: Processes on each machine, each with its share of every batch.
        num_nodes: Machines that train together.
        strategy: How several processes train: ddp.
        precision: Of the layers; bf16-mixed is for GPUs that gain by it.
        gradient_clip_val: Largest norm, or value, of the gradients; null is any.
        gradient_clip_algorithm: What is clipped: the norm of all gradients, or each value.
        deterministic: Refuse operations that give other results each time, or warn of them.
        detect_anomaly: Look for the operation that makes a gradient NaN; slow.
        callbacks: Lightning's own, as in EarlyStopping, beside those of the project.
        logger: More loggers beside TensorBoard's; false is none at all.
        profiler: Where the time goes; the report is printed at the end.
        plugins: A precision or a cluster environment of Lightning's.
        enable_progress_bar: Show a bar on a terminal.
        default_root_dir: Where the folder lightning_logs is; null is the working directory.
    """
    given = dict(locals())
    check(max_steps=max_steps, val_check_interval=val_check_interval, num_nodes=num_nodes)
    check_machine(accelerator, devices)
    all_callbacks: list[Callback] = as_list(callbacks)
    several = sum(isinstance(callback, ProgressBar) for callback in all_callbacks) > 1
    # Another bar takes the place of the project's own, which only a terminal shows.
    if several or not (enable_progress_bar and sys.stderr.isatty()):
        all_callbacks = [callback for callback in all_callbacks if not isinstance(callback, Progress)]
    has_bar = any(isinstance(callback, ProgressBar) for callback in all_callbacks)
    decided = {
        "precision": None if any(isinstance(plugin, Precision) for plugin in as_list(plugins)) else precision,
        # Apple's GPU has no float64, in which features are standardized.
        "accelerator": "cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu",
        "callbacks": all_callbacks,
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in all_callbacks),
        "enable_progress_bar": enable_progress_bar and has_bar,
        "logger": as_list(logger),
        "profiler": profiler or NoProfiler(),
        "plugins": as_list(plugins),
        "check_val_every_n_epoch": None,  # Validations are counted in iterations, not in epochs.
        "num_sanity_val_steps": 0,  # The history begins with the first iteration.
        "log_every_n_steps": 1,
        "use_distributed_sampler": False,  # Lightning's sampler pads uneven shares with duplicates.
        "enable_model_summary": False,
    }
    trainer = Trainer(**{**given, **decided})
    if trainer.precision not in ("32-true", "bf16-mixed"):
        raise InputError(f"--trainer.plugins: precision {trainer.precision} is not supported; need 32-true, bf16-mixed")
    rank_zero_only.rank = trainer.global_rank  # type: ignore[attr-defined]  # A RANK silences no single process.
    return trainer


def check_machine(accelerator: str, devices: int | str | list[int]) -> None:
    """Refuse accelerators and processes that this machine does not have: Lightning would start them all and hang."""
    gpus = torch.cuda.device_count()
    if accelerator == "gpu" and not gpus:
        raise ValueError(f"accelerator: {accelerator}; this machine has none, use cpu or auto")
    available = gpus if accelerator != "cpu" and gpus else os.cpu_count() or 1
    if isinstance(devices, int) and not 1 <= devices <= available:
        raise ValueError(f"devices: {devices}; need 1 to {available}, which this machine has")


class ProjectCLI(LightningCLI):
    """Trainer, with ``own`` callbacks beside those that are given, model and data of a command.

    Commands that go on from a checkpoint, as all do that do not train, take their options from its run.
    """

    parser: Parser

    def __init__(
        self, arguments: Sequence[str], kind: type[BinaryClassifier], own: Sequence[Callback], is_training: bool
    ) -> None:
        self.arguments, self.kind, self.own, self.is_training = arguments, kind, own, is_training
        super().__init__(
            kind,
            NpyDataModule,
            trainer_class=make_trainer,
            save_config_callback=None,  # It dies on the config.yaml of a resumed run.
            seed_everything_default=0,
            load_from_checkpoint_support=False,
            run=False,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        return make_parser(self.arguments[0])

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_run_options(parser)
        parser.link_arguments("data.num_features", "model.num_features", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Do it without a look at ``sys.argv``, of which LightningCLI would warn where it is given arguments."""
        self.config, self.origin = parse_with_origin(self.parser, self.arguments, self.is_training, self.kind)
        rate, usual = (vars(each.model).get("lr") for each in (self.config, parser.get_defaults()))
        if self.config.optimizer and rate != usual and not self.origin:
            raise InputError(f"--model.lr: {rate} is for the model's own SGD; an --optimizer has --optimizer.lr")

    def before_instantiate_classes(self) -> None:
        self.trainer_defaults["callbacks"] = list(self.own)

    def instantiate_classes(self) -> None:
        with refusing(self.config.keys()):
            super().instantiate_classes()
        if self.config.lr_scheduler and not self.config.optimizer:  # LightningCLI would leave it out without a word.
            own, scheduler = self.model.configure_optimizers, self.config_init.lr_scheduler

            def scheduled() -> Any:
                optimizer: Any = own()
                return self.configure_optimizers(self.model, optimizer, instantiate_class((optimizer,), scheduler))

            self.model.configure_optimizers = scheduled

    @staticmethod
    def configure_optimizers(
        lightning_module: LightningModule, optimizer: Optimizer, lr_scheduler: LRScheduler | None = None
    ) -> Any:
        """Step a scheduler in every iteration: LightningCLI would do so at the end of an epoch, and the run is one."""
        if lr_scheduler is None:
            return optimizer
        config = {"scheduler": lr_scheduler, "interval": "step"}
        if isinstance(lr_scheduler, ReduceLROnPlateau):
            config |= {"monitor": lr_scheduler.monitor, "frequency": lightning_module.trainer.val_check_interval}
        return {"optimizer": optimizer, "lr_scheduler": config}
