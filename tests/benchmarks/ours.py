"""The project's own iterations inside one process, with every callback but, unless asked for, the figures."""

import re
import resource
import time
from pathlib import Path

from project.__main__ import load_commands

load_commands()  # as the command itself does, before torch is there

# ruff: noqa: E402
import torch.utils.tensorboard  # (the logger imports it when it first writes)
from arguments import SAMPLE, parse
from lightning.pytorch import Trainer, seed_everything
from stopwatch import Stopwatch

from project.callbacks import CALLBACKS
from project.callbacks.figures import Figures
from project.callbacks.progress import Progress
from project.callbacks.tensorboard import RunLogger
from project.callbacks.threads import Threads
from project.data import NpyDataModule, store
from project.model import BinaryClassifier
from project.options import TRAINER_DEFAULTS
from project.runs.checkpoint import DigestCheckpointIO


def limit(allowed: int) -> None:
    """Let the process have so many bytes more, and no more: Linux only.

    The kernel's RLIMIT_DATA counts private writable memory (heap, anonymous maps, thread stacks), and not files mapped
    for reading, whose pages the kernel may drop and read again at any time. RLIMIT_AS would count those too, and a
    memory cgroup, the most lifelike limit, needs rights that few users have.
    """
    torch.ones(1_000_000).sum()  # starts the threads, whose stacks count
    in_use = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert in_use
    resource.setrlimit(resource.RLIMIT_DATA, (int(in_use[1]) * 1024 + allowed,) * 2)
    store.free_memory = lambda: allowed  # The operating system, which is asked for it, knows nothing of such limits.


def main() -> None:
    options = parse(__doc__, "--figures", "--bare")
    if options.limit:
        limit(options.limit)
    seed_everything(0, verbose=False)
    data = NpyDataModule(root=None if options.root == SAMPLE else options.root, batch_size=options.batch_size)
    data.setup("fit")  # once: what follows is the training alone
    last = options.warmup + options.iterations
    stopwatch = Stopwatch(options.warmup, last)
    left_out = {Progress} if options.figures else {Progress, Figures}
    recording = [] if options.bare else [kind() for kind in CALLBACKS if kind not in left_out]
    logger = RunLogger()
    logger.folder = Path("lightning_logs") / "version_0"
    settings = {**TRAINER_DEFAULTS, "max_steps": last, "accelerator": "cpu", "enable_progress_bar": False}
    settings |= {"val_check_interval": options.validate_every} if options.validate_every else {"limit_val_batches": 0}
    trainer = Trainer(
        **settings,
        logger=False if options.bare else logger,
        callbacks=[stopwatch, Threads(None), *recording],
        enable_checkpointing=not options.bare,
        plugins=[DigestCheckpointIO()],
    )
    model = BinaryClassifier(num_features=data.num_features)
    start = time.perf_counter()
    trainer.fit(model, datamodule=data)
    print(stopwatch.seconds if options.warmup else time.perf_counter() - start)


if __name__ == "__main__":
    main()
