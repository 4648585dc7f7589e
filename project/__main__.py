"""``python -m project COMMAND``: names the commands at once, and leaves the rest to the module that knows how."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache

HELP = """\
usage: project COMMAND [options]

Two .npy files in, one per class; an honest binary classifier, its figures and its numbers out.

commands:
  fit       train, and write a run folder under lightning_logs
  validate  loss and accuracy of a checkpoint on its validation subset
  test      loss and accuracy of a checkpoint on its test subset; writes test.json
  predict   classify the rows of --data.predict FILE.npy; writes predictions.csv
  compare   overlay runs; writes comparison.png and comparison.json
  export    write a checkpoint as a self-contained ONNX model

project COMMAND --help lists the options of a command; --debug shows where an error came from.
"""
COMMANDS = ("fit", "validate", "test", "predict", "compare", "export")


@cache
def load_commands() -> Callable[[Sequence[str]], int]:
    """Import torch and Lightning, for which --help need not wait, into a process where they cost least.

    The imports make a million objects that all stay: to search them for garbage, then and while training, takes longer
    than a second. OpenMP's threads wait for each other in a loop that on a busy machine takes most of the time, unless
    they are told, before they exist, to sleep soon (GNU's OpenMP; Intel's and LLVM's do not know the variable). And
    glibc gives the memory of an iteration back to the system as often as not, and gets it again page by page, which
    takes up to half of the time, until it has seen the release of a block as large: it then keeps twice as much.
    """
    bytes(2**25 - 2**16)  # glibc learns from 32 MiB at most, its own bytes included (mallopt(3), M_MMAP_THRESHOLD)
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    gc.disable()
    from project.cli import run_command  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    return run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if arguments[0] not in COMMANDS:
        print(f"error: {arguments[0] or repr('')}: no such command; need one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return load_commands()(arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
