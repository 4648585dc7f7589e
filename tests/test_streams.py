"""Training does not depend on anyone taking what it prints; what becomes of it, the exit status says."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project.run import Run
from project.streams import Steady

PIPED = 'exec "$0" "$@" | true; exit ${PIPESTATUS[0]}'


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    flush = None  # type: ignore[assignment]


def test_what_a_stream_cannot_take_is_dropped_and_remembered() -> None:
    out = Steady(Full())
    assert print("lost", file=out) is None
    assert (out.failure and out.failure.errno) == 28
    nowhere = Steady(None)
    print("nobody", file=nowhere, flush=True)
    assert nowhere.failure is None
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print("é猫", file=Steady(plain), flush=True)
    assert plain.buffer.getvalue() == b"\\xe9\\u732b\n"  # type: ignore[attr-defined]


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ('exec "$0" "$@" 2>&-', 0, ""),
        ('exec "$0" "$@" >&-', 0, ""),
        ('exec "$0" "$@" <&- >&- 2>&-', 0, ""),
        (PIPED, 1, "error: standard output: Broken pipe\n"),
        ('exec "$0" "$@" > /dev/full', 1, "error: standard output: No space left on device\n"),
        ('PYTHONIOENCODING=ascii exec "$0" "$@"', 0, ""),
    ],
)
def test_a_run_is_complete_whoever_listens(script: str, status: int, said: str, blobs: Path, tmp_path: Path) -> None:
    options = ["--data.root", str(blobs), "--data.class_names", "[é, 猫]", "--name", "ü", "--trainer.max_steps", "2"]
    command = ["bash", "-c", script, sys.executable, "-m", "project", "fit", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (status, said)
    assert Run(tmp_path / "lightning_logs" / "ü").checkpoint()["global_step"] == 2
    assert len(os.listdir(tmp_path / "lightning_logs" / "ü" / "figures")) == 4  # noqa: PTH208
