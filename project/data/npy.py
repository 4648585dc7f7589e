"""What a valid file is: a plain ``.npy`` file that holds an (N, j) array of finite numbers, or (N,) of groups."""

import ast
import math
import re
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from project.errors import InputError

Array = npt.NDArray[np.float16 | np.float32 | np.float64 | np.integer]

SUPPORTED = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}
MAX_HEADER_BYTES = 10_000  # This is numpy's own limit, because ast.literal_eval is not safe on long text.
CHUNK_ROWS = 65_536  # rows looked at together, so that no file is ever held in memory twice
CHUNK_CELLS = 2**22  # and cells, where rows are wide
CHANGED = "the file changed while it was read; run the command again"


class ArrayFile(NamedTuple):
    """A ``.npy`` file whose header has proved true: an (N, j) array, N >= 1, j >= 1, of float16/32/64 or integers.

    One of (N,) has the shape (N, 1).
    """

    path: Path
    dtype: np.dtype[np.generic]
    shape: tuple[int, int]
    order: Literal["C", "F"]
    offset: int  # bytes before the first cell

    def stretches(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Array]]:
        """Yield (number of the first row, consecutive rows (n, j) in the file's dtype), so many as memory can hold.

        Raises:
            InputError: if the file has become shorter; rows of a mapped file would end the process then.
        """
        rows, columns = self.shape
        stop, most = rows if stop is None else stop, max(1, min(CHUNK_ROWS, CHUNK_CELLS // columns))
        with self.path.open("rb", buffering=0) as file:
            for first in range(start, stop, most):
                part: Array = np.empty((min(most, stop - first), columns), self.dtype, self.order)
                # As they lie in the file, a stretch is one run of bytes, or one run in each column.
                runs = [part] if self.order == "C" else part.T
                for column, run in enumerate(runs):
                    cell = first * columns if self.order == "C" else column * rows + first
                    file.seek(self.offset + cell * self.dtype.itemsize)
                    if file.readinto(run.reshape(-1).view(np.uint8)) != run.nbytes:
                        raise InputError(f"{self.path}: {CHANGED}")
                yield first, part


def open_array(path: Path, dimensions: Literal[1, 2] = 2) -> ArrayFile:
    """Read the header of a file of an (N, j) array, or of an (N,) one: C or Fortran order, either byte order.

    Raises:
        InputError: if the file is not such a file; nothing is allocated and nothing is unpickled to find out.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("not a regular file; give the path of an .npy file")
        with path.open("rb") as file:
            array = ArrayFile(path, *_read_header(file, dimensions), file.tell())
            size = file.seek(0, 2) - array.offset
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the path of an .npy file") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    expected = math.prod(array.shape) * array.dtype.itemsize
    if size != expected:
        says = f"{array.shape} {array.dtype.name} = {expected} bytes of data, file has {size}"
        raise InputError(f"{path}: header says {says}; save the array again")
    return array


def check_columns(file: Path | str | None, num_features: int) -> None:
    """Refuse, by an InputError, rows to predict that are not there, or that a model of other features cannot take."""
    if file is None:
        raise InputError("--data.predict: missing; name an .npy file of rows to classify")
    if (columns := open_array(Path(file)).shape[1]) != num_features:
        raise InputError(f"{file} has {columns} columns, the checkpoint's model takes {num_features}; give those")


def _read_header(file: BinaryIO, dimensions: int) -> tuple[np.dtype[np.generic], tuple[int, int], Literal["C", "F"]]:
    """Read dtype, shape and order from the head of a file of version 1.0 to 3.0, as numpy.lib.format describes it."""
    magic = file.read(8)
    if not magic:
        raise ValueError("the file is empty; save an array with numpy.save")
    if magic.startswith(b"PK\x03\x04"):
        raise ValueError("this is an .npz archive; save one array with numpy.save")
    if len(magic) < 8 or not magic.startswith(b"\x93NUMPY"):
        raise ValueError("not an .npy file; save an array with numpy.save")
    major, minor = magic[6:]
    if major not in (1, 2, 3) or minor:
        raise ValueError(f".npy format version {major}.{minor} is not supported; need 1.0 to 3.0")
    width = 2 if major == 1 else 4
    length_bytes = file.read(width)
    length = int.from_bytes(length_bytes, "little")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"header too long ({length} bytes); need at most {MAX_HEADER_BYTES}")
    text = file.read(length)
    if len(length_bytes) < width or len(text) < length:
        raise ValueError("the file ends inside its header; save the array again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SyntaxWarning)  # An odd escape in a damaged header is malformed too.
            fields = ast.literal_eval(text.decode("utf-8" if major == 3 else "latin1"))
        repr(fields)  # A number too long to print could not be named in a message either.
        descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("malformed header; save the array again") from error
    if len(fields) != 3 or not isinstance(fortran, bool):
        raise ValueError(f"malformed header (fortran_order {repr(fortran)[:40]}); save the array again")
    return _checked_dtype(descr), _checked_shape(shape, dimensions), "F" if fortran else "C"


def _checked_dtype(descr: object) -> np.dtype[np.generic]:
    name = "structured" if isinstance(descr, list) else repr(descr)[:40]
    if isinstance(descr, str):
        if descr[:1] in "<>|=" and descr[1:] in SUPPORTED:
            return np.dtype(descr)
        if re.fullmatch(r"[<>|=]?O\d?", descr):
            raise ValueError("holds Python objects (pickle), refused for safety; save an array of numbers")
        if re.fullmatch(r"[<>|=](b1|c8|c16)", descr):
            name = np.dtype(descr).name
    raise ValueError(f"dtype {name} is not supported; need float16/32/64 or an integer type")


def _checked_shape(shape: object, dimensions: int) -> tuple[int, int]:
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ValueError(f"malformed header (shape {repr(shape)[:40]}); save the array again")
    if len(shape) != dimensions:
        remedy = f"need (N, j), e.g. {f'reshape to {(*shape, 1)}' if len(shape) == 1 else 'one row per example'}"
        if dimensions == 1:
            remedy = "need (N,), the number of a group for each row"
        raise ValueError(f"shape {str(shape)[:40]} is {len(shape)}-D; {remedy}")
    if 0 in shape:
        raise ValueError(f"shape {shape} has no {'columns' if shape[0] else 'rows'}; need at least one")
    return shape if dimensions == 2 else (*shape, 1)
