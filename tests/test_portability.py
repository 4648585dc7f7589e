"""Nothing at import, or in any command, that Windows or macOS lack; and an import that leaves the process as it was."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

# What libraries need and change is theirs, so they come first; then what Windows or macOS lack is taken away.
COMMANDS = """
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
def test_every_command_runs_without_what_windows_or_macos_lack(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMMANDS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    changed, *lines = done.stdout.splitlines()
    assert changed == "[]", "the import leaves the process as it was"
    assert json.loads(lines[-1]) == [0] * 7
    assert [" a scratch file " in line for line in lines if "copied into" in line] == [False, True]
    a, b = ((tmp_path / "lightning_logs" / name / "history.csv").read_bytes() for name in ("a", "b"))
    assert a == b
    assert {path.name for path in tmp_path.iterdir()} == {"data", "lightning_logs", "comparison"}
