"""Plain ``.npy`` files: an (N, j) array of numbers each, or (N,) of groups."""

import io
import math
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from project.errors import InputError

Array = npt.NDArray[np.float16 | np.float32 | np.float64 | np.integer]

MAX_HEADER_BYTES = 1024  # numpy writes 118; on 10,000, its own limit, its search for Python 2's numbers can take 15 s
CHUNK_ROWS = 65_536  # rows looked at together, so that no file is ever held in memory twice
CHUNK_CELLS = 2**22  # and cells, where rows are wide


class ArrayFile(NamedTuple):
    """A ``.npy`` file whose header has proved true: an (N, j) array, N >= 1, j >= 1, of float16/32/64 or integers."""

    path: Path
    dtype: np.dtype[np.generic]
    shape: tuple[int, int]  # (N, 1) of an array of (N,)
    order: Literal["C", "F"]
    offset: int  # bytes before the first cell
    state: tuple[int, int]  # the file's size in bytes, and the time of its last change

    def stretches(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Array]]:
        """Yield (number of the first row, consecutive rows (n, j) in the file's dtype), so many as memory can hold.

        An InputError refuses a file that has changed since its header was read; a mapped one would end the process.
        """
        self._check_unchanged()
        rows, columns = self.shape
        stop, most = rows if stop is None else stop, max(1, min(CHUNK_ROWS, CHUNK_CELLS // columns))
        with self.path.open("rb") as file:
            for first in range(start, stop, most):
                part: Array = np.empty((min(most, stop - first), columns), self.dtype, self.order)
                # As they lie in the file, a stretch is one run of bytes, or one run in each column.
                runs = [part] if self.order == "C" else part.T
                for column, run in enumerate(runs):
                    cell = first * columns if self.order == "C" else column * rows + first
                    file.seek(self.offset + cell * self.dtype.itemsize)
                    file.readinto(run.reshape(-1).view(np.uint8))
                self._check_unchanged()
                yield first, part

    def _check_unchanged(self) -> None:
        if not self.path.exists() or read_state(self.path) != self.state:
            raise InputError(f"{self.path}: the file changed while it was read; run the command again")


def open_array(path: Path, dimensions: Literal[1, 2] = 2) -> ArrayFile:
    """Read the header of a file of an (N, j) array, or of an (N,) one: C or Fortran order, either byte order.

    An InputError refuses any other file; nothing is allocated and nothing is unpickled to find out.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("not a regular file; give the path of an .npy file")
        with path.open("rb") as file:
            state, begin = read_state(path), file.read(12 + MAX_HEADER_BYTES)
        shape, fortran, dtype, offset = _read_header(begin)
        _check_array(shape, dtype, dimensions, state[0] - offset)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the path of an .npy file") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return ArrayFile(path, dtype, (shape[0], math.prod(shape[1:])), "F" if fortran else "C", offset, state)


def read_state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read_header(begin: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    """Return shape, whether in Fortran order, dtype and offset of an array, from the first bytes of its file."""
    if not begin:
        raise ValueError("the file is empty; save an array with numpy.save")
    if begin.startswith(b"PK"):
        raise ValueError("this is an .npz archive; save one array with numpy.save")
    if len(begin) < npy_format.MAGIC_LEN or not begin.startswith(npy_format.MAGIC_PREFIX):
        raise ValueError("not an .npy file; save an array with numpy.save")
    file = io.BytesIO(begin)  # It has no more to give, whatever length of the header the file claims.
    major, minor = npy_format.read_magic(file)
    if (major, minor) not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f".npy format version {major}.{minor} is not supported; need 1.0 to 3.0")
    # Version 3.0 differs from 2.0 in the names of structured arrays alone.
    read = npy_format.read_array_header_1_0 if major == 1 else npy_format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of what it mends, and of odd escapes in a damaged header.
            shape, fortran, dtype = read(file, MAX_HEADER_BYTES)
        if not all(type(length) is int and 0 <= length < 2**63 for length in shape):  # numpy takes True, too.
            raise ValueError("a length below 0 or above 2^63")
    except Exception as error:  # numpy and Python's parser raise nearly every kind there is on a damaged header.
        what = f"the header is malformed, cut off or too long (above {MAX_HEADER_BYTES} bytes)"
        raise ValueError(f"{what}; save the array again") from error
    return shape, fortran, dtype, file.tell()


def _check_array(shape: tuple[int, ...], dtype: np.dtype[np.generic], dimensions: int, size: int) -> None:
    """Refuse, by a ValueError, an array of other than numbers, of no rows, or of other than size bytes."""
    if dtype.hasobject:
        raise ValueError("holds Python objects (pickle), refused for safety; save an array of numbers")
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        name = "structured" if dtype.names else dtype.name
        raise ValueError(f"dtype {name} is not supported; need float16/32/64 or an integer type")
    if len(shape) != dimensions:
        remedy = "(N, j), one row per example" if dimensions == 2 else "(N,), the number of a group for each row"
        if len(shape) == 1:
            remedy = f"(N, j), e.g. reshape to {(*shape, 1)} or, if this is one row, to {(1, *shape)}"
        raise ValueError(f"shape {str(shape)[:40]} is {len(shape)}-D; need {remedy}")
    if 0 in shape:
        raise ValueError(f"shape {shape} has no {'columns' if shape[0] else 'rows'}; need at least one")
    if size != (expected := math.prod(shape) * dtype.itemsize):
        says = f"{(*shape, 1)[:2]} {dtype.name} = {expected} bytes of data, file has {size}"
        raise ValueError(f"header says {says}; save the array again")
