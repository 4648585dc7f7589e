"""The command line: ``python -m project COMMAND``."""

import contextlib
import ctypes
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from project.commands import COMMANDS

LISTED = "\n".join(f"  {name:<9} {does}" for name, does in COMMANDS.items())
HELP = f"""\
usage: project COMMAND [options]

Two .npy files in, one per class; an honest binary classifier, its figures and its numbers out.

commands:
{LISTED}

project COMMAND --help lists the options of a command; --debug shows where an error came from.
"""


@cache
def load_commands() -> Callable[..., int]:
    """Import torch and Lightning, for which --help need not wait, into a process where they cost least."""
    # glibc gives the blocks of an iteration back to the system and gets them again page by page, which takes up to half
    # of a large one; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of mallopt(3) make it keep them.
    with contextlib.suppress(TypeError, AttributeError, OSError):  # Windows, macOS and musl have no mallopt.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 2**25)
        mallopt(-1, 2**26)
    # Threads of GNU's OpenMP wait for each other in a loop, which on a busy machine takes most of the time.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # The imports make a million objects that all stay: to search them for garbage takes longer than a second.
    gc.disable()
    from project.commands.dispatch import run_command  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    return run_command


def main(argv: Sequence[str] | None = None, **options: Any) -> int:
    """Run a command with its options, those of the process unless given, and return its exit status.

    More options are for project.commands.dispatch.run_command, as kind=Model for a BinaryClassifier of your own.
    """
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(sys.stdout or nowhere),  # Python has no stream where the descriptor is closed.
        contextlib.redirect_stderr(sys.stderr or nowhere),
    ):
        for stream in sys.stdout, sys.stderr:
            if isinstance(stream, io.TextIOWrapper):  # Names may have characters that a terminal lacks.
                stream.reconfigure(errors="backslashreplace")
        if isinstance(sys.stdout, io.TextIOWrapper):  # What a closed pipe does not take, it refuses at the end.
            sys.stdout.reconfigure(write_through=False)
        status = run(list(sys.argv[1:] if argv is None else argv), options)
        try:
            sys.stdout.flush()
        except OSError as error:  # What was asked for is done, but nobody has read what it was.
            print(f"error: standard output: {error.strerror}", file=sys.stderr)
            os.dup2(nowhere.fileno(), sys.stdout.fileno())  # Otherwise Python would try again at its end, and say so.
            return status or 1
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
    except SystemExit as end:  # --help and --print_config end so.
        return end.code if isinstance(end.code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
