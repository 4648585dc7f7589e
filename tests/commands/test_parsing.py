"""Mistakes: each gets one line that names the option, the value and the remedy, and nothing is written."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from project import Run
from project.__main__ import main
from project.commands import COMMANDS
from project.commands.parsing import name_the_run
from project.errors import InputError
from project.options import LARGEST, flatten
from project.runs.checkpoint import DigestCheckpointIO
from tests.campaigns import options as campaign
from tests.conftest import CONFIGS

pytestmark = pytest.mark.process
Captured = pytest.CaptureFixture[str]
HUGE = "9" * 400
FOREIGN = "canary.Callback"


def refused(capsys: Captured, *arguments: str, status: int = 2) -> str:
    """Run a command that must be refused with nothing written, and return its line."""
    before = sorted(Path().rglob("*"))
    assert main(arguments) == status
    line = capsys.readouterr().err
    assert re.fullmatch("error: .{1,600}\n", line)
    assert sorted(Path().rglob("*")) == before, "nothing may be written"
    return line.removeprefix("error: ").rstrip("\n")


MEANT = {  # by command: what was meant
    "fit --model.hidden 64": "fit --model.hidden_features 64",
    "fit --max_steps=3": "fit --trainer.max_steps=3",
    "predict --name a rows.npy": "predict --name a --data.predict rows.npy",
    "compare a b --out c": "compare a b --output c",
}
LINES = {given: f"*: no such option; did you mean: python -m project {meant}" for given, meant in MEANT.items()} | {
    "fit --xyzzy 1": "--xyzzy: no such option; project fit --help lists them",
    "fit --data DIR": "--data: DIR is no config; did you mean --data.root DIR",
    "predict --data=rows.npy": "--data: rows.npy is no config; did you mean --data.predict rows.npy",
    "fit --model.lr !!timestamp": "options: *",
    "fit --trainer.barebones true": "--trainer.barebones*no such option*",
    "train": "train: no such command; need one of fit, *",
}


def test_one_line_says_what_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    Path("DIR").mkdir()
    for command, line in LINES.items():
        assert fnmatch.fnmatchcase(refused(capsys, *command.split(" ")), line), command
    assert "'my rows.npy'" in refused(capsys, "predict", "--name", "a", "my rows.npy")
    for config in (b"\xff\xfe", b"model: [1]", b"data:\n  seed: !!python/object/apply:os.getpid []", b"[", b"\x00"):
        Path("config.yaml").write_bytes(config)
        refused(capsys, "fit", "--config", "config.yaml")


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


def test_a_refusal_names_the_option_the_value_and_the_range(
    blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(blobs.parent)
    (blobs.parent / "canary.py").write_text("raise SystemExit('imported')\n")
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


def test_a_run_may_stand_first() -> None:
    for run in ("a", "lightning_logs/a", "here/lightning_logs/a/"):
        assert name_the_run(["plot", run, "--x"]) == ["plot", "--name", "a", "--x"]
    for others in (["test"], ["test", "--x", "a"], ["predict", "a.npy"], ["fit", "a"], ["compare", "a", "b"]):
        assert name_the_run(others) == others
    for named in ["--name", "b"], ["--name=b"]:
        with pytest.raises(InputError, match="a: --name names a run, too; leave one of them out"):
            name_the_run(["test", "a", *named])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_ours_says_what_it_means(command: str, capsys: Captured) -> None:
    assert main([command, "--help"]) == 0
    _, *parts = (page := capsys.readouterr().out).split("\n  --")
    assert "known subclasses" not in page
    ours = ("model.", "data.", "trainer.", "name", "output", "format", "dpi", "splits", "threads", "figures.")
    options = [part for part in parts if part.startswith(ours) and ".help" not in part.split()[0]]
    assert options
    assert [option for option in options if len(option.partition("(type")[0].split()) <= 4] == []
    theirs = {name for name in ("optimizer", "lr_scheduler") if any(part.startswith(name) for part in parts)}
    assert theirs == ({"optimizer", "lr_scheduler"} if command in ("fit", "validate", "test", "predict") else set())


def test_options_and_configs_without_end_are_obeyed_or_refused() -> None:
    command = [sys.executable, "-m", "tests.campaigns.options", "--cases", "12", "--first", str(len(campaign.OWN))]
    done = subprocess.run(command, cwd=CONFIGS.parent, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert campaign.verdict(2, "error: --model.lr: x\n", changed=False, imported=False) == ""
    wrong = {"status 1": (1, "error: x: y\n"), "traceback": (2, "error:\nTraceback\n"), "imported": (0, "")}
    for word, case in wrong.items():
        assert word in campaign.verdict(*case, changed=False, imported=True)
