"""The project's own iterations inside one process, with every callback but, unless asked for, the figures."""

import argparse
import time
from pathlib import Path

from project.__main__ import load_commands

load_commands()  # as the command itself does, before torch is there

# ruff: noqa: E402
import torch
import torch.utils.tensorboard  # which the loggers import when they first write
from lightning.pytorch import Callback, Trainer, seed_everything
from stopwatch import Stopwatch

from project.callbacks import Checkpoints, Divergence, Figures, History, Interrupt, TensorBoard
from project.checkpoint import DigestCheckpointIO
from project.data import NpyDataModule
from project.logger import RunLogger
from project.model import BinaryClassifier
from project.options import TRAINER_DEFAULTS, threads_for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="the shipped sample unless given")
    parser.add_argument("--warmup", type=int, default=0, help="0 times the whole of trainer.fit")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--piece-rows", type=int)
    parser.add_argument("--validate-every", type=int, default=20, help="0 is never")
    parser.add_argument("--figures", action="store_true")
    parser.add_argument("--bare", action="store_true", help="no callbacks and no logger: Lightning's loop alone")
    options = parser.parse_args()
    seed_everything(0, verbose=False)
    pieces = {"piece_rows": options.piece_rows} if options.piece_rows else {}
    data = NpyDataModule(root=options.root, batch_size=options.batch_size, **pieces)
    data.setup("fit")  # once: what follows is the training alone
    last = options.warmup + options.iterations
    stopwatch = Stopwatch(options.warmup, last)
    figures: list[Callback] = [Figures()] if options.figures else []
    recording = [Interrupt(), Divergence(), History(), *figures, TensorBoard(), Checkpoints()]
    settings = {**TRAINER_DEFAULTS, "max_steps": last, "accelerator": "cpu"}
    settings |= {"val_check_interval": options.validate_every} if options.validate_every else {"limit_val_batches": 0}
    trainer = Trainer(
        **settings,
        logger=False if options.bare else RunLogger(Path("lightning_logs") / "version_0"),
        callbacks=[stopwatch] if options.bare else [stopwatch, *recording],
        enable_checkpointing=not options.bare,
        plugins=[DigestCheckpointIO()],
        enable_progress_bar=False,
    )
    model = BinaryClassifier(num_features=data.num_features)
    torch.set_num_threads(threads_for(data.largest_piece * model.hparams["hidden_features"]))
    start = time.perf_counter()
    trainer.fit(model, datamodule=data)
    print(stopwatch.seconds if options.warmup else time.perf_counter() - start)


if __name__ == "__main__":
    main()
