"""What a valid class file is: a plain ``.npy`` file that holds an (N, j) array of finite numbers."""

import ast
import math
import mmap
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
CHUNK_CELLS = 2**24  # and cells, where rows are wide


class Header(NamedTuple):
    """What the head of a ``.npy`` file says of the bytes after it."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, int]
    order: Literal["C", "F"]
    offset: int


def open_array(path: Path) -> Array:
    """Map a class file into memory, read-only, once its header has proved true.

    Args:
        path: a ``.npy`` file of float16/32/64 or integers, C or Fortran order, either byte order.

    Returns:
        The (N, j) array, N >= 1, j >= 1, backed by the file.

    Raises:
        InputError: if the file is not such a file; nothing is allocated and nothing is unpickled to find out.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("not a regular file; give the path of an .npy file")
        with path.open("rb") as file:
            header = _read_header(file)
            size = file.seek(0, 2) - header.offset
            expected = math.prod(header.shape) * header.dtype.itemsize
            if size != expected:
                says = f"{header.shape} {header.dtype.name} = {expected} bytes of data, file has {size}"
                raise ValueError(f"header says {says}; save the array again")
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the path of an .npy file") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    array: Array = np.ndarray(header.shape, header.dtype, mapping, header.offset, order=header.order)
    return array


def _read_header(file: BinaryIO) -> Header:
    """Read the head of an ``.npy`` file, format versions 1.0 to 3.0 (numpy.lib.format describes them)."""
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
    return Header(_checked_dtype(descr), _checked_shape(shape), "F" if fortran else "C", file.tell())


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


def _checked_shape(shape: object) -> tuple[int, int]:
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ValueError(f"malformed header (shape {str(shape)[:40]}); save the array again")
    if len(shape) != 2:
        remedy = f"reshape to {(*shape, 1)}" if len(shape) == 1 else "one row per example"
        raise ValueError(f"shape {str(shape)[:40]} is {len(shape)}-D; need (N, j), e.g. {remedy}")
    if 0 in shape:
        raise ValueError(f"shape {shape} has no {'columns' if shape[0] else 'rows'}; need at least one")
    return shape


def stretches(array: Array) -> Iterator[tuple[int, Array]]:
    """Yield (number of the first row, consecutive rows as they lie in the file), so many that memory can hold them."""
    rows = max(1, min(CHUNK_ROWS, CHUNK_CELLS // array.shape[1]))
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    for start in range(0, len(array), rows):
        part = array[start : start + rows]
        yield start, part
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            _release(part, owner)


def _release(part: Array, owner: mmap.mmap) -> None:
    """Leave what was read to the system's cache: in our memory it would count as ours."""
    first = part.ctypes.data - np.frombuffer(owner, np.uint8).ctypes.data
    last = first + sum((n - 1) * stride for n, stride in zip(part.shape, part.strides, strict=True))
    first -= first % mmap.PAGESIZE
    owner.madvise(mmap.MADV_DONTNEED, first, last - first + part.itemsize)
