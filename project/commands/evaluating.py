"""Evaluation of a checkpoint: validate, test and predict."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from project.commands.cli import ProjectCLI
from project.commands.origin import Origin
from project.data.npy import check_columns
from project.model import BinaryClassifier
from project.reports import results
from project.runs.run import RunFolder


def prepare(arguments: Sequence[str], kind: type[BinaryClassifier]) -> tuple[ProjectCLI, Origin]:
    """Make what a command needs, with the weights of its checkpoint."""
    cli = ProjectCLI(arguments, kind, [], is_training=False)
    assert cli.origin is not None
    if arguments[0] == "predict":
        check_columns(cli.config.data.predict, cli.origin.contents["hyper_parameters"]["num_features"])
    cli.datamodule.setup(arguments[0])
    cli.origin.take_up(cli.trainer, cli.model, cli.datamodule)
    return cli, cli.origin


def validate(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Say how right a checkpoint is on its validation subset."""
    cli, origin = prepare(arguments, kind)
    cli.trainer.validate(cli.model, datamodule=cli.datamodule, verbose=False)
    if cli.trainer.is_global_zero:
        results.print_metrics(cli.datamodule, "val", *cli.model.answers)
    return origin.run


def test(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Say how right a checkpoint is on its test subset, and leave that in its run."""
    cli, origin = prepare(arguments, kind)
    cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    if cli.trainer.is_global_zero:
        results.write_test(origin.run, origin.checkpoint, origin.contents, cli.datamodule, *cli.model.answers)
    return origin.run


def predict(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Classify the rows of a file."""
    cli, origin = prepare(arguments, kind)
    batches = cli.trainer.predict(cli.model, datamodule=cli.datamodule)
    if cli.trainer.is_global_zero:
        probabilities = torch.cat(cast("list[Tensor]", batches))[:, 0]
        results.write_predictions(origin.run, cli.datamodule, probabilities.double().cpu().numpy())
    return origin.run
