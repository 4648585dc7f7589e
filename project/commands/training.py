"""How a fit begins in its run folder, what ends it, and what it says then."""

import re
import shutil
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser

from project.commands.failures import UNUSABLE, origin
from project.errors import DivergedError, InputError
from project.evaluation.estimate import digits
from project.reports.report import write_report
from project.runs.disk import release, tolerated, write_whole
from project.runs.run import RunFolder


def config_of(parser: LightningArgumentParser, options: Namespace) -> str:
    """Return options as a config that ``fit -c`` accepts: anew, not into the same folder.

    Raises:
        InputError: if a text among them is not UTF-8.
    """
    again = options.clone()
    again.name = again.ckpt_path = None
    if again.data.root is not None:
        again.data.root = str(Path(again.data.root).absolute())
    config = str(parser.dump(again, skip_none=False))
    if broken := re.search(r'"[^"\n]*\\uD[89A-F][^"\n]*"', config):
        raise InputError(f"options: {broken[0]} is not UTF-8, and no config can hold it; rename it")
    return config


def begin(run: RunFolder, checkpoint: Path | None, config: str) -> RunFolder:
    """Hold a run's folder, bring it to the iteration of the checkpoint that it goes on from, and write its config."""
    run.hold()
    # The checkpoint comes first: if this is killed, the history has more rows than last.ckpt, and History cuts it.
    if checkpoint is not None and checkpoint != run.last:
        write_whole(run.last, checkpoint.read_bytes())
    write_whole(run.config, config.encode())
    return run


def train(trainer: Trainer, run: RunFolder | None, done: int | None, least: int = 1, **options: Any) -> None:
    """Train; what callbacks and plugins cannot do, they mostly say before the first iteration.

    Args:
        trainer: of this process.
        run: the run's folder, in its first process.
        done: how many iterations the checkpoint has that it goes on from; None if it begins.
        least: how many more there have to be.
        options: of ``Trainer.fit``.

    Raises:
        InputError: if too few iterations could be trained, or if a callback of Lightning's could not do its part.
    """
    try:
        trainer.fit(**options)
        if trainer.global_step < (done or 0) + least:
            raise ValueError("it allows no further iteration; raise max_steps, max_epochs or max_time")
    except (AssertionError, RuntimeError, *UNUSABLE) as error:
        began, place = trainer.global_step > (done or 0), origin(error)
        # A RuntimeError may be the machine's, or tell of another rank's end.
        unusable = not began and type(error) is not RuntimeError
        if isinstance(error, (InputError, DivergedError)) or not (unusable or "lightning.pytorch.callbacks" in place):
            raise
        if run and done is None and not began:  # A run that cannot begin leaves no folder.
            shutil.rmtree(run.path)
        kind = "" if type(error) is ValueError else f"{type(error).__name__} in {place}: "
        raise InputError(f"--trainer: {kind}{str(error) or 'it gives no reason'}") from error
    finally:
        if run:
            release(run.path)


def tell_result(trainer: Trainer, run: RunFolder) -> None:
    """Print loss and accuracy of the final weights, where the loss was lower if it was, and where the figures are.

    The run's report is written before the last line is printed.
    """
    step, metrics = trainer.global_step, trainer.callback_metrics
    if (lowest := run.lowest(step)) is not None:
        where = f"after iteration {lowest[0]}, in best.ckpt"
        print(f"lowest validation loss {digits(lowest[1])} {where}: python -m project test --ckpt_path best")
    if "val/loss" in metrics:
        loss, accuracy = (digits(metrics[f"val/{name}"].item()) for name in ("loss", "accuracy"))
        print(f"validation loss {loss}, accuracy {accuracy} after iteration {step}")
    with tolerated(run.path):
        write_report(run)
    print(f"figures: {run.figures}")
