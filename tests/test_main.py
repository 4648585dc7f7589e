"""The command line's entry: help at once, and streams that nobody reads."""

import io
import os
import subprocess
import sys

import pytest

from project import Run
from project.__main__ import main
from project.commands import COMMANDS

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn", "here")]
FIT = ["fit", "--trainer.max_steps", "2", "--trainer.logger", "false", "--name"]


@pytest.fixture
def broken() -> int:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_help_lists_the_commands_and_does_not_wait_for_torch(broken: int) -> None:
    code = "import sys; from project.__main__ import main; main(['--help']); print({'torch', 'numpy'} & {*sys.modules})"
    *text, imported = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=120).splitlines()
    assert imported == "set()"
    for command in COMMANDS:
        assert sum(line.split()[:1] == [command] for line in text) == 1
    for streams, status, said in ("", 1, "error: standard output: Broken pipe\n"), ("2>&- >&-", 0, ""):
        shell = ["sh", "-c", f'"$0" -m project --help {streams}', sys.executable]
        done = subprocess.run(shell, stdout=broken, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        assert (done.returncode, done.stderr) == (status, said)


def test_a_run_is_complete_whoever_listens(
    broken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FIT, "whole"]) == 0
    with monkeypatch.context() as patch, os.fdopen(broken, "w") as pipe:
        patch.setattr(sys, "stdout", pipe)
        assert main([*FIT, "pipe"]) == 1
        assert capsys.readouterr().err == "error: standard output: Broken pipe\n"
        patch.setattr(sys, "stdout", None)
        patch.setattr(sys, "stderr", None)
        assert main([*FIT, "closed"]) == 0
    for name in "pipe", "closed":
        for path in Run("whole").path.rglob("*.*"):
            same = Run(name).path / path.relative_to(Run("whole").path)
            assert same.read_bytes().replace(name.encode(), b"whole") == path.read_bytes()


@pytest.mark.usefixtures("blobs")
def test_names_may_have_characters_that_the_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written := io.BytesIO(), "ascii"))
    assert main([*FIT, "Größe", "--data.class_names", "Bär,Löwe", "--data.root", "data"]) == 0
    assert main(["predict", "--name", "Größe", "--data.predict", "data/class_0.npy"]) == 0
    for name in (rb"figures: lightning_logs/Gr\xf6\xdfe/figures", rb" B\xe4r, ", rb" L\xf6we"):
        assert name in written.getvalue()
