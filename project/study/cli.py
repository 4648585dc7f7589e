"""How the arguments of study become objects."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from project.callbacks.checkpoints import Checkpoints
from project.callbacks.interrupt import Interrupt
from project.callbacks.progress import Progress
from project.commands.cli import ProjectCLI
from project.data import NpyDataModule
from project.errors import InputError
from project.model import BinaryClassifier
from project.model.loss import CRITERIA
from project.options import check
from project.study.answer import find_answer
from project.study.classifiers import Classifiers
from project.study.networks import baselines_of, combinations
from project.study.results import Study, write_study
from project.study.splits import Splits

# What is compared and chosen unless lists are given.
VALUES: dict[str, list[Any]] = {"loss": list(CRITERIA), "lr": [0.25, 1.0, 4.0, 16.0]}


class StudyTrainer(Trainer):
    """A trainer whose ``fit`` LightningCLI also knows as a command of another name."""

    study = Trainer.fit


class StudyCLI(ProjectCLI):
    """study, with the options of fit, of which those of the model may be lists; it trains by plain SGD alone."""

    trains = "study"
    folders = Study
    least = 0  # One that ended while it wrote down what it found goes on with just that.

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {"study": ProjectCLI.subcommands()["fit"]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        for action in parser._actions:
            if action.dest.startswith("model.") and hasattr(action, "_typehint"):
                action._typehint = list[action._typehint] | action._typehint  # type: ignore[name-defined]
        for name, values in VALUES.items():
            parser.set_defaults({f"model.{name}": values})
        seeds = "Initial weights in each split, other ones: seed_everything, seed_everything + 1, ..."
        parser.add_argument("--splits", type=int, default=10, help="Splits of the data: data.seed, data.seed + 1, ...")
        parser.add_argument("--seeds", type=int, default=3, help=seeds)
        parser.add_argument("--compare", default="model.loss", help="The option whose values are compared.")
        parser.add_argument("--choose", default="model.lr", help="The option that is chosen for each of them.")

    def _parse(self, parser: LightningArgumentParser, args: list[str]) -> tuple[str, Namespace]:
        command, options = super()._parse(parser, args)
        with self._refusing():
            check(splits=options.splits, seeds=options.seeds)
            check_roles(options)
        return command, options

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        super().parse_arguments(parser, args)
        options = self._options()[1]
        self.asked = combinations(dict(options.model.items()))
        # One value of each makes the data and the model that LightningCLI knows; copies of them are studied.
        self.lists, options.model = options.model, Namespace(self.asked[0])  # type: ignore[no-untyped-call]

    def fixed_options(self) -> dict[str, Any]:
        assert self.run is not None
        recorded = self.run.options()
        return {name: recorded.get(name) for name in ("model", "splits", "seeds", "compare", "choose")}

    @property
    def saved(self) -> Callable[..., LightningModule]:
        return partial(Classifiers, kind=cast("type[BinaryClassifier]", self._model_class))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        options = self._options()[1]
        options.model = self.lists
        splits = range(options.data.seed, options.data.seed + options.splits)
        seeds = range(int(options.seed_everything), int(options.seed_everything) + options.splits * options.seeds)
        studied = self.asked, baselines_of(self.asked, roles_of(options)["compare"])
        given = dict(options.data.items())
        with self._refusing():
            self.datamodule = Splits(lambda seed: NpyDataModule(**{**given, "seed": seed}), splits)
            self.model = self.saved(self.datamodule.first.num_features, *studied, list(splits), list(seeds))
        if self.checkpoint and self.model.hparams != self.recorded["hyper_parameters"]:
            raise InputError(f"{self.checkpoint}: other networks than those of its config.yaml; start the study anew")
        return super().instantiate_trainer(**kwargs)

    def callbacks(self) -> list[Callback]:
        return [Interrupt("study"), Progress(), Checkpoints(best=False)]

    study = ProjectCLI.fit

    def after_study(self) -> None:
        if self.run is None:
            return
        options = self._options()[1]
        answer = find_answer(self.model, self.datamodule, self.asked, **roles_of(options))
        write_study(self.run, answer, self.model, self.datamodule, options.figures.plane)


def roles_of(options: Namespace) -> dict[str, str]:
    """Return the names, among the model's options, of the one to compare and of the one to choose."""
    return {role: options[role].removeprefix("model.") for role in ("compare", "choose")}


def check_roles(options: Namespace) -> None:
    """Refuse, by a ValueError, lists that are neither compared nor chosen; a default one of those becomes its first."""
    roles = roles_of(options)
    for role, name in roles.items():
        if name not in options.model:
            names = ", ".join(f"model.{known}" for known in options.model.keys())  # noqa: SIM118 (a Namespace)
            raise ValueError(f"{role}: {options[role]}; need one of {names}")
        values = options.model[name]
        if isinstance(values, list) and (not values or len({str(value) for value in values}) < len(values)):
            raise ValueError(f"model.{name}: {values}; need different values")
    if roles["compare"] == roles["choose"]:
        raise ValueError(f"choose: {options.choose}; it is compared already, need another option")
    for name, values in options.model.items():
        if name in roles.values() or not isinstance(values, list):
            continue
        if values != VALUES.get(name):
            raise ValueError(f"model.{name}: {values}; a list is for the option to --compare or to --choose")
        options.model[name] = inspect.signature(BinaryClassifier).parameters[name].default
