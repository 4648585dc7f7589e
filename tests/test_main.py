"""The command line's entry: help at once, memory that is used again, and streams that nobody reads."""

import io
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from project import Run
from project.__main__ import main
from project.commands import COMMANDS

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("undrawn")]
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


# Takes five blocks of 2 MiB and releases them, as the tensors of a piece, and counts the pages that the system gave.
PAGES = """
import ctypes, resource, sys
from unittest.mock import Mock
from project.__main__ import load_commands
if sys.argv[1] == "as the commands do":
    sys.modules["project.commands.dispatch"] = Mock()
    load_commands()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [ctypes.c_void_p(libc.malloc(2**21)) for _ in range(5)]
    for use in (lambda block: ctypes.memset(block, 1, 2**21)), libc.free:
        list(map(use, blocks))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_the_memory_of_an_iteration_is_used_again() -> None:
    ways = "as the commands do", "as it comes"
    taught, plain = (int(subprocess.check_output([sys.executable, "-c", PAGES, way], timeout=60)) for way in ways)
    assert taught < 10
    assert plain > 2000, "load_commands need not teach what is known"


def test_a_run_is_complete_whoever_listens(
    broken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
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


def test_names_may_have_characters_that_the_terminal_lacks(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(blobs.parent)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written := io.BytesIO(), "ascii"))
    assert main([*FIT, "Größe", "--data.class_names", "Bär,Löwe", "--data.root", "data"]) == 0
    assert main(["predict", "--name", "Größe", "--data.predict", "data/class_0.npy"]) == 0
    for name in (rb"figures: lightning_logs/Gr\xf6\xdfe/figures", rb" B\xe4r, ", rb" L\xf6we"):
        assert name in written.getvalue()
