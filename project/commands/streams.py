"""What becomes of what is printed, where a terminal, a pipe or a disk does not take it: training goes on."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO


class Steady(io.TextIOBase):
    """A stream that drops what the one behind it cannot take, and remembers why.

    Characters that its encoding lacks are written as Python would spell them, as in \\u00e9.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.failure: OSError | None = None
        self.stream = stream or io.StringIO()  # Python has no stream where the descriptor is closed.

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        with self._noting():
            self.stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        with self._noting():
            self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error
            # What is still in its buffer goes nowhere; otherwise Python would try again at its end, and say so.
            with contextlib.suppress(OSError), open(os.devnull, "w", encoding="utf-8") as nowhere:
                os.dup2(nowhere.fileno(), self.stream.fileno())


@contextlib.contextmanager
def steady_streams() -> Iterator[Steady]:
    """Make stdout and stderr steady, and yield the first."""
    out, err = Steady(sys.stdout), Steady(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield out
        finally:
            out.flush()
            err.flush()
