"""Checkpoints that commands go on from, and the options that are taken from their runs."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer

from project.commands.parsing import Parser
from project.data import NpyDataModule
from project.errors import InputError
from project.options import as_list
from project.runs.checkpoint import load
from project.runs.run import LOGS, RunFolder, find_checkpoint

NUMBERS = (int, float, bool)
# What no command takes of a run's trainer: what names code or places, and a time that is over
NEVER = ("callbacks", "logger", "profiler", "plugins", "default_root_dir", "max_time")
ALONE = (*NEVER, "strategy", "devices", "num_nodes")  # One process answers for all rows, however many have trained.
STUDY = ("model", "splits", "seeds", "compare", "choose")  # what makes the networks of a study
FIXED = (*STUDY, "seed_everything", "optimizer", "lr_scheduler")  # what, with the data, makes a checkpoint's weights


class Origin(NamedTuple):
    """The checkpoint that a command goes on from, what is in it, and its run, if it lies in a run folder."""

    checkpoint: Path
    contents: dict[str, Any]
    run: RunFolder | None

    @property
    def step(self) -> int:
        return int(self.contents["global_step"])

    @property
    def is_best(self) -> bool:
        """Whether validation rows have chosen it."""
        return self.run is not None and self.checkpoint.name == self.run.best.name

    def take_up(self, trainer: Trainer, model: LightningModule, data: NpyDataModule) -> None:
        """Give the weights to a model, if the data, set up, are those that it was trained on, or rows to predict."""
        if data.predict_file is None:
            data.classes.check_same(self.contents["fingerprint"])
        elif (columns := data.num_features) != (wanted := self.contents["hyper_parameters"]["num_features"]):
            raise InputError(f"{data.predict_file} has {columns} columns, the checkpoint's model takes {wanted}")
        model.load_state_dict(self.contents["state_dict"])
        if trainer.is_global_zero:
            print(f"{self.checkpoint}: after iteration {self.step}")


def parse_with_origin(
    parser: Parser,
    arguments: Sequence[str],
    is_training: bool,
    kind: Any,
    folders: type[RunFolder] = RunFolder,
) -> tuple[Namespace, Origin | None]:
    """Parse, and if a checkpoint is meant parse again, as if a config with its run's options came first.

    Commands that do not train always need one; ``kind`` is the class of what is in it. An option that contradicts it is
    an InputError: it would win without a word.
    """
    options = parser.parse(arguments)
    if is_training and options.ckpt_path is None:
        return options, None
    checkpoint = find_checkpoint(logs_folder(options), options.name, options.ckpt_path or "last", folders)
    origin = Origin(checkpoint, load(checkpoint, kind), folders.from_checkpoint(checkpoint, kind))
    if is_training and origin.run is None:
        raise InputError(f"{checkpoint}: not in a run folder; a run resumes only with its history beside it")
    if not is_training and not origin.step:
        raise InputError(f"{checkpoint}: saved before the first iteration; run fit again, or name another run")
    recorded = take_options(origin, parser.get_defaults(), is_training)
    config = [arguments[0], "--config", json.dumps(recorded)]
    options = parser.parse([*config, *arguments[1:]])
    fixed = (*(f"data.{name}" for name in NpyDataModule().hparams), *(name for name in FIXED if name in recorded))
    given, own = (vars(each.as_flat()) for each in (options, parser.parse(config)))
    for name in dict.fromkeys([*own, *given]):
        if given.get(name) != own.get(name) and f"{name}.".startswith(tuple(f"{part}." for part in fixed)):
            conflict = f"{given.get(name)} conflicts with the checkpoint's {own.get(name)}"
            raise InputError(f"--{name}: {conflict}; leave it out")
    return options, origin


def logs_folder(options: Namespace) -> Path:
    return Path(options.trainer.default_root_dir or ".") / LOGS


def take_options(origin: Origin, known: Namespace, is_training: bool) -> dict[str, Any]:
    """Return what a command takes of a run's options, nested: numbers and names, nothing imported or written to.

    A command that goes on training also takes the optimizer and the scheduler. These have to be of torch.optim with
    plain arguments, and the data those of an NpyDataModule, or there is an InputError.
    """
    config = origin.run.options() if origin.run else {"data": {}, "figures": {}, "trainer": {}}
    data = origin.contents.get("datamodule_hyper_parameters", {})
    if set(data) != NpyDataModule().hparams.keys():
        raise InputError(f"{origin.checkpoint}: of another version, or of other data than of an NpyDataModule")
    taken = {"figures": config["figures"], "data": {**config["data"], **data, "predict": None}, "trainer": {}}
    taken |= {name: value for name, value in config.items() if name in known and isinstance(value, NUMBERS)}
    for name, value in config["trainer"].items():
        if f"trainer.{name}" in known and name not in (NEVER if is_training else ALONE) and is_word(value):
            taken["trainer"][name] = value
    if "splits" in known:
        return {**taken, **{name: config[name] for name in (*STUDY, "at") if name in config}}
    options = origin.contents["hyper_parameters"]
    taken["model"] = {name: value for name, value in options.items() if name != "num_features"}
    for name in ("optimizer", "lr_scheduler") if is_training else ():
        taken[name] = config.get(name)
        if taken[name] is not None and not is_plain(taken[name]):
            raise InputError(f"--{name}: the run's own is not one of torch.optim with plain numbers; give it again")
    return taken


def is_plain(part: Mapping[str, Any]) -> bool:
    """Say whether a recorded optimizer or scheduler is one of torch's, with numbers and names for arguments."""
    values = [each for value in part.get("init_args", {}).values() for each in as_list(value)]
    is_torchs = re.fullmatch(r"torch\.optim\.(lr_scheduler\.)?\w+", str(part.get("class_path")))
    return bool(is_torchs) and all(map(is_word, values))


def is_word(value: Any) -> bool:
    """Say whether a value is a number or a word, as "auto" or "32-true", and no path of a class or a file."""
    return isinstance(value, NUMBERS) or re.fullmatch(r"[\w-]+", str(value)) is not None
