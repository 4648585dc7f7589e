"""Commands about one network: fit, validate, test and predict."""

import shutil
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from project.callbacks import CALLBACKS
from project.callbacks.tensorboard import FolderLogger, RunLogger
from project.commands.failures import UNUSABLE
from project.commands.origin import Origin, logs_folder
from project.commands.parsing import Parser, format_config
from project.commands.trainer import ProjectCLI, set_threads
from project.data import NpyDataModule
from project.errors import DivergedError, InputError, InputWarning
from project.evaluation.baseline import guess, regress
from project.evaluation.estimate import Numbers, digits
from project.evaluation.thresholds import choose_thresholds
from project.model import BinaryClassifier
from project.reports import results
from project.reports.report import write_report
from project.runs.checkpoint import DigestCheckpointIO, first_rates, rate_option
from project.runs.disk import release, tolerated, write_whole
from project.runs.run import RunFolder

BARELY_BETTER = 0.55  # an accuracy
LEARNED = 0.8  # times the loss of guessing: what chance alone does not do for a training loss


def fit(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Train a network, and return the run in the first process."""
    cli = ProjectCLI(arguments, kind, [callback() for callback in CALLBACKS], is_training=True)
    cli.trainer.strategy.checkpoint_io = DigestCheckpointIO(kind)
    run = train(cli.parser, cli.config, cli.origin, cli.trainer, cli.model, cli.datamodule)
    if run:
        warn_of_guessing(cli)
        run = RunFolder(run.path, kind, cli.datamodule)
        print_result(cli.trainer, run)
    return run


def train(
    parser: Parser,
    options: Namespace,
    origin: Origin | None,
    trainer: Trainer,
    model: LightningModule,
    data: NpyDataModule,
    folders: type[RunFolder] = RunFolder,
    least: int = 1,
) -> RunFolder | None:
    """Train in a folder that no other process writes, and return it in the run's first process.

    The folder is made only once data and options have proved good. What callbacks and plugins cannot do, they mostly
    say before the first iteration. Fewer iterations than ``least`` are an InputError.
    """
    done = origin.step if origin else 0
    if origin and trainer.max_steps < done + least:
        raise InputError(f"{origin.checkpoint}: the run already has {done} steps; raise --trainer.max_steps")
    data.setup("fit")
    set_threads(options.threads, trainer, model, data)
    if origin:
        origin.take_up(trainer, model, data)
    run = None
    is_new = origin is None and not (options.name and (logs_folder(options) / options.name).exists())
    if trainer.is_global_zero:
        for name, value in data.hparams.items():  # A default that suits the data becomes what it was.
            options.data[name] = value
        run = begin(parser, options, origin, folders)
        print(data.describe(trainer))
    folder = run.path if run else None
    # The logger writes anew what it had of the iterations that a resumed run repeats.
    logger = FolderLogger(folder) if options.trainer.logger is False else RunLogger(folder, done + 1 if done else 0)
    trainer.loggers = [logger, *trainer.loggers]
    try:
        # Before the first validation there is nothing to restore.
        trainer.fit(model, datamodule=data, ckpt_path=origin.checkpoint if origin and done else None)
        if trainer.global_step < done + least:
            raise InputError("--trainer: it allows no further iteration; raise max_steps, max_epochs or max_time")
    except (AssertionError, RuntimeError, MisconfigurationException, *UNUSABLE) as error:
        has_begun, place = trainer.global_step > done, Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if run and is_new and not has_begun:  # A run that cannot begin leaves no folder.
            release(run.path)
            shutil.rmtree(run.path)
        is_ours = isinstance(error, (InputError, DivergedError))
        # A RuntimeError may be the machine's, or tell of another process's end.
        is_unusable = not has_begun and type(error) is not RuntimeError
        if is_ours or not (is_unusable or place.match("lightning/pytorch/callbacks/*")):
            raise
        what = "" if type(error) is ValueError else f"{type(error).__name__} in {place.stem}: "
        raise InputError(f"--trainer: {what}{error}") from error
    finally:
        if run:
            release(run.path)
    return run


def begin(parser: Parser, options: Namespace, origin: Origin | None, folders: type[RunFolder]) -> RunFolder:
    """Hold a run's folder, bring it to the iteration of the checkpoint that it goes on from, and write its config."""
    config = format_config(parser, options)
    run = (origin and origin.run) or folders.claim(logs_folder(options), options.name)
    run.hold()
    # The checkpoint comes first: if this is killed, the history has more rows than last.ckpt, and History cuts it.
    if origin and origin.checkpoint != run.last:
        write_whole(run.last, origin.checkpoint.read_bytes())
    write_whole(run.config, config.encode())
    return run


def warn_of_guessing(cli: ProjectCLI) -> None:
    """Warn if a network that has been trained is no better than guessing, and say what the cause may be."""
    options, metrics, data = cli.model.hparams, cli.trainer.callback_metrics, cli.datamodule
    guessing = guess()[options["loss"]]
    if "val/loss" not in metrics or metrics["val/loss"] < guessing or metrics["val/accuracy"] >= BARELY_BETTER:
        return
    moments = data.classes.moments
    reach = (moments.mean.abs() + 2 * moments.std).max().item()
    rate, *_ = first_rates(cli.trainer.optimizers[0].param_groups)
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
    what = f"training did not beat guessing: {found} after iteration {cli.trainer.global_step}"
    warnings.warn(f"{what}; {cause}", InputWarning, stacklevel=2)


def print_result(trainer: Trainer, run: RunFolder) -> None:
    """Print loss and accuracy of the final weights, where the loss was lower if it was, and where the figures are.

    The run's report is written before: whoever reads the lines may have gone.
    """
    with tolerated(run.path):
        write_report(run)
    step, metrics = trainer.global_step, trainer.callback_metrics
    if (lowest := run.lowest(step)) is not None:
        found = f"lowest validation loss {digits(lowest[1])} after iteration {lowest[0]}, in best.ckpt"
        print(f"{found}; choose before you look: python -m project test, or with --ckpt_path best")
    if "val/loss" in metrics:
        loss, accuracy = (digits(metrics[f"val/{name}"].item()) for name in ("loss", "accuracy"))
        print(f"validation loss {loss}, accuracy {accuracy} after iteration {step}")
    print(f"figures: {run.figures}")


def prepare(arguments: Sequence[str], kind: type[BinaryClassifier]) -> tuple[ProjectCLI, Origin]:
    """Make what a command needs, with the weights of its checkpoint."""
    cli = ProjectCLI(arguments, kind, [], is_training=False)
    assert cli.origin is not None
    cli.datamodule.setup(arguments[0])
    set_threads(cli.config.threads, cli.trainer, cli.model, cli.datamodule)
    cli.origin.take_up(cli.trainer, cli.model, cli.datamodule)
    return cli, cli.origin


def ask(cli: ProjectCLI, subset: str, *models: BinaryClassifier) -> list[Numbers]:
    """Return the labels of the rows of val or test, and the probabilities of each model for them, (N,) each."""
    evaluate = cli.trainer.test if subset == "test" else cli.trainer.validate
    for model in models:
        evaluate(model, datamodule=cli.datamodule, verbose=False)
    return [models[0].answers[0], *(model.answers[1] for model in models)]


def validate(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Say how right a checkpoint is on its validation subset, which may have chosen it."""
    cli, origin = prepare(arguments, kind)
    if cli.trainer.is_global_zero and origin.is_best:
        print("these rows chose best.ckpt, which is better on them than on new ones")
    answers = ask(cli, "val", cli.model, regress(cli.datamodule))
    if cli.trainer.is_global_zero:
        results.print_metrics(cli.datamodule, "val", answers, {})
    return origin.run


def test(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Say how right a checkpoint is on its test subset, and leave that in its run."""
    cli, origin = prepare(arguments, kind)
    run, is_first = origin.run, cli.trainer.is_global_zero
    if is_first and run and not origin.is_best and (lowest := run.lowest(origin.step)):  # The numbers are not seen yet.
        found = f"{digits(lowest[1])}, after iteration {lowest[0]}"
        print(f"the validation loss was lower, {found}: choose before you look, --ckpt_path best tests that")
    thresholds = choose_thresholds(*ask(cli, "val", cli.model))
    answers = ask(cli, "test", cli.model, regress(cli.datamodule))
    if is_first:
        results.write_test(run, origin.checkpoint, origin.contents, cli.datamodule, answers, thresholds)
    return run


def predict(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Classify the rows of a file."""
    cli, origin = prepare(arguments, kind)
    batches = cli.trainer.predict(cli.model, datamodule=cli.datamodule)
    if cli.trainer.is_global_zero:
        probabilities = torch.cat(cast("list[Tensor]", batches))[:, 0]
        answers = probabilities.double().cpu().numpy()
        results.write_predictions(origin.run, cli.datamodule, answers, cli.config.threshold)
    return origin.run
