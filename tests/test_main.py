"""The command line's entry: help at once, memory that is used again, and streams that nobody reads."""

import errno
import io
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import Run
from project.__main__ import main
from project.commands import COMMANDS

pytestmark = pytest.mark.process
FIT = ["fit", "--trainer.max_steps", "2"]


def run_python(code: str, *arguments: str) -> str:
    return subprocess.check_output([sys.executable, "-c", code, *arguments], text=True, timeout=120)


def test_help_lists_the_commands_and_does_not_wait_for_torch() -> None:
    code = "import sys; from project.__main__ import main; main(['--help']); print({'torch', 'numpy'} & {*sys.modules})"
    *text, imported = run_python(code).splitlines()
    assert imported == "set()"
    for command in COMMANDS:
        assert sum(line.split()[:1] == [command] for line in text) == 1


# Takes five blocks of 2 MiB and releases them, as the tensors of a piece, and counts the pages that the system gave.
PAGES = """
import ctypes, resource, sys
if sys.argv[1] == "as the commands do":
    from project.__main__ import load_commands
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
    assert int(run_python(PAGES, "as the commands do")) < 10
    assert int(run_python(PAGES, "as it comes")) > 2000, "load_commands need not teach what is known"


def test_a_run_is_complete_whoever_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*FIT, "--name", "whole"]) == 0
    whole, reasons = Run("whole").path, {"": errno.EPIPE}
    for i, redirections in enumerate([*reasons, "2>&- >&-"]):
        reader, writer = os.pipe()
        os.close(reader)
        fit = [sys.executable, "-m", "project", *FIT, "--name", f"run{i}"]
        command = ["sh", "-c", f'exec "$@" {redirections}', "-", *fit]
        with open(writer, "wb") as pipe:
            done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        reason = reasons.get(redirections)
        said = f"error: standard output: {os.strerror(reason)}\n" if reason else ""
        assert (done.returncode, done.stderr) == (int(bool(reason)), said)
        run = Run(f"run{i}").path
        same = [path for path in whole.rglob("*.*") if not re.search("tfevents|report.html", path.name)]
        assert len(same) >= 8
        assert (run / "report.html").exists()
        assert all((run / path.relative_to(whole)).read_bytes() == path.read_bytes() for path in same)


@pytest.mark.usefixtures("undrawn")
def test_names_may_have_characters_that_the_terminal_lacks(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(blobs.parent)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written := io.BytesIO(), "ascii"))
    assert main([*FIT, "--name", "Größe", "--data.class_names", "Bär,Löwe", "--data.root", "data"]) == 0
    assert main(["predict", "--name", "Größe", "--data.predict", "data/class_0.npy"]) == 0
    for name in (rb"figures: lightning_logs/Gr\xf6\xdfe/figures", rb" B\xe4r, ", rb" L\xf6we"):
        assert name in written.getvalue()
