"""How the arguments of fit, validate, test and predict become objects."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, ReduceLROnPlateau
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from project.callbacks import CALLBACKS
from project.callbacks.progress import Progress
from project.callbacks.tensorboard import FolderLogger, RunLogger
from project.callbacks.threads import Threads
from project.commands.arguments import check_groups, name_the_culprit, refuse, tell_overruled
from project.commands.failures import refusing
from project.commands.training import begin, config_of, tell_result, train
from project.data import NpyDataModule
from project.data.npy import check_columns
from project.errors import InputError
from project.model import BinaryClassifier
from project.options import NAMES, as_list, check_agreement, check_all, taken_from
from project.reports.results import report, write_predictions, write_test
from project.runs.checkpoint import DigestCheckpointIO, load
from project.runs.finding import find_checkpoint
from project.runs.resuming import check_resumes
from project.runs.run import LOGS, RunFolder


class ProjectCLI(LightningCLI):
    """fit, validate, test and predict; the last three, and a resumed fit, take what they need from the checkpoint."""

    trains = "fit"  # the command that trains, and what the folders are that it writes
    folders: type[RunFolder] = RunFolder
    least = 1  # iterations that it has to train
    checkpoint: Path | None = None  # what is evaluated, or goes on, and what is in it
    recorded: dict[str, Any]
    run: RunFolder | None = None  # where the checkpoint lies, or what is trained

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {name: skipped | {"weights_only", "verbose"} for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, default=None, help="The run folder under lightning_logs.")
        threads = "CPU threads, 1 to 1024; null suits the size of a piece."
        parser.add_argument("--threads", type=int | None, default=None, help=threads)
        planes = Literal["best", "features", "components", "model"]
        plane = "Where the boundary of more than two features is shown; best agrees most with the model."
        parser.add_argument("--figures.plane", type=planes, default="best", help=plane)
        parser.link_arguments("data.num_features", "model.num_features", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and if a checkpoint is named parse again, as if a config with its run's options came first."""
        assert isinstance(args, list)
        self._given = args
        command, options = self._parse(parser, args)
        self.logs = Path(options.trainer.default_root_dir or ".") / LOGS
        self.is_training = command == self.trains
        if self.is_training and options.ckpt_path is None:
            return
        self.checkpoint = find_checkpoint(self.logs, options.name, options.ckpt_path or "last", self.folders)
        kind = cast("type[BinaryClassifier]", self._model_class)
        self.recorded, self.run = load(self.checkpoint, self.saved), self.folders.of_checkpoint(self.checkpoint, kind)
        step = self.recorded["global_step"]
        if self.is_training and self.run is None:
            raise InputError(f"{self.checkpoint}: not in a run folder; a run resumes only with its history beside it")
        if not self.is_training and not step:
            raise InputError(f"{self.checkpoint}: saved before the first iteration; run fit again, or name another run")
        with self._refusing():
            config = taken_from(self.run.options() if self.run else {}, self.is_training)
        data = self.recorded.get("datamodule_hyper_parameters", {})
        if set(data) != NpyDataModule().hparams.keys():
            raise InputError(f"{self.checkpoint}: of another version, or of other data than of an NpyDataModule")
        fixed = {"data": data, **self.fixed_options()}
        recorded = json.dumps({**config, **fixed, "data": {**config["data"], **data}})
        _, options = self._parse(parser, [args[0], "--config", recorded, *args[1:]])
        seed = {name: value for name, value in config.items() if name == "seed_everything"}
        with self._refusing():
            check_agreement(options, {**fixed, **seed})
        if command == "predict":
            check_columns(options.data.predict, self.recorded["hyper_parameters"]["num_features"])
        if self.is_training and options.trainer.max_steps < step + self.least:
            raise InputError(f"{self.checkpoint}: the run already has {step} steps; raise --trainer.max_steps")
        # The other commands have rebuilt the model; and before the first validation there is nothing to restore.
        options.ckpt_path = str(self.checkpoint) if self.is_training and step else None

    @property
    def saved(self) -> Callable[..., LightningModule]:
        """What rebuilds from the hyperparameters in a checkpoint."""
        return cast("type[BinaryClassifier]", self._model_class)

    def fixed_options(self) -> dict[str, Any]:
        """Return the options, but the data's, that the checkpoint's weights depend on."""
        model = dict(self.recorded["hyper_parameters"])
        del model["num_features"]  # It follows from the data.
        return {"model": model}

    def _parse(self, parser: LightningArgumentParser, args: list[str]) -> tuple[str, Namespace]:
        check_groups(args)
        try:
            with refusing(()):
                self.config = parser.parse_args(args)
                tell_overruled(parser, args, self.config)
        except ArgumentError as error:
            refuse(error, self._given, parser._subcommands_action.choices[args[0]]._option_string_actions)  # type: ignore[union-attr]
            raise
        except InputError as error:
            name_the_culprit(error, parser, self._given)
            raise
        command, options = self._options()
        with self._refusing():
            check_all(dict(options.items()))
        return command, options

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning would let the checkpoint's options silently beat the given ones."""

    def _options(self) -> tuple[str, Namespace]:
        return self.config.subcommand, self.config[self.config.subcommand]

    def _refusing(self, what: str = "options") -> AbstractContextManager[None]:
        return refusing([name for name, _ in self._options()[1].items()], what)

    @staticmethod
    def configure_optimizers(
        lightning_module: LightningModule, optimizer: Optimizer, lr_scheduler: LRScheduler | None = None
    ) -> Any:
        """Step a scheduler in every iteration: LightningCLI would do so at the end of an epoch, and the run is one."""
        if lr_scheduler is None:
            return optimizer
        config = {"scheduler": lr_scheduler, "interval": "step"}
        if isinstance(lr_scheduler, ReduceLROnPlateau):
            config |= {"monitor": lr_scheduler.monitor, "frequency": lightning_module.trainer.val_check_interval}
        return {"optimizer": optimizer, "lr_scheduler": config}

    def instantiate_classes(self) -> None:
        with self._refusing():
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer, and then the run folder, which is made only once data and options have proved good."""
        command, options = self._options()
        self.datamodule.setup("fit" if self.is_training else command)
        if self.checkpoint is not None:
            self.model.load_state_dict(self.recorded["state_dict"])
        if self.checkpoint is not None and command != "predict":
            self.datamodule.check_fingerprint(self.recorded["fingerprint"])
        given = self._get(self.config_init, "trainer")
        # Lightning prints the result table only if the trainer has a logger.
        logger = RunLogger() if given.logger is not False else FolderLogger()
        kwargs["logger"] = [logger, *as_list(given.logger)] if self.is_training else DummyLogger()
        callbacks = as_list(given.callbacks)
        no_bar = given.enable_progress_bar is False or any(isinstance(c, ProgressBar) for c in callbacks)
        own = [callback for callback in self.callbacks() if not (no_bar and isinstance(callback, Progress))]
        kwargs["callbacks"] = [*callbacks, Threads(options.threads), *own]
        kwargs["plugins"] = [*as_list(given.plugins), DigestCheckpointIO(self.saved)]
        with self._refusing("--trainer"):
            trainer = super().instantiate_trainer(**kwargs)
        if (precision := trainer.precision) not in NAMES["precision"]:
            raise InputError(f"--trainer.plugins: precision {precision} is not supported; need 32-true or bf16-mixed")
        rank_zero_only.rank = trainer.global_rank  # type: ignore[attr-defined]  # A RANK silences no single process.
        if trainer.is_global_zero and self.checkpoint is not None:
            print(f"{self.checkpoint}: after iteration {self.recorded['global_step']}")
        if self.is_training:
            self._begin(trainer, logger)
        return trainer

    def callbacks(self) -> list[Callback]:
        return [kind() for kind in CALLBACKS]

    def _begin(self, trainer: Trainer, logger: RunLogger | FolderLogger) -> None:
        options = self._options()[1]
        if options.ckpt_path is not None:
            check_resumes(self.recorded, trainer, self.model)
        logger.repeat_from(self.recorded["global_step"] + 1 if options.ckpt_path else 0)
        if trainer.is_global_zero:
            for name, value in self.datamodule.hparams.items():  # A default that suits the data becomes what it was.
                options.data[name] = value
            with self._refusing("--trainer"):
                config = config_of(self._parser(self.trains), options)
            self.run = begin(self.run or self.folders.claim(self.logs, options.name), self.checkpoint, config)
            logger.folder = self.run.path
            print(self.datamodule.describe(trainer))

    def fit(self, **kwargs: Any) -> None:
        done = self.recorded["global_step"] if self.checkpoint else None
        train(self.trainer, self.run, done, self.least, **kwargs)

    def after_fit(self) -> None:
        if self.run:
            tell_result(self.trainer, RunFolder(self.run.path, self.run.kind, self.datamodule))

    def validate(self, **kwargs: Any) -> None:
        self.trainer.validate(**kwargs, verbose=False)
        if self.trainer.is_global_zero:
            report(self.datamodule, "val", *self.model.answers)

    def test(self, **kwargs: Any) -> None:
        self.trainer.test(**kwargs, verbose=False)
        if self.trainer.is_global_zero:
            assert self.checkpoint is not None
            write_test(self.run, self.checkpoint, self.recorded, self.datamodule, *self.model.answers)

    def predict(self, **kwargs: Any) -> None:
        probabilities = torch.cat(cast("list[Tensor]", self.trainer.predict(**kwargs)))[:, 0]
        if self.trainer.is_global_zero:
            write_predictions(self.run, self.datamodule, probabilities.double().cpu().numpy())
