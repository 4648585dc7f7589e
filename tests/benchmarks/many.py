"""Many networks of one split at once, as a study trains them: prints the seconds of the iterations for one of them."""

from project.__main__ import load_commands

load_commands()  # as the command itself does, before torch is there

# ruff: noqa: E402
from arguments import SAMPLE, parse
from lightning.pytorch import Trainer, seed_everything
from stopwatch import Stopwatch

from project.callbacks.threads import Threads
from project.model import BinaryClassifier
from project.options import TRAINER_DEFAULTS
from project.study.classifiers import Classifiers
from project.study.splits import Splits


def main() -> None:
    options = parse(__doc__)
    seed_everything(0, verbose=False)
    root = None if options.root == SAMPLE else options.root
    data = Splits(1, root=root, batch_size=options.batch_size)
    data.setup("fit")
    values = dict(BinaryClassifier(num_features=data.num_features).hparams)
    del values["num_features"]
    # Where activations are compared there is no baseline.
    roles = {"compare": "activation", "choose": "lr"}
    model = Classifiers(data.num_features, values=values, **roles, splits=1, seeds=options.networks)
    last = options.warmup + options.iterations
    stopwatch = Stopwatch(options.warmup, last)
    settings = {**TRAINER_DEFAULTS, "max_steps": last, "accelerator": "cpu", "enable_progress_bar": False}
    settings |= {"val_check_interval": options.validate_every} if options.validate_every else {"limit_val_batches": 0}
    trainer = Trainer(**settings, logger=False, callbacks=[stopwatch, Threads(None)], enable_checkpointing=False)
    trainer.fit(model, datamodule=data)
    print(stopwatch.seconds / options.networks)


if __name__ == "__main__":
    main()
