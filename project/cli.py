"""How arguments become objects, and which command runs."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor

from project.callbacks import Checkpoints, Divergence, Figures, History, Interrupt, Progress, TensorBoard, Threads
from project.checkpoint import DigestCheckpointIO, load
from project.compare import compare
from project.data import NpyDataModule
from project.data.arrays import open_array
from project.disk import write_whole
from project.errors import InputError
from project.export import export
from project.failures import exit_status, refusing
from project.logger import RunLogger
from project.model import BinaryClassifier
from project.options import TRAINER_DEFAULTS, as_list, check_agreement, check_ranges, threads_for
from project.ranks import losing_no_rank
from project.run import LOGS, Run


class FolderLogger(DummyLogger):
    """Logs nothing, but tells the trainer the run folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def save_dir(self) -> str:
        return str(self._folder)


class ProjectCLI(LightningCLI):
    """fit, validate, test and predict; the last three, and a resumed fit, take what they need from the checkpoint."""

    checkpoint: Path | None = None
    recorded: Mapping[str, Any]

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {name: skipped | {"weights_only"} for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, default=None, help="The run folder under lightning_logs.")
        parser.add_argument(
            "--threads", type=int | None, default=None, help="CPU threads, 1 to 1024; null suits the size of a piece."
        )
        parser.link_arguments("data.num_features", "model.num_features", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and if a checkpoint is named parse again, as if its run's config.yaml came first."""
        assert isinstance(args, list)
        with refusing("options"):
            self.config = parser.parse_args(args)
            command, options = self._options()
            check_ranges(options)
        self.logs = Path(options.trainer.default_root_dir or ".") / LOGS
        if command == "fit" and options.ckpt_path is None:
            return
        wanted = "last" if options.ckpt_path is None else options.ckpt_path
        self.checkpoint = find_checkpoint(self.logs, options.name, wanted)
        self.recorded = load(self.checkpoint)
        settings = {
            **{f"model.{name}": value for name, value in self.recorded["hyper_parameters"].items()},
            **{f"data.{name}": value for name, value in self.recorded["datamodule_hyper_parameters"].items()},
        }
        num_features = settings.pop("model.num_features")  # follows from the data
        for loader in self.recorded["loops"]["fit_loop"]["state_dict"]["combined_loader"]:
            settings["seed_everything"] = loader["seed"]
        self._subcommand_parsers[command].set_defaults(settings)
        run = Run.of_checkpoint(self.checkpoint)
        self.config = parser.parse_args([args[0], *(["--config", str(run.config)] if run else []), *args[1:]])
        _, options = self._options()
        check_agreement(options, settings)
        if command == "predict":
            check_columns(options.data.predict, num_features)
        if command == "fit" and options.trainer.max_steps <= self.recorded["global_step"]:
            done = self.recorded["global_step"]
            raise InputError(f"{self.checkpoint}: the run already has {done} steps; raise --trainer.max_steps")
        # A run that was killed before its first validation begins again: there is nothing to restore.
        options.ckpt_path = str(self.checkpoint) if command != "fit" or self.recorded["global_step"] else None

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning would let the checkpoint's options silently beat the given ones."""

    def _options(self) -> tuple[str, Namespace]:
        return self.config.subcommand, self.config[self.config.subcommand]

    def instantiate_classes(self) -> None:
        with refusing("options"):
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer around the run folder, which is made only once the data have proved good."""
        command, options = self._options()
        self.datamodule.setup(command)
        given = self._get(self.config_init, "trainer")
        progress = [Progress()] if given.enable_progress_bar is not False else []
        kwargs["callbacks"] = [
            *as_list(given.callbacks),
            Interrupt(),
            Divergence(),
            History(),
            Figures(),
            TensorBoard(),
            *progress,
            Checkpoints(),
        ]
        kwargs["plugins"] = [*as_list(given.plugins), DigestCheckpointIO()]
        with refusing("--trainer"):
            trainer = super().instantiate_trainer(**kwargs, logger=DummyLogger())  # without one, there is no table
        if options.threads is None:
            elements = self.datamodule.largest_piece * options.model.hidden_features
            options.threads = threads_for(elements, trainer.num_devices)
        trainer.callbacks.append(Threads(options.threads))  # type: ignore[attr-defined]  # Lightning's own list
        if command == "fit" and trainer.is_global_zero:
            self.run = Run.claim(self.logs, options.name) if self.checkpoint is None else resumed_run(self.checkpoint)
            trainer.loggers = self._loggers(given.logger)
            print(self.datamodule.describe(trainer))
        return trainer

    def _loggers(self, given: Any) -> list[Logger]:
        """The first logger's folder is trainer.log_dir, where callbacks write."""
        path = self.run.path
        if given is False:
            return [FolderLogger(path)]
        repeated_from = self.recorded["global_step"] + 1 if self.checkpoint else None
        return [RunLogger(path, repeated_from), *as_list(given)]

    def before_fit(self) -> None:
        """Save the options as a config that ``fit -c`` accepts: anew, not into the same folder."""
        if self.trainer.is_global_zero:
            _, options = self._options()
            again = options.clone()
            again.name = again.ckpt_path = None
            if again.data.root is not None:
                again.data.root = str(Path(again.data.root).absolute())
            text = self._parser("fit").dump(again, skip_none=False)
            write_whole(self.run.config, text.encode())

    def after_fit(self) -> None:
        metrics = self.trainer.callback_metrics
        if not self.trainer.is_global_zero:
            return
        if "val/loss" in metrics:
            loss, accuracy = metrics["val/loss"], metrics["val/accuracy"]
            print(f"validation loss {loss:.4f}, accuracy {accuracy:.4f} after iteration {self.trainer.global_step}")
        else:
            print(f"no validation in {self.trainer.global_step} iterations; lower --trainer.val_check_interval")
        print(f"figures: {self.run.figures}")

    def test(self, **kwargs: Any) -> None:
        """Print the metrics of the test subset as a table, and write them to test.json."""
        (metrics,) = self.trainer.test(**kwargs)
        if not self.trainer.is_global_zero:
            return
        result = {name.removeprefix("test/"): value for name, value in metrics.items()}
        result |= {"rows": self.datamodule.selections["test"].rows, "step": self.recorded["global_step"]}
        path = output_folder(self.checkpoint) / "test.json"
        write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
        print(f"written: {path}")

    def predict(self, **kwargs: Any) -> None:
        """Write the probability of class 1 and the label of each row to predictions.csv."""
        probabilities = torch.cat(cast("list[Tensor]", self.trainer.predict(**kwargs)))[:, 0].tolist()
        if not self.trainer.is_global_zero:
            return
        rows = [f"{row},{p:.9g},{int(p >= 0.5)}\n" for row, p in enumerate(probabilities)]
        path = output_folder(self.checkpoint) / "predictions.csv"
        write_whole(path, "".join(["row,probability,label\n", *rows]).encode())
        print(f"written: {path}")


def find_checkpoint(logs: Path, name: str | None, wanted: str) -> Path:
    """Return the checkpoint FILE, or ``last`` or ``best`` of the named run or else of the newest trained one."""
    if wanted not in ("last", "best"):
        return Path(wanted)
    run = Run(logs / name) if name is not None else Run.newest(logs)
    return run.last if wanted == "last" else run.best


def check_columns(file: Path | str | None, num_features: int) -> None:
    """Refuse rows to predict that the model has no weights for."""
    if file is not None and (columns := open_array(Path(file)).shape[1]) != num_features:
        raise InputError(f"{file} has {columns} columns, the checkpoint's model takes {num_features}; give those")


def resumed_run(checkpoint: Path) -> Run:
    run = Run.of_checkpoint(checkpoint)
    if run is None:
        raise InputError(f"{checkpoint}: not in a run folder; a run resumes only with its history beside it")
    return run


def output_folder(checkpoint: Path | None) -> Path:
    """Return the run of a checkpoint, or the working directory for one that lies in none."""
    assert checkpoint is not None
    run = Run.of_checkpoint(checkpoint)
    return run.path if run else Path()


def run_trainer(arguments: list[str]) -> None:
    with losing_no_rank():
        ProjectCLI(
            BinaryClassifier,
            NpyDataModule,
            save_config_callback=None,  # it dies on the config.yaml of a resumed run; before_fit writes it
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={name: {"exit_on_error": False} for name in ProjectCLI.subcommands()}
            | {"exit_on_error": False},
            args=arguments,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )


def run_compare(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="project compare", description=compare.__doc__, exit_on_error=False)
    parser.add_argument("runs", nargs="+", type=Path, help="Run folders, or their names under lightning_logs.")
    parser.add_argument("--output", type=Path, default=Path(), help="Folder for comparison.png and comparison.json.")
    options = parser.parse_args(arguments[1:])
    if len(options.runs) < 2:
        raise InputError(f"compare: {len(options.runs)} run given; need at least two")
    compare(options.runs, options.output)


def run_export(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="project export", description=export.__doc__, exit_on_error=False)
    parser.add_argument("--ckpt_path", default="last", help="A checkpoint file, or last or best of the newest run.")
    parser.add_argument("--name", type=str | None, default=None, help="The run that last or best is taken from.")
    parser.add_argument("--output", type=Path | None, default=None, help="The ONNX file; model.onnx in the run.")
    options = parser.parse_args(arguments[1:])
    if options.output is not None and options.output.is_dir():
        raise InputError(f"--output: {options.output} is a folder; need the name of a file")
    checkpoint = find_checkpoint(Path(LOGS), options.name, options.ckpt_path)
    export(checkpoint, options.output or output_folder(checkpoint) / "model.onnx")


COMMANDS = {"compare": run_compare, "export": run_export}


def run_command(argv: Sequence[str]) -> int:
    """Run a command with its options and return its exit status."""
    for package in "lightning.pytorch", "lightning.fabric":  # "GPU available", "Seed set to", ...
        logging.getLogger(package).setLevel(logging.WARNING)
        logging.getLogger(f"{package}.utilities.rank_zero").setLevel(logging.WARNING)
        logging.getLogger(f"{package}.utilities.seed").setLevel(logging.WARNING)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # "torchvision is not installed"
    arguments = [argument for argument in argv if argument != "--debug"]
    command = COMMANDS.get(arguments[0], run_trainer)
    return exit_status(lambda: command(arguments), debug="--debug" in argv)
