"""The failures and warnings that name a file or an option, its value and the remedy."""


class InputError(ValueError):
    """Bad input, option, config or checkpoint: one line that says what was found and what is needed."""


class DivergedError(ArithmeticError):
    """Training left the finite numbers."""


class InputWarning(UserWarning):
    """Input that is accepted, but that its owner should know about."""
