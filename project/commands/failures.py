"""How failures become one line and an exit status."""

import errno
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch.distributed as dist
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only

from project.errors import (
    DivergedError,
    InputError,
    InputWarning,
    InterruptedRunError,
    LostRankError,
)

# Libraries raise these on options that they cannot use.
UNUSABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, ImportError)
BAD_NAMES = (errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP)  # Here the name that was given is at fault, not the disk.
PROBLEM = (
    r"given class_path '([^']*)':\s+(?:Parser key \"[^\"]*\":\s+)?([^,\n]*)"  # with a class, in jsonargparse's words
)
LONGEST_LINE = 500  # characters, so that a value of any length leaves the message readable


def exit_status(command: Callable[[], None], debug: bool) -> int:
    """Run a command and return 0, or print one line and return the status of its failure."""
    with in_few_words(), ending_on_signals():
        try:
            command()
        except InterruptedRunError as interrupted:
            report(str(interrupted))
            return 128 + interrupted.signal
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):  # Lightning turns Ctrl+C into exit status 1
                return 128 + signal.SIGINT
            raise
        except Exception as error:  # Also what nobody foresaw is one line, unless --debug asks where it came from.
            if debug:
                raise
            return fail(error)
    return 0


@contextmanager
def in_few_words() -> Iterator[None]:
    """Print each warning as one line, and once; those that nobody can do anything about, never."""
    with warnings.catch_warnings(), quiet_threads():
        warnings.showwarning = show_each_once()
        warnings.simplefilter("always", InputWarning)
        # Lightning calls what this torch deprecates: Lightning-AI/pytorch-lightning#21326.
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        # LightningCLI warns whenever --optimizer does what it is for.
        warnings.filterwarnings("ignore", ".*configure_optimizers. will be overridden by", UserWarning)
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # It is drawn as a box.
        yield


@contextmanager
def losing_no_rank() -> Iterator[None]:
    """Raise a LostRankError if another process of the run was to be heard, and was not.

    Here torch raises RuntimeErrors of many texts.
    """
    try:
        yield
    except RuntimeError as error:
        several = dist.is_available() and dist.is_initialized()
        if several and re.search("peer|Broken pipe|NCCL|[Tt]imed out", str(error)):
            raise LostRankError(
                "another process of this run has ended; go on from its checkpoint with --ckpt_path last"
            ) from error
        raise


@rank_zero_only
def report(line: str) -> None:
    print(line, file=sys.stderr)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as exceptions do, so that nothing half-written stays behind.

    While training, project.callbacks.interrupt takes over.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    here = threading.current_thread() is threading.main_thread()  # Python lets no other thread set handlers.
    # Lightning leaves SIGINT ignored after a Ctrl+C before training.
    previous: dict[int, Any] = {signal.SIGINT: signal.getsignal(signal.SIGINT)} if here else {}
    previous |= {number: signal.signal(number, end) for number in numbers if here}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def refusing(options: Iterable[str], what: str = "options") -> Iterator[None]:
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
        prefix = f"--{full}{message.removeprefix(named)}" if full else f"{what}: {message}"
        raise InputError(prefix) from error


def fail(error: Exception) -> int:
    """Print an error as one line, and return its exit status."""
    status, message = 1, str(error)
    if isinstance(error, (InputError, ArgumentError, MisconfigurationException)):
        status = 2
    elif isinstance(error, DivergedError):
        status = 3
    elif not isinstance(error, OSError):
        message = f"{type(error).__name__}: {error} (--debug shows where)"
    elif error.filename:
        status, message = 2 if error.errno in BAD_NAMES else 1, f"{error.filename}: {error.strerror}"
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    print(f"{f'rank {rank}: ' if rank else ''}error: {shorten(one_line(message))}", file=sys.stderr)
    return status


def one_line(message: str) -> str:
    """Fold a message, often one of jsonargparse's long ones, into one line that begins with the option."""
    message = re.sub(r'^Parser key "([^"]*)":', lambda found: f"--{found[1]}:", message)
    message = re.sub(r"^Subcommand '\w+' does not accept option '([^']*)'", r"--\1: no such option", message)
    message = re.sub(r"<class '([^']*)'>", r"\1", message).replace("NoneType", "null").replace("typing.Literal", "")
    subtypes, given = re.search(r"Subtypes: \[(.*)\]", message), re.search(r"Given value: (.*)", message)
    if subtypes and given:
        option, problem = message.partition(":")[0], re.search(PROBLEM, message)
        if problem:  # The class is known, or refused, and this is why it cannot be built.
            remedy = "; --allow-import PACKAGE allows one of your own" * problem[2].startswith("Importing")
            return f"{option}: {problem[1]}: {problem[2]}{remedy}"
        types = re.sub(r"[a-z_]+(\.\w+)*\.(?=[A-Z])", "", subtypes[1])
        return f"{option}: {given[1][:80]}; need one of {types}"
    return "; ".join(line.strip().removeprefix("- ") for line in message.splitlines() if line.strip()).replace(
        ":;", ":"
    )


def origin(error: BaseException) -> str:
    """Return the module that raised an error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals["__name__"])


def shorten(line: str) -> str:
    """Leave out the middle of a line that is too long to be read."""
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


def show_each_once() -> Callable[..., None]:
    """Return a function that prints a warning, unless it has printed the same one before."""
    shown = set()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        text = str(message) if issubclass(category, InputWarning) else f"{category.__name__}: {message}"
        if text not in shown:
            report(f"warning: {shorten(one_line(text))}")
        shown.add(text)

    return show


@contextmanager
def quiet_threads() -> Iterator[None]:
    """Let TensorBoard's writing thread meet a full disk in silence: its exception returns at the next write."""
    previous = threading.excepthook
    threading.excepthook = lambda args: None if isinstance(args.exc_value, OSError) else previous(args)
    try:
        yield
    finally:
        threading.excepthook = previous
