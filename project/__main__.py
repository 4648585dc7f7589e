"""``python -m project COMMAND``: names the commands at once, and leaves the rest to the module that knows how."""

import contextlib
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from project.commands.streams import steady_streams

HELP = """\
usage: project COMMAND [options]

Two .npy files in, one per class; an honest binary classifier, its figures and its numbers out.

commands:
  fit       train, and write a run folder under lightning_logs
  validate  loss and accuracy of a checkpoint on its validation subset
  test      loss and accuracy of a checkpoint on its test subset; writes test.json
  predict   classify the rows of --data.predict FILE.npy; writes predictions.csv
  compare   overlay runs; writes comparison.png and comparison.json
  study     train many networks at once and say what really differs: BCE or MSE, each at its best rate
  plot      draw a run's figures again: png, svg or pdf, also of an interrupted run
  export    write a checkpoint as a self-contained ONNX model

project COMMAND --help lists the options of a command; --debug shows where an error came from.
"""
COMMANDS = ("fit", "validate", "test", "predict", "compare", "study", "plot", "export")


@cache
def load_commands() -> Callable[..., int]:
    """Import torch and Lightning, for which --help need not wait, into a process where they cost least.

    The imports make a million objects that all stay: to search them for garbage, then and while training, takes longer
    than a second. OpenMP's threads wait for each other in a loop that on a busy machine takes most of the time, unless
    they are told, before they exist, to sleep soon (GNU's OpenMP; Intel's and LLVM's do not know the variable). And
    glibc gives the blocks of an iteration back to the system as often as not, and gets them again page by page, which
    takes up to half of a large iteration; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of mallopt(3) make it keep them.
    """
    with contextlib.suppress(TypeError, AttributeError, OSError):  # Windows, macOS and musl have no mallopt.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 2**25)
        mallopt(-1, 2**26)
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    gc.disable()
    from project.commands.commands import run_command  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    return run_command


def main(argv: Sequence[str] | None = None, **options: Any) -> int:
    """Run a command with its options, those of the process unless given, and return its exit status.

    More options are for project.commands.commands.run_command, as kind=Model for a BinaryClassifier of your own.
    """
    with steady_streams() as out:
        status = run(list(sys.argv[1:] if argv is None else argv), options)
        out.flush()
        if out.failure and not status:  # What was asked for is done, but nobody has read what it was.
            print(f"error: standard output: {out.failure.strerror}", file=sys.stderr)
            status = 1
    return status


def run(arguments: list[str], options: dict[str, Any]) -> int:
    """Run the command that the arguments begin with."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if arguments[0] not in COMMANDS:
        print(f"error: {arguments[0] or repr('')}: no such command; need one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return load_commands()(arguments, **options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
