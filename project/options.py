"""What the options may be, beyond their types."""

import os
import re
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace, set_parsing_settings

from project.errors import InputError

# A config is code: it may name classes of these packages, and importing anything else is refused before it happens.
set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["torch", "lightning", "project"])

TRAINER_DEFAULTS = {
    "max_steps": 1000,
    "val_check_interval": 20,
    "check_val_every_n_epoch": None,  # validate by iterations, not by epochs
    "num_sanity_val_steps": 0,  # the history begins with the first iteration
    "log_every_n_steps": 1,
    "devices": 1,
    "deterministic": True,
    "use_distributed_sampler": False,  # it would pad uneven shares with duplicates
    "enable_model_summary": False,
}

UNSUPPORTED = {
    "accumulate_grad_batches": 1,  # --data.batch_size and --data.piece_rows say what an iteration is
    "gradient_clip_val": None,  # Lightning cannot clip under manual optimization
    "fast_dev_run": False,  # leaves no run; --trainer.max_steps 1 does
    "barebones": False,
    "overfit_batches": 0.0,
    "limit_train_batches": None,
    "limit_val_batches": None,
    "limit_test_batches": None,
    "limit_predict_batches": None,
}

STRATEGIES = ("auto", "ddp")
PRECISIONS = (None, "32", "32-true", "bf16", "bf16-mixed")  # weights and data are float32, and no gradient is scaled

PARALLEL_ELEMENTS = 2**17
ALL_THREADS = torch.get_num_threads()
LARGEST = 2**63 - 1  # that torch counts to
RANGES = {
    "seed_everything": (0, 2**32 - 1),
    "threads": (1, 1024),  # with many more, OpenMP ends the process
    "trainer.max_steps": (1, LARGEST),
}
LONGEST_NAME = 255  # bytes, on the usual file systems


def check_ranges(options: Namespace) -> None:
    """Refuse what Lightning would take and then ignore, hang on or trip over.

    Raises:
        InputError: naming the option, its value and its range.
    """
    for option, value in options.items():
        lowest, highest = RANGES.get(option, (-LARGEST, LARGEST))
        if isinstance(value, int) and not lowest <= value <= highest:
            raise InputError(f"--{option}: {value}; need {lowest} to {highest}")
    trainer = options.trainer
    for name, default in UNSUPPORTED.items():
        if trainer[name] != default:
            raise InputError(f"--trainer.{name}: {trainer[name]}; not supported here, leave it at {default}")
    if trainer.strategy not in STRATEGIES:
        raise InputError(f"--trainer.strategy: {trainer.strategy}; need one of {', '.join(STRATEGIES)}")
    if trainer.precision not in (*PRECISIONS, 32):
        raise InputError(f"--trainer.precision: {trainer.precision}; need 32-true or bf16-mixed")
    name = options.name
    if name is not None and (Path(name).name != name or len(os.fsencode(name)) > LONGEST_NAME):
        raise InputError(f"--name: {name}; need the name of one folder, without a path and not too long")
    if isinstance(trainer.val_check_interval, (int, float)) and trainer.val_check_interval <= 0:
        raise InputError(f"--trainer.val_check_interval: {trainer.val_check_interval}; need at least 1 iteration")
    if trainer.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise InputError(f"--trainer.accelerator: {trainer.accelerator}; this machine has none, use cpu or auto")
    on_gpu = trainer.accelerator != "cpu" and torch.cuda.is_available()
    available = torch.cuda.device_count() if on_gpu else os.cpu_count() or 1
    if re.fullmatch(r"-?\d+", str(trainer.devices)) and not 1 <= int(trainer.devices) <= available:
        raise InputError(f"--trainer.devices: {trainer.devices}; need 1 to {available}, which this machine has")


def check_agreement(options: Namespace, recorded: dict[str, Any]) -> None:
    """Refuse an option that contradicts the checkpoint, which would win without a word."""
    for name, value in recorded.items():
        if options[name] != value:
            raise InputError(f"--{name} {options[name]} conflicts with the checkpoint's {value}; leave it out")


def threads_for(elements: int, processes: int = 1) -> int:
    """Return how many CPU threads suit layers of so many elements: small ones lose more by waiting than they gain."""
    return 1 if elements < PARALLEL_ELEMENTS else max(1, ALL_THREADS // processes)


def as_list(given: Any) -> list[Any]:
    """Return what was given for an option of the trainer that takes one object, several, or a switch."""
    if given is None or isinstance(given, bool):
        return []
    return list(given) if isinstance(given, list) else [given]
