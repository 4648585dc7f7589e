"""Failures and warnings as one line each, and exit statuses."""

import errno
import logging
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch.distributed as dist
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only

from project.errors import DivergedError, InputError, InputWarning, InterruptedRunError

# Libraries raise these on options that they cannot use.
UNUSABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, ImportError)
BAD_NAMES = (errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP)  # Here the name that was given is at fault, not the disk.
LEVELS = {"lightning.pytorch": logging.WARNING, "lightning.fabric": logging.WARNING, "torch.onnx": logging.ERROR}
LEVELS["lightning.pytorch.profilers"] = logging.INFO  # A profiler's report is wanted.
LONGEST_LINE = 500  # characters, so that a value of any length leaves the message readable


def exit_status(command: Callable[[], object], debug: bool) -> int:
    """Run a command and return 0, or print one line and return the status of its failure."""
    try:
        with quiet():
            command()
    except InterruptedRunError as interrupted:
        print_error(str(interrupted))
        return 128 + interrupted.signal
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # Lightning turns Ctrl+C into exit status 1.
            return 128 + signal.SIGINT
        raise
    except Exception as error:  # Also what nobody foresaw is one line, unless --debug asks where it came from.
        if debug:
            raise
        status, message = describe(error)
        print(f"error: {fold_message(message)}", file=sys.stderr)
        return status
    return 0


def describe(error: Exception) -> tuple[int, str]:
    """Return the exit status of a failure, and what is said of it."""
    if isinstance(error, (InputError, ArgumentError, MisconfigurationException)):
        return 2, str(error)
    if isinstance(error, DivergedError):
        return 3, str(error)
    if isinstance(error, OSError):
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return 2 if error.filename and error.errno in BAD_NAMES else 1, said
    is_lost = isinstance(error, RuntimeError) and re.search("peer|Broken pipe|NCCL|[Tt]imed out", str(error))
    if is_lost and dist.is_available() and dist.is_initialized():
        return 1, "another process of this run has ended; go on from its checkpoint with --ckpt_path last"
    return 1, f"{type(error).__name__}: {error} (--debug shows where)"


@contextmanager
def quiet(reword: Callable[[str], str] = str) -> Iterator[None]:
    """Print each warning as one line, and once; "GPU available", "Seed set to" and what nobody can mend, never."""
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in LEVELS}
    shown = set()

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        text = str(message) if issubclass(category, InputWarning) else f"{category.__name__}: {message}"
        if text not in shown:
            print_error(f"warning: {reword(fold_message(text))}")
        shown.add(text)

    with warnings.catch_warnings():
        warnings.showwarning = show
        warnings.simplefilter("always", InputWarning)
        # Lightning calls what this torch deprecates: Lightning-AI/pytorch-lightning#21326.
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        # LightningCLI warns whenever --optimizer does what it is for.
        warnings.filterwarnings("ignore", ".*configure_optimizers. will be overridden by", UserWarning)
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # It is drawn as a box.
        for logger in levels:
            logger.setLevel(LEVELS[logger.name])
        try:
            yield
        finally:
            for logger, level in levels.items():
                logger.setLevel(level)


@rank_zero_only
def print_error(line: str) -> None:
    print(line, file=sys.stderr)


@contextmanager
def refusing(options: Iterable[str] = (), what: str = "options") -> Iterator[None]:
    """Turn what libraries and our own classes raise, while options become objects, into InputErrors.

    A message that begins with the last part of an option's full name, as in "model.lr", speaks of that option; any
    other is about ``what``.
    """
    try:
        yield
    except InputError:
        raise
    except (*UNUSABLE, RuntimeError, MisconfigurationException) as error:
        message = str(error)
        named = message.partition(":")[0]
        full = next((option for option in options if named in (option, option.rpartition(".")[2])), None)
        raise InputError(f"--{full}{message.removeprefix(named)}" if full else f"{what}: {message}") from error


def fold_message(message: str) -> str:
    """Fold a message, often one of jsonargparse's long ones, into one line that begins with the option."""
    message = re.sub(r'^Parser key "([^"]*)":', r"--\1:", message)
    message = re.sub(r"<class '([^']*)'>", r"\1", message).replace("NoneType", "null").replace("typing.Literal", "")
    subtypes, given = re.search(r"Subtypes: \[(.*)\]", message), re.search(r"Given value: (.*)", message)
    if subtypes and given:
        option = message.partition(":")[0]
        # The class is known, or refused, and this is why it cannot be built.
        problem = re.search(r"given class_path '([^']*)':\s+(?:Parser key \"[^\"]*\":\s+)?([^,\n]*)", message)
        types = re.sub(r"[a-z_]+(\.\w+)*\.(?=[A-Z])", "", subtypes[1])
        message = f"{option}: {given[1][:80]}; need one of {types}"
        if problem:
            more = "; --allow-import PACKAGE allows one of your own" if problem[2].startswith("Importing") else ""
            message = f"{option}: {problem[1]}: {problem[2]}{more}"
    line = "; ".join(line.strip().removeprefix("- ") for line in message.splitlines() if line.strip())
    line, half = line.replace(":;", ":"), LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"
