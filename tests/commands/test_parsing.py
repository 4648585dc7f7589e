"""Mistakes: each gets one line that names the option, the value and the remedy, and nothing is written."""

import fnmatch
import os
import re
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from project import Run
from project.__main__ import main
from project.callbacks import History
from project.commands import COMMANDS
from project.commands.slips import settle
from project.errors import InputError
from project.options import LARGEST, flatten
from project.runs.checkpoint import DigestCheckpointIO
from tests.campaigns import options as campaign
from tests.conftest import CONFIGS

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "here")]
Captured = pytest.CaptureFixture[str]
HUGE = "9" * 400
FOREIGN = "canary.Callback"


def refused(capsys: Captured, *arguments: str, status: int = 2, **options: Any) -> str:
    """Run a command that must be refused with nothing written, and return its line."""
    capsys.readouterr()
    before = sorted(Path().rglob("*"))
    assert main(arguments, **options) == status
    line = capsys.readouterr().err
    assert re.fullmatch("error: .{1,600}\n", line)
    assert sorted(Path().rglob("*")) == before, "nothing may be written"
    return line.removeprefix("error: ").rstrip("\n")


MEANT = {  # by command: what was meant
    "fit --max_steps=3": "--trainer.max_steps=3",
    "fit --epochs 3": "--trainer.max_epochs=3",
    "fit --iterations 3": "--trainer.max_steps=3",
    "fit --learning_rate 1": "--model.lr=1",
    "fit --gpu": "--trainer.accelerator=gpu",
    "fit --seed 1": "--data.seed=1 or --seed_everything=1",
    "fit --model.hidden 64": "--model.hidden_features=64",
    "fit --data DIR": "--data.root=DIR",
    "fit DIR": "--data.root=DIR",
    "fit DIR/class_0.npy": "--data.root=DIR",
    "fit config.yaml": "--config=config.yaml",
    "predict --name a my\trows.npy": "--data.predict='my\trows.npy'",
    "predict --data=rows.npy": "--data.predict=rows.npy",
    "plot a --fmt svg": "--format=svg",
    "compare a b --out c": "--output=c",
    "test a/checkpoints/last.ckpt": "--ckpt_path=a/checkpoints/last.ckpt",
    "test --ckpt_path lightning_logs/X": "--name=X",
}
LINES = {given: f"*; did you mean {meant}" for given, meant in MEANT.items()} | {
    "fit --optimizer adam": "--optimizer: adam; did you mean --optimizer=Adam",
    "fit --lr_scheduler steplr": "--lr_scheduler: steplr; did you mean --lr_scheduler=StepLR",
    "study --model.lr [0.5, 1]": "'1]': no such option; put a list that has spaces in quotes, *",
    "fit --xyzzy 1": "--xyzzy: no such option; --help lists them",
    "fit --model.lr !!timestamp": "options: *",
    "fit --trainer.barebones true": "--trainer.barebones*no such option*",
    "fit --optimizer Adam --model.lr 0.1": "--model.lr: 0.1 *; an --optimizer has --optimizer.lr",
    "train": "train: no such command; need one of fit, *",
}
CONFIG_LINES = {  # by what a config holds: the line after its name
    "model:\n\tlr: 1": ", line 2: *; indent by spaces alone, *",
    "model:\n  lr: 1\n   loss: mse": ", line 3: *; indent by spaces alone, *",
    "model:\n  hidden: 1": ", line 2: model.hidden: no such option; did you mean model.hidden_features",
    "trainer: {max_step: 1}": ", line 1: trainer.max_step: no such option; did you mean trainer.max_steps",
    "data:\n  seed: 1\ndata: {seed: 2}": ", line 3: data stands there twice, first in line 1",
    "model:\nlr: 1": ", line 2: lr: no such option; did you mean model.lr",
    "data: 3": ", line 1: data has no options by their names, *",
    "# nothing": ": the file has no options by their names, *",
    "data:\n  seed: !!python/object/apply:os.getpid []": "*could not determine a constructor*",
    "\ud8ff": ": not a config *",
    "\0": ": not a config *",
}


def test_one_line_says_what_was_meant(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    for folder in Path("DIR"), Path("lightning_logs/X"):
        folder.mkdir(parents=True)
    for command, line in LINES.items():
        assert fnmatch.fnmatchcase(refused(capsys, *command.split(" ")), line), command
    for config, line in CONFIG_LINES.items():
        Path("config.yaml").write_bytes(config.encode(errors="surrogatepass"))
        said = refused(capsys, "fit", "--config", "config.yaml")
        assert fnmatch.fnmatchcase(said, line if line.startswith("*") else f"config.yaml{line}"), config
    for error in InputError("no"), MisconfigurationException("no"), TypeError("no"):
        monkeypatch.setattr(History, "on_train_start", Mock(side_effect=error))
        assert main(["fit", "--name", "begun"]) == 2
        assert capsys.readouterr().err.endswith("no\n")
        assert not Path("lightning_logs/begun").exists(), "what cannot begin leaves no folder"


AT_LEAST_1 = {value: f"@: {value}; need at least 1" for value in ("0", "-1")}
REFUSALS: dict[str, dict[str, str]] = {  # by option and value: the words of the line, in which @ is the option
    "--model.lr": {value: f"@: {value}; need a number above 0 and below 3.4e38" for value in ("0.0", "-1.0", "1e+39")}
    | {"inf": "@ float inf", "nan": "@ float nan", HUGE: "float"},
    "--model.hidden_features": {n: f"@: {n}; need 1 to 65536" for n in ("0", "1000000000")} | {"1.5": "@ 1.5 int"},
    "--model.activation": {"os.system": "@: os.system; need one of tanh"},
    "--model.loss": {"hinge": "@ hinge bce mse"},
    "--data.batch_size": AT_LEAST_1 | {"61": "@: 61; need 1 to 60"},
    "--data.piece_rows": AT_LEAST_1 | {str(2**63): f"@: 9223372036854775808; need {LARGEST}"},
    "--data.seed": {"-1": "@: -1; need at least 0", HUGE: f"@: 999 need {LARGEST}"},
    "--data.split": {"columns": "@ columns groups", "groups": "@: groups; no group_0.npy"},
    "--data.class_names": {"[a, b, c]": "@: 3 need 2"},
    "--data.root": {"nowhere": "nowhere @"},
    "--seed_everything": {"-1": "@: -1; need 0 to 4294967295", "false": "@: False; need 0 to 4294967295"},
    "--threads": {value: f"@: {value}; need 1 to 1024" for value in ("0", "1025")},
    "--name": {"../up": "@: ../up; without a path", "a" * 300: "@ too long", "a\tb": "@ printable"},
    "--optimizer": {"os.system": "@: os.system not allowed", f"{FOREIGN}.X": f"@ {FOREIGN} not allowed"},
    "--trainer.val_check_interval": AT_LEAST_1 | {HUGE: f"@: 999 need {LARGEST}"},
    "--trainer.devices": {"4096": "@: 4096; need 1 to"},
    "--trainer.precision": {"7": "@ 7 32-true", "16-mixed": "@ 16-mixed bf16-mixed"},
    "--trainer.plugins": {"DoublePrecision": "@: precision 64-true is not supported"},
    "--trainer.callbacks": {name: f"@: {name} not allowed" for name in (FOREIGN, "torch.os.system")}
    | {"EarlyStopping": "@ EarlyStopping required: monitor"}
    | {"elsewhere.Own": "elsewhere.Own not allowed; --allow-import PACKAGE"},
    "--ckpt_path": {"http://localhost/last.ckpt": "localhost/last.ckpt: no such checkpoint @"},
    "--config": {"nowhere.yaml": "@ nowhere.yaml"},
}


def test_a_refusal_names_the_option_the_value_and_the_range(blobs: Path, capsys: Captured) -> None:
    Path("canary.py").write_text("raise SystemExit('imported')\n")
    for option, value in ((option, value) for option, values in REFUSALS.items() for value in values):
        line = refused(capsys, "fit", "--data.root", str(blobs), f"{option}={value}")
        assert [word for word in REFUSALS[option][value].replace("@", option).split() if word not in line] == [], line
    folder = shutil.copytree(blobs, os.fsdecode(b"caf\xe9"))
    assert "is not UTF-8, and no config can hold it; rename it" in refused(capsys, "fit", "--data.root", str(folder))


MISTAKES: dict[str, list[str]] = {  # by command, in a folder with trained runs: words of the line
    "fit --trainer.max_time 00:00:00:00": ["--trainer: it allows no further iteration"],
    "fit --name bce": ["--name", "bce", "--ckpt_path"],
    "fit --ckpt_path last": ["1000 steps", "--trainer.max_steps"],
    "fit --ckpt_path last --trainer.max_steps 1001 --optimizer Adam": ["--optimizer", "conflicts"],
    "test --model.lr 0.01": ["--model.lr: 0.01 conflicts with the checkpoint's 0.8"],
    f"test --config {CONFIGS / 'mse.yaml'}": ["--model.loss: mse conflicts with the checkpoint's bce"],
    "test --name gone": ["gone", "--name", "bce, begun, minibatch, mse and notebook"],
    "test --name mse --ckpt_path lightning_logs/bce/checkpoints/last.ckpt": ["--name: mse", "of another run"],
    "test --name begun": ["begun/checkpoints/last.ckpt: saved before the first iteration"],
    "export --output /dev/null": ["/dev/null: is no regular file, and is not replaced"],
    "predict": ["--data.predict"],
    "predict --data.predict wide.npy": ["wide.npy has 3 columns, the checkpoint's model takes 2"],
    "compare bce": ["two"],
}


def test_a_mistake_gets_one_line(workplace: Path, capsys: Captured) -> None:
    np.save(workplace / "wide.npy", np.ones((5, 3)))
    begun = Run("begun")
    shutil.copytree(Run("bce").path, begun.path)
    DigestCheckpointIO().save_checkpoint(begun.checkpoint() | {"global_step": 0}, begun.last)
    for command, words in MISTAKES.items():
        line = refused(capsys, *command.split(), status=1 if "null" in command else 2)
        assert all(word in line for word in words), line
    if not torch.cuda.is_available():
        assert "accelerator: gpu" in refused(capsys, "fit", "--config", str(CONFIGS / "gpu.yaml"))


@pytest.mark.usefixtures("workplace")
def test_a_recorded_config_that_cannot_be_read_is_one_line(capsys: Captured) -> None:
    """A byte order mark and Windows' line ends are no fault."""
    run, commands = Run("bce"), ("test bce", "fit --ckpt_path last --trainer.max_steps 1001")
    config = run.config.read_text()
    for text in ("", "\x00\xff", "figures: [1]"):
        run.config.write_bytes(text.encode("latin1"))
        for command in commands:
            assert re.fullmatch(rf".*{run.config}: not a config.*", refused(capsys, *command.split())), (text, command)
    run.config.write_bytes(b"\xef\xbb\xbf" + config.replace("\n", "\r\n").encode())
    assert main(commands[0].split()) == 0


def test_a_config_holds_what_differs_from_the_defaults(capsys: Captured) -> None:
    def printed(*arguments: str) -> dict[str, object]:
        assert main(["fit", *arguments, "--print_config"]) == 0
        return flatten(yaml.safe_load(capsys.readouterr().out))

    defaults = printed()
    for path in set(CONFIGS.glob("*.yaml")) - {CONFIGS / "study.yaml"}:
        config = flatten(yaml.safe_load(path.read_text()))
        assert printed("--config", str(path)) == defaults | config
        assert path.stem == "bce" or all(defaults[option] != value for option, value in config.items()), path


def test_a_run_may_stand_anywhere() -> None:
    known = ["name", "data.seed", "data.predict", "model.lr"]
    for run in ("a", "lightning_logs/a", "here/lightning_logs/a/"):
        assert settle(["plot", run, "--data.seed", "1"], known) == ["plot", "--name=a", "--data.seed=1"]
    assert settle(["test", "--model.lr", "-1", "a"], known) == ["test", "--model.lr=-1", "--name=a"]
    for others in (["test"], ["compare", "a", "b"], ["test", "--data.seed=a"], ["test", "--print_config"]):
        assert settle(others, known) == others
    for named in ["--name", "b"], ["--name=b"], ["b"]:
        with pytest.raises(InputError, match="the run is named already; leave one of the names out"):
            settle(["test", "a", *named], known)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_ours_says_what_it_means(command: str, capsys: Captured) -> None:
    assert main([command, "--help"]) == 0
    usage, *lines = (page := capsys.readouterr().out).splitlines()
    assert len(lines) < 120
    assert ("RUN" in usage) == (command not in ("fit", "study"))
    _, *options = page.split("\n  --")
    assert [option for option in options if len(option.split()) < 4] == []
    wanted = ["trainer.max_steps", "trainer.val_check_interval", "optimizer", "lr_scheduler", "trainer.accelerator"]
    found = {option.split()[0] for option in options}.intersection(wanted)
    expected = {"study": set(wanted) - {"optimizer", "lr_scheduler"}, "compare": set(), "plot": set(), "export": set()}
    assert found == expected.get(command, set(wanted))


def test_options_and_configs_without_end_are_obeyed_or_refused() -> None:
    summary = campaign.run(cases=6, seconds=300, seed=0, first=len(campaign.OWN))
    assert (summary.counts.total(), summary.failures) == (6, [])
