"""Failures and warnings that name a file or an option, its value and the remedy."""

import signal
from collections.abc import Sequence
from pathlib import Path


class InputError(ValueError):
    """Bad input, option, config or checkpoint: one line that says what was found and what is needed."""


class DivergedError(ArithmeticError):
    """Training left the finite numbers."""


class InputWarning(UserWarning):
    """Input that is accepted, but that its owner should know about."""


class InterruptedRunError(Exception):
    """A signal ended training, and everything was saved."""

    def __init__(self, number: signal.Signals, run: Path, step: int, command: str = "fit") -> None:
        remedy = f"python -m project {command} --ckpt_path {run / 'checkpoints' / 'last.ckpt'}"
        super().__init__(f"interrupted by {number.name} after iteration {step}; resume with: {remedy}")
        self.signal = number


def join_words(items: Sequence[object], most: int = 10) -> str:
    """Return "1, 2 and 3" or, of very many items, the first ones and how many more there are."""
    words = [str(item) for item in items]
    if len(words) > most + 1:
        words[most:] = [f"{len(words) - most} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def name_columns(numbers: Sequence[int]) -> str:
    """Return "column 1", or "columns 1, 2 and 3"."""
    return f"{'column' if len(numbers) == 1 else 'columns'} {join_words(numbers)}"
