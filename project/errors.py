"""The failures and warnings that name a file or an option, its value and the remedy."""

import signal
from pathlib import Path


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

    def __init__(self, number: signal.Signals, run: Path, step: int) -> None:
        super().__init__(
            f"interrupted by {number.name} after iteration {step}; resume with: "
            f"python -m project fit --ckpt_path {run / 'checkpoints' / 'last.ckpt'}"
        )
        self.signal = number
