"""What no option takes gets one line that says what was meant; and help tells of our own options first."""

import argparse
import fnmatch
import gc
from pathlib import Path

import pytest

from project.__main__ import main
from project.commands.arguments import check_groups, name_the_run, refuse
from project.errors import InputError

Captured = pytest.CaptureFixture[str]
HUGE = "9" * 400
MEANT = {  # by command: what was meant
    "fit --lr 0.1": "fit --model.lr 0.1",
    "fit --name a--lr --lr 1": "fit --name a--lr --model.lr 1",
    "fit --root X": "fit --data.root X",
    "fit --data.rot X": "fit --data.root X",
    "fit --model.hidden 64": "fit --model.hidden_features 64",
    "fit --max_steps=3": "fit --trainer.max_steps=3",
    "predict --name a rows.npy": "predict --name a --data.predict rows.npy",
    "plot a --fmt svg": "plot --name a --format svg",
    "compare a b --out c": "compare a b --output c",
    "export --outpt m.onnx": "export --output m.onnx",
}


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "line"),
    [(given, f"{{}}: no such option; did you mean: python -m project {meant}") for given, meant in MEANT.items()]
    + [
        ("fit --xyzzy 1", "--xyzzy: no such option; project fit --help lists them"),
        ("fit --data DIR", "--data: DIR is no config; did you mean --data.root DIR"),
        ("predict --data=rows.npy", "--data: rows.npy is no config; did you mean --data.predict rows.npy"),
        (f"fit --model.lr {HUGE}", "--model.lr: 999*to convert to float"),
        (f"fit --model.lr={HUGE}", "--model.lr: 999*to convert to float"),
        ("fit --model.lr !!timestamp", "--model.lr: !!timestamp; *"),
    ],
)
def test_one_line_says_what_was_meant(
    command: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("DIR").mkdir()
    assert main(command.split()) == 2
    (found,) = capsys.readouterr().err.splitlines()
    unknown = found.removeprefix("error: ").partition(":")[0]
    assert unknown in command
    assert fnmatch.fnmatchcase(found, f"error: {line.format(unknown)}")
    assert [path.name for path in Path().iterdir()] == ["DIR"], "nothing is written"


def test_an_argument_with_spaces_or_without_a_character_is_named_whole() -> None:
    for argument, words in {
        "my rows.npy": "--data.predict 'my rows.npy'",
        "": "'': no such",
        "\n": r"'\\n': no such",
    }.items():
        error = argparse.ArgumentError(None, f"unrecognized arguments: {argument}")
        with pytest.raises(InputError, match=words):
            refuse(error, ["predict", "my", argument], ["--data.predict"])
    refuse(argparse.ArgumentError(None, "expected one argument"), ["fit", "--lr"], ["--model.lr"])


def test_a_group_takes_a_config(tmp_path: Path) -> None:
    for value in ("data.yaml", '{"seed": ' + HUGE + "}", ""):
        check_groups(["fit", "--data", value, f"--model={value}", "--name", str(tmp_path)])
    with pytest.raises(InputError, match=f"did you mean --data.root {tmp_path}$"):
        check_groups(["fit", f"--data={tmp_path / 'class_0.npy'}"])


def test_a_run_may_stand_first() -> None:
    for command in ("validate", "test", "predict", "plot", "export"):
        for run in ("a", "lightning_logs/a", "here/lightning_logs/a/"):
            assert name_the_run([command, run, "--x"]) == [command, "--name", "a", "--x"]
    for others in (["test"], ["test", "--x", "a"], ["predict", "a.npy"], ["fit", "a"], ["compare", "a", "b"]):
        assert name_the_run(others) == others
    for named in ["--name", "b"], ["--name=b"]:
        with pytest.raises(InputError, match="a: --name names a run, too; leave one of them out"):
            name_the_run(["test", "a", *named])


@pytest.mark.process
def test_help_is_short_unless_more_is_asked_for(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    gc.collect()  # Lightning makes a class of optimizers for each fit, which the pages list while it is there.
    pages = []
    for options in (["--help"], ["--help.trainer"], ["--help", "--help.trainer"]):
        with pytest.raises(SystemExit, match="0"):
            main(["fit", *options])
        pages.append(capsys.readouterr().out)
    assert pages[0].count("\n") <= 80
    assert "--trainer.max_steps" not in pages[0]
    assert "--trainer.max_steps" in pages[1]
    assert pages[1] == pages[2]
    assert all(f"--{option} " in page for page in pages for option in ("data.root", "model.lr", "name", "ckpt_path"))
