"""The study command: many networks at once."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import seed_everything

from project.callbacks.checkpoints import Checkpoints
from project.callbacks.interrupt import Interrupt
from project.callbacks.progress import Progress
from project.commands.failures import refusing
from project.commands.network import train
from project.commands.origin import parse_with_origin
from project.commands.parsing import Parser, add_run_options, make_parser
from project.commands.trainer import make_trainer
from project.data import NpyDataModule
from project.errors import InputError
from project.model import BinaryClassifier
from project.options import as_list, check
from project.runs.checkpoint import DigestCheckpointIO
from project.runs.run import RunFolder
from project.study.answer import Answer
from project.study.classifiers import Classifiers
from project.study.networks import TRIED, Design
from project.study.results import Study, write_study
from project.study.stack import Splits


def study(arguments: Sequence[str], kind: type[BinaryClassifier]) -> RunFolder | None:
    """Train many networks at once by plain SGD, and say what differs."""
    saved, parser = partial(Classifiers, kind=kind), make_study_parser(kind)
    options, origin = parse_with_origin(parser, arguments, True, saved, Study)
    seed_everything(options.seed_everything)
    with refusing([*options.keys(), *(f"model.{name}" for name in options.model)]):
        check(margin=options.margin)
        data = Splits(options.splits, **dict(options.data.items()))
        asked = options.compare, options.choose, options.splits, options.seeds
        design = Design(complete(options, kind), *asked, options.data.seed, options.seed_everything)
        model = saved(data.num_features, **asdict(design))
        given = dict(parser.instantiate_classes(options).trainer.items())
        own = [Interrupt("study"), Progress(), Checkpoints(only_last=True)]
        given["callbacks"] = [*as_list(given["callbacks"]), *own]
        trainer = make_trainer(**given)
    if origin and model.hparams != origin.contents["hyper_parameters"]:
        raise InputError(f"{origin.checkpoint}: other networks than those of its config.yaml; start the study anew")
    trainer.strategy.checkpoint_io = DigestCheckpointIO(saved)
    options.model = design.values
    # One that ended while it wrote down what it found goes on with just that.
    run = train(parser, options, origin, trainer, model, data, Study, least=0)
    if run:
        write_study(run, Answer(model, data, options.at, options.margin), options.figures.plane)
    return run


def make_study_parser(kind: type[BinaryClassifier]) -> Parser:
    """Return a parser of a study's options: those of a fit, any of the model as a list, and no optimizer."""
    parser = make_parser("study")
    seeds = "Initial weights in each split, other ones: seed_everything, seed_everything + 1, ..."
    parser.add_argument("--splits", type=int, default=10, help="Splits of the data: data.seed, data.seed + 1, ...")
    parser.add_argument("--seeds", type=int, default=3, help=seeds)
    parser.add_argument("--compare", default="model.loss", help="The option whose values are compared.")
    parser.add_argument("--choose", default="model.lr", help="The option that is chosen for each of them.")
    at = "After which iteration each network is told: the last, or that of its lowest validation loss."
    parser.add_argument("--at", type=Literal["last", "best"], default="last", help=at)
    margin = "The smallest difference in accuracy that matters, above 0 and at most 1."
    parser.add_argument("--margin", type=float, default=0.02, help=margin)
    model = "Any option of the model, as --model.lr '[0.5, 1]'; a list is what is compared or chosen."
    usual = {**make_model_parser(kind).get_defaults().model, **TRIED}
    parser.add_argument("--model", type=dict[str, Any], default=usual, help=model)
    parser.add_argument("--seed_everything", type=int, default=0, help="Fixes initial weights and order of batches.")
    add_run_options(parser)
    parser.add_lightning_class_args(make_trainer, "trainer")
    parser.add_lightning_class_args(NpyDataModule, "data")
    return parser


def complete(options: Namespace, kind: type[BinaryClassifier]) -> dict[str, Any]:
    """Return all options of a model, of their own types; what is not given is what is tried, or the default."""
    # What is tried of an option that is neither compared nor chosen gives way to the option's default.
    studied = [name.removeprefix("model.") for name in (options.compare, options.choose)]
    given = {name: values for name, values in TRIED.items() if name in studied}
    given |= {name: value for name, value in options.model.items() if value != TRIED.get(name)}
    parser = make_model_parser(kind)
    values: dict[str, Any] = dict(parser.get_defaults().model.items())
    for name, value in given.items():
        several = value if isinstance(value, list) else [value]
        typed = [parser.parse_object({"model": {name: each}}).model[name] for each in several]
        values[name] = typed if isinstance(value, list) else typed[0]
    return values


def make_model_parser(kind: type[BinaryClassifier]) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "model", skip={"num_features"})
    return parser
