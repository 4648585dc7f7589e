"""A slip is answered with the option that was meant, and help shows the project's own options first."""

from pathlib import Path

import pytest

from project.__main__ import main
from project.arguments import name_the_run, take_packages

pytestmark = pytest.mark.process
MEANT = "no such option; did you mean: python -m project"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("fit --lr 0.1", f"--lr: {MEANT} fit --model.lr 0.1"),
        ("fit --root X --threads 1", f"--root: {MEANT} fit --data.root X --threads 1"),
        ("test --data.rot=X", f"--data.rot: {MEANT} test --data.root=X"),
        ("fit --model.hidden 64", f"--model.hidden: {MEANT} fit --model.hidden_features 64"),
        ("predict NEW.npy", f"NEW.npy: {MEANT} predict --data.predict NEW.npy"),
        ("fit --nonsense", "--nonsense: no such option; project fit --help lists them"),
        ("fit --data .", "--data: . is no config; did you mean --data.root ."),
        ("fit --data=class_0.npy", "--data: class_0.npy is no config; did you mean --data.root class_0.npy"),
    ],
)
def test_a_slip_is_told_what_was_meant(command: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


@pytest.mark.parametrize("value", ["1" * 400, "!!timestamp"])
@pytest.mark.parametrize("joined", [True, False])
def test_a_value_that_breaks_the_parser_is_named(value: str, joined: bool, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--model.lr={value}"] if joined else ["--model.lr", value]
    assert main(["fit", "--threads", "1", *given]) == 2
    assert capsys.readouterr().err.startswith(f"error: --model.lr: {value[:200]}")


def test_help_fits_on_two_screens_and_more_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    pages = []
    for word in "--help", "--help.trainer":
        with pytest.raises(SystemExit, match="0"):
            main(["fit", word])
        pages.append(capsys.readouterr().out)
    assert len(pages[0].splitlines()) <= 80
    own = "--model.lr", "--data.root", "--name", "--ckpt_path", "--figures.plane", "--help.trainer"
    assert all(option in pages[0] for option in own)
    assert "--trainer.max_steps" not in pages[0]
    assert all(option in pages[1] for option in ("--trainer.max_steps", "--optimizer", "--lr_scheduler"))


def test_a_run_is_named_first_or_by_its_option() -> None:
    for given in "test a", "test lightning_logs/a", "test lightning_logs/a/", "test --name a":
        assert name_the_run(given.split()) == ["test", "--name", "a"]
    for kept in "fit a", "compare a b", "predict a.npy", "plot", "export --output a":
        assert name_the_run(kept.split()) == kept.split()
    packages = take_packages(["fit", "--allow-import", "a", "--model.lr", "1", "--allow-import=b"])
    assert packages == (["fit", "--model.lr", "1"], ["a", "b"])


def test_every_command_takes_a_run_by_either(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(blobs.parent)
    for name in "ab":
        assert main(["fit", "--name", name, "--data.root", "data", "--trainer.max_steps", "2"]) == 0
    for command in "validate", "test", "plot", "export":
        assert main([command, "a"]) == main([command, "--name", "a"]) == 0
    assert main(["predict", "a", "--data.predict", "data/class_0.npy"]) == 0
    a, b = ({path.name for path in Path("lightning_logs", name).glob("[!e]*")} for name in "ab")
    assert a - b == {"test.json", "test_predictions.csv", "model.onnx", "predictions.csv"}
