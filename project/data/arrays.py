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
    fortran_order: bool
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
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the path of an .npy file") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: not a regular file; give the path of an .npy file")
    with path.open("rb") as file:
        header = _read_header(path, file)
        size = file.seek(0, 2) - header.offset
    expected = math.prod(header.shape) * header.dtype.itemsize
    if size != expected:
        raise InputError(
            f"{path}: header says {header.shape} {header.dtype.name} = {expected} bytes of data, file has {size}; "
            "save the array again"
        )
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    order: Literal["C", "F"] = "F" if header.fortran_order else "C"
    array: Array = np.ndarray(header.shape, header.dtype, mapping, header.offset, order=order)
    return array


def _read_header(path: Path, file: BinaryIO) -> Header:
    """Read the head of an ``.npy`` file, format versions 1.0 to 3.0 (numpy.lib.format describes them)."""
    magic = file.read(8)
    if not magic:
        raise InputError(f"{path}: the file is empty; save an array with numpy.save")
    if magic.startswith(b"PK\x03\x04"):
        raise InputError(f"{path}: this is an .npz archive; save one array with numpy.save")
    if len(magic) < 8 or not magic.startswith(b"\x93NUMPY"):
        raise InputError(f"{path}: not an .npy file; save an array with numpy.save")
    version = magic[6], magic[7]
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise InputError(f"{path}: .npy format version {version[0]}.{version[1]} is not supported; need 1.0 to 3.0")
    width = 2 if version == (1, 0) else 4
    length_bytes = file.read(width)
    length = int.from_bytes(length_bytes, "little")
    if length > MAX_HEADER_BYTES:
        raise InputError(f"{path}: header too long ({length} bytes); need at most {MAX_HEADER_BYTES}")
    text = file.read(length)
    if len(length_bytes) < width or len(text) < length:
        raise InputError(f"{path}: the file ends inside its header; save the array again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SyntaxWarning)  # an odd escape in a damaged header is malformed too
            fields = ast.literal_eval(text.decode("utf-8" if version == (3, 0) else "latin1"))
        repr(fields)  # a number too long to print could not be named in a message either
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{path}: malformed header; save the array again") from error
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise InputError(f"{path}: malformed header (need descr, fortran_order and shape); save the array again")
    shape = _checked_shape(path, fields["shape"])
    if not isinstance(fields["fortran_order"], bool):
        raise InputError(
            f"{path}: malformed header (fortran_order {repr(fields['fortran_order'])[:40]}); save the array again"
        )
    return Header(_checked_dtype(path, fields["descr"]), shape, fields["fortran_order"], file.tell())


def _checked_dtype(path: Path, descr: object) -> np.dtype[np.generic]:
    if isinstance(descr, str) and descr[:1] in "<>|=" and descr[1:] in SUPPORTED:
        return np.dtype(descr)
    if isinstance(descr, str) and re.fullmatch(r"[<>|=]?O\d?", descr):
        raise InputError(f"{path}: holds Python objects (pickle), refused for safety; save an array of numbers")
    name = "structured" if isinstance(descr, list) else repr(descr)[:40]
    if isinstance(descr, str) and re.fullmatch(r"[<>|=](b1|c8|c16)", descr):
        name = np.dtype(descr).name
    raise InputError(f"{path}: dtype {name} is not supported; need float16/32/64 or an integer type")


def _checked_shape(path: Path, shape: object) -> tuple[int, int]:
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise InputError(f"{path}: malformed header (shape {str(shape)[:40]}); save the array again")
    if len(shape) != 2:
        remedy = f"reshape to {(*shape, 1)}" if len(shape) == 1 else "one row per example"
        raise InputError(f"{path}: shape {str(shape)[:40]} is {len(shape)}-D; need (N, j), e.g. {remedy}")
    if 0 in shape:
        raise InputError(f"{path}: shape {shape} has no {'rows' if shape[0] == 0 else 'columns'}; need at least one")
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
