"""How arguments become objects, and failures become exit statuses."""

import json
import logging
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from project.callbacks import Checkpoints, Figures, History, Progress, TensorBoard
from project.checkpoint import DigestCheckpointIO, load
from project.data import NpyDataModule
from project.disk import write_whole
from project.errors import DivergedError, InputError, InputWarning
from project.model import BinaryClassifier
from project.run import LOGS, Run

TRAINER_DEFAULTS = {
    "max_steps": 1000,
    "val_check_interval": 20,
    "check_val_every_n_epoch": None,  # validate by iterations, not by epochs
    "num_sanity_val_steps": 0,  # the history begins with the first iteration
    "log_every_n_steps": 1,
    "devices": 1,
    "deterministic": True,
    "use_distributed_sampler": False,  # it would pad uneven shares with duplicates
    "enable_model_summary": False,
}


class ProjectCLI(LightningCLI):
    """fit, validate, test and predict; the last three, and a resumed fit, take what they need from the checkpoint."""

    checkpoint: Path | None = None
    recorded: Mapping[str, Any]

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {name: skipped | {"weights_only"} for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, default=None, help="The run folder under lightning_logs.")
        parser.link_arguments("data.num_features", "model.num_features", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and if a checkpoint is named parse again, as if its run's config.yaml came first."""
        assert isinstance(args, list)
        self.config = parser.parse_args(args)
        command, options = self._options()
        self.logs = Path(options.trainer.default_root_dir or ".") / LOGS
        if command == "fit" and options.ckpt_path is None:
            return
        self.checkpoint = find_checkpoint(self.logs, options.name, options.ckpt_path or "last")
        self.recorded = load(self.checkpoint)
        settings = {
            **{f"model.{name}": value for name, value in self.recorded["hyper_parameters"].items()},
            **{f"data.{name}": value for name, value in self.recorded["datamodule_hyper_parameters"].items()},
        }
        del settings["model.num_features"]  # follows from the data
        self._subcommand_parsers[command].set_defaults(settings)
        run = Run.of_checkpoint(self.checkpoint)
        self.config = parser.parse_args([args[0], *(["--config", str(run.config)] if run else []), *args[1:]])
        _, options = self._options()
        for name, value in settings.items():
            if options[name] != value:
                raise InputError(f"--{name} {options[name]} conflicts with the checkpoint's {value}; leave it out")
        options.ckpt_path = str(self.checkpoint)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning would let the checkpoint's options silently beat the given ones."""

    def _options(self) -> tuple[str, Namespace]:
        return self.config.subcommand, self.config[self.config.subcommand]

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer around the run folder, which is made only once the data have proved good."""
        command, options = self._options()
        self.datamodule.setup(command)
        kwargs["plugins"] = [*(options.trainer.plugins or []), DigestCheckpointIO()]
        if command != "fit":
            return super().instantiate_trainer(**kwargs, logger=False, enable_progress_bar=False)
        print(self.datamodule.describe())
        self.run = Run.claim(self.logs, options.name) if self.checkpoint is None else resumed_run(self.checkpoint)
        progress = [Progress()] if options.trainer.enable_progress_bar is not False else []
        callbacks = [History(), Figures(), TensorBoard(), *progress, Checkpoints()]
        kwargs["callbacks"] = [*(self._get(self.config_init, "trainer").callbacks or []), *callbacks]
        if options.trainer.logger is False:
            kwargs["default_root_dir"] = self.run.path  # callbacks write to trainer.log_dir, which then is this folder
        else:
            kwargs["logger"] = [self._tensorboard(), *as_list(self._get(self.config_init, "trainer").logger)]
        return super().instantiate_trainer(**kwargs)

    def _tensorboard(self) -> TensorBoardLogger:
        path = self.run.path
        steps = self.recorded["global_step"] if self.checkpoint else 0
        purge = {"purge_step": steps + 1} if self.checkpoint else {}
        return TensorBoardLogger(path.parent.parent, path.parent.name, path.name, default_hp_metric=False, **purge)

    def before_fit(self) -> None:
        """Save the options as a config that ``fit -c`` accepts: anew, not into the same folder."""
        if self.trainer.is_global_zero:
            _, options = self._options()
            again = options.clone()
            again.name = again.ckpt_path = None
            text = self._parser("fit").dump(again, skip_none=False)
            write_whole(self.run.config, text.encode())

    def after_fit(self) -> None:
        metrics = self.trainer.callback_metrics
        if "val/loss" in metrics:
            loss, accuracy = metrics["val/loss"], metrics["val/accuracy"]
            print(f"validation loss {loss:.4f}, accuracy {accuracy:.4f} after iteration {self.trainer.global_step}")
        else:
            print(f"no validation in {self.trainer.global_step} iterations; lower --trainer.val_check_interval")
        print(f"figures: {self.run.figures}")

    def test(self, **kwargs: Any) -> None:
        """Print the metrics of the test subset as a table, and write them to test.json."""
        (metrics,) = self.trainer.test(**kwargs)
        result = {name.removeprefix("test/"): value for name, value in metrics.items()}
        result |= {"rows": self.datamodule.test.rows, "step": self.recorded["global_step"]}
        path = self._output_folder() / "test.json"
        write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
        print(f"written: {path}")

    def predict(self, **kwargs: Any) -> None:
        """Write the probability of class 1 and the label of each row to predictions.csv."""
        probabilities = torch.cat(self.trainer.predict(**kwargs))[:, 0].tolist()
        rows = [f"{row},{p:.9g},{int(p >= 0.5)}\n" for row, p in enumerate(probabilities)]
        path = self._output_folder() / "predictions.csv"
        write_whole(path, "".join(["row,probability,label\n", *rows]).encode())
        print(f"written: {path}")

    def _output_folder(self) -> Path:
        """The run of the checkpoint; the working directory for a checkpoint that lies in none."""
        assert self.checkpoint is not None
        run = Run.of_checkpoint(self.checkpoint)
        return run.path if run else Path()


def find_checkpoint(logs: Path, name: str | None, wanted: str) -> Path:
    """Return the checkpoint FILE, or ``last`` or ``best`` of the named run or else of the newest trained one."""
    if wanted not in ("last", "best"):
        return Path(wanted)
    run = Run(logs / name) if name is not None else Run.newest(logs)
    return run.last if wanted == "last" else run.best


def resumed_run(checkpoint: Path) -> Run:
    run = Run.of_checkpoint(checkpoint)
    if run is None:
        raise InputError(f"{checkpoint}: not in a run folder; a run resumes only with its history beside it")
    return run


def as_list(logger: Any) -> list[Any]:
    if isinstance(logger, bool) or logger is None:
        return []
    return list(logger) if isinstance(logger, Sequence) else [logger]


def run_command(argv: Sequence[str]) -> int:
    """Run a command with its options, and turn its failure into one line and an exit status."""
    debug = "--debug" in argv
    arguments = [argument for argument in argv if argument != "--debug"]
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.showwarning = show_warning
    try:
        ProjectCLI(
            BinaryClassifier,
            NpyDataModule,
            save_config_callback=None,
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False} | {c: {"exit_on_error": False} for c in ProjectCLI.subcommands()},
            args=arguments,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )
    except (InputError, ArgumentError, MisconfigurationException) as error:
        return fail(error, 2, debug)
    except DivergedError as error:
        return fail(error, 3, debug)
    except OSError as error:
        return fail(error, 1, debug)
    return 0


def fail(error: Exception, status: int, debug: bool) -> int:
    if debug:
        raise error
    print(f"error: {one_line(str(error))}", file=sys.stderr)
    return status


def one_line(message: str) -> str:
    """Fold jsonargparse's message into one line that begins with the option."""
    message = re.sub(r'^Parser key "([^"]*)":', r"--\1:", message)
    message = re.sub(r"<class '(\w+)'>", r"\1", message).replace("NoneType", "null")
    return "; ".join(line.strip(" -") for line in message.splitlines() if line.strip()).replace(":;", ":")


def show_warning(message: Warning | str, category: type[Warning], *location: Any, **more: Any) -> None:
    text = str(message) if issubclass(category, InputWarning) else f"{category.__name__}: {message}"
    print(f"warning: {text}", file=sys.stderr)
