"""The command line's entry: help at once, streams that nobody reads, and nothing that Windows or macOS lack."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

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


# What libraries need and change is theirs, so they come first; then what Windows or macOS lack is taken away.
SCRIPT = """
import json, logging, os, signal, sys, tempfile, threading, warnings
from unittest.mock import Mock
import filelock, lightning.pytorch.cli, lightning.pytorch.loggers, matplotlib as mpl, psutil, tqdm
import torch.utils.tensorboard

sys.modules |= dict.fromkeys(("resource", "fcntl", "termios", "pwd", "grp"))
del signal.SIGHUP, os.sched_getaffinity, os.posix_fallocate
tempfile.TemporaryFile = tempfile.NamedTemporaryFile

def opened(path, *arguments, open=os.open, **options):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return open(path, *arguments, **options)

os.open = opened

def state():
    loggers = {name: log.level for name, log in logging.root.manager.loggerDict.items() if hasattr(log, "level")}
    return {
        "figures": dict(mpl.rcParams.copy()),
        "torch": [torch.get_num_threads(), torch.initial_seed(), torch.are_deterministic_algorithms_enabled()],
        "warnings": [list(warnings.filters), warnings.showwarning, threading.excepthook],
        "process": [dict(os.environ), *map(signal.getsignal, signal.valid_signals())],
        "logging": {name: level for name, level in loggers.items() if not name.startswith("project")},
    }

before = state()
import project.__main__, project.callbacks, project.commands.dispatch, project.runs.disk, project.data.batches
print([name for name, value in state().items() if before[name] != value])
from project.__main__ import main
Canvas = mpl.backends.backend_agg.FigureCanvasAgg
Canvas.draw = Canvas.get_renderer  # Pictures stay blank: their paint takes most of the time.
project.commands.network.CALLBACKS = [kind for kind in project.callbacks.CALLBACKS if kind.__name__ != "Figures"]
project.__main__.ctypes = Mock(CDLL=Mock(side_effect=TypeError))
fit = "fit --trainer.max_steps 2 --name "
statuses = [main((fit + "a").split())]
project.data.batches.free_memory = lambda: 0
others = "test", "predict --data.predict data/class_0.npy", "plot a", "validate --name a", "compare a b"
print(json.dumps(statuses + [main(command.split()) for command in (fit + "b", *others)]))
"""


@pytest.mark.usefixtures("blobs")
def test_every_command_runs_without_what_windows_or_macos_lack(here: Path) -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    changed, *lines = done.stdout.splitlines()
    assert changed == "[]", "the import leaves the process as it was"
    assert json.loads(lines[-1]) == [0] * 7
    assert [" a scratch file " in line for line in lines if "copied into" in line] == [False, True]
    a, b = (Run(name).table.path.read_bytes() for name in ("a", "b"))
    assert a == b
    assert {path.name for path in here.iterdir()} == {"data", "lightning_logs", "comparison"}
