"""Lightning's Trainer with our classifier and data, 50 validations and nothing else: what our own share is beside."""

import torch
from lightning.pytorch import Trainer, seed_everything
from raw import parse
from stopwatch import Stopwatch

from project.__main__ import load_commands
from project.data import NpyDataModule
from project.model import BinaryClassifier

if __name__ == "__main__":
    options = parse()
    load_commands()  # what a command tells the allocator and the garbage collector
    torch.set_num_threads(1)
    seed_everything(0)
    data = NpyDataModule(options.root, batch_size=options.batch_size)
    grid = {"val_check_interval": options.interval, "check_val_every_n_epoch": None, "num_sanity_val_steps": 0}
    none = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    clock = {"callbacks": [Stopwatch(options.first, options.steps)], "accelerator": "cpu", "deterministic": True}
    trainer = Trainer(max_steps=options.steps, max_epochs=-1, **grid, **none, **clock)
    trainer.fit(BinaryClassifier(data.num_features), datamodule=data)
