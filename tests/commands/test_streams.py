"""Where nobody takes what is printed, training goes on, and the exit status says so."""

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import Run
from project.__main__ import main
from project.commands.streams import Steady

FIT = ["fit", "--trainer.max_steps", "2"]


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "full")


class Unflushed(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "closed")


@pytest.mark.parametrize(("stream", "number"), [(Full(), errno.ENOSPC), (Unflushed(), errno.EPIPE)])
def test_what_a_stream_cannot_take_is_dropped_and_remembered(stream: io.StringIO, number: int) -> None:
    steady = Steady(stream)
    assert steady.failure is None
    print("abc", file=steady, flush=True)
    assert steady.write("four") == 4
    assert getattr(steady.failure, "errno", None) == number


def test_after_a_failure_a_real_stream_leads_nowhere() -> None:
    stream = open("/dev/full", "w")  # noqa: SIM115 (its closing is what is tested)
    steady = Steady(stream)
    print("x" * 100_000, file=steady, flush=True)
    assert isinstance(steady.failure, OSError)
    print("more", file=stream)
    stream.close()


def test_characters_that_an_encoding_lacks_are_spelled() -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii")
    print("a é ☃ \ud800", file=Steady(stream), flush=True)
    assert raw.getvalue() == rb"a \xe9 \u2603 \ud800" + b"\n"
    print("\ud800", file=Steady(nowhere := io.StringIO()))
    assert nowhere.getvalue() == "\\ud800\n"
    assert Steady(None).write("é") == 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose every line was read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        assert main([*FIT, "--name", "whole"]) == 0
        return Run("whole").path.absolute()


@pytest.mark.process
@pytest.mark.parametrize(
    ("redirections", "status"),
    [("2>&- >/dev/null", 0), (">&-", 0), ("", 1), (">/dev/full", 1)],
    ids=["stderr closed", "stdout closed", "a closed pipe", "a full disk"],
)
def test_a_run_is_complete_whoever_listens(whole: Path, redirections: str, status: int, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = ["sh", "-c", f'exec "$@" {redirections}', "-", sys.executable, "-m", "project", *FIT, "--name", "run"]
    with open(writer, "wb") as pipe:
        done = subprocess.run(command, cwd=tmp_path, stdout=pipe, stderr=-1, text=True, timeout=120, check=False)
    reason = os.strerror(errno.ENOSPC if "full" in redirections else errno.EPIPE)
    assert (done.returncode, done.stderr) == (status, f"error: standard output: {reason}\n" * status)
    files = [path.relative_to(whole) for path in whole.rglob("*.*") if not re.search("tfevents|report.html", path.name)]
    assert len(files) >= 8
    assert all(
        (tmp_path / "lightning_logs" / "run" / file).read_bytes() == (whole / file).read_bytes() for file in files
    )


@pytest.mark.process
def test_names_may_have_characters_that_the_terminal_lacks(blobs: Path) -> None:
    arguments = [*FIT, "--name", "Größe", "--data.class_names", "Bär,Löwe", "--data.root", "data"]
    predict = ["predict", "--name", "Größe", "--data.predict", "data/class_0.npy"]
    code = f"from project.__main__ import main; raise SystemExit(main({arguments!a}) or main({predict!a}))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    out = subprocess.check_output([sys.executable, "-c", code], cwd=blobs.parent, env=environment, timeout=120)
    assert rb"figures: lightning_logs/Gr\xf6\xdfe/figures" in out
    assert rb" B\xe4r, " in out
    assert rb" L\xf6we" in out
