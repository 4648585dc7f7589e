"""The failures and warnings that name a file or an option, its value and the remedy."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

IS_COMMAND = ContextVar("IS_COMMAND", default=False)  # whether messages are read by who has given a command


class InputError(ValueError):
    """Bad input, option, config or checkpoint: one line that says what was found and what is needed."""


class DivergedError(ArithmeticError):
    """Training left the finite numbers."""


class LostRankError(ConnectionError):
    """Another process of the run has ended, and this one cannot go on without it."""


class InputWarning(UserWarning):
    """Input that is accepted, but that its owner should know about."""


class InterruptedRunError(Exception):
    """A signal ended training, and everything was saved."""

    def __init__(self, number: signal.Signals, run: Path, step: int, command: str = "fit") -> None:
        super().__init__(
            f"interrupted by {number.name} after iteration {step}; resume with: "
            f"python -m project {command} --ckpt_path {run / 'checkpoints' / 'last.ckpt'}"
        )
        self.signal = number


@contextmanager
def as_command() -> Iterator[None]:
    """Let messages name options as the command line does."""
    token = IS_COMMAND.set(True)
    try:
        yield
    finally:
        IS_COMMAND.reset(token)


def spelled(option: str, value: object = None) -> str:
    """Return an option by the name that its user knows: "--data.balance downsample", in Python balance='downsample'."""
    if IS_COMMAND.get():
        words = str(value).lower() if isinstance(value, bool) else value
        return f"--{option}" if value is None else f"--{option} {words}"
    name = option.rpartition(".")[2]
    return name if value is None else f"{name}={value!r}"


def listed(items: Sequence[object], most: int = 10) -> str:
    """Return "1, 2 and 3" or, of very many items, the first ones and how many more there are."""
    words = [str(item) for item in items]
    if len(words) > most + 1:
        words[most:] = [f"{len(words) - most} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]][len(words) == 1 :])


def columns(numbers: Sequence[int]) -> str:
    """Return "column 1", or "columns 1, 2 and 3"."""
    return f"column{'s' * (len(numbers) > 1)} {listed(numbers)}"
