"""Damaged class files without end: each is read exactly as numpy reads it, or refused in one line.

    python -m tests.campaigns.class_files --files 1000000 --seconds 600 --seed 0

File number n of a seed is always the same; ``--first n --files 1`` looks at it alone.
"""

import io
import pickle
import random
import re
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from project.data.checks import checked_rows
from project.data.npy import ArrayFile, open_array
from project.errors import InputError, InputWarning
from tests.campaigns.summary import Summary, main

MAX_SECONDS = 0.1
MAX_BYTES = 64 * 2**20
MAX_MESSAGE = 1000

DTYPES = [order + kind + size for kind in "fiu" for size in "248" for order in "<>"] + ["|i1", "|u1"]
ODD_DTYPES = [
    *("|b1", "<c8", "<c16", "<f16", "|O", "O8", "<U3", "|S4", "<M8[s]", "<m8", "|V4", "|V0", "f8", "=i4", "|f8", "<f3"),
    *("", "<", ">i16", "<f8,<f8", "float64", "<f8 ", "<F8", "(2,)<f8", "\\n<f8", "\\x1b[31m", "\u00e9", "O" * 200),
]
NUMBERS = [
    *(
        "-1",
        "0",
        "1",
        "2",
        "3",
        "True",
        "None",
        "1.0",
        "1e9",
        "1j",
        "10L",
        "0x2",
        "1_0",
        "007",
        "+2",
        "--2",
        "~0",
        "''",
    ),
    *("2147483648", "4294967296", "9223372036854775807", "18446744073709551616", str(10**30), "9" * 4000, "9" * 4400),
    *("-9223372036854775809", "0x" + "f" * 40, "0x" + "f" * 4000, "-0x" + "f" * 4000, "0b" + "1" * 200),
]
SNIPPETS = [
    *NUMBERS,
    *"()[]{},:'\"\\#\n\r\t\f\0 L-*",
    *("**", "'descr'", "'shape'", "'fortran_order'", "'more': 1", "b'<f8'", "f'{1}'", "'\\d'", "'\\ud800'"),
    *("[('x', '<f8')]", "__import__('os')", "lambda: 0", "1 if 1 else 2", "x := 1", "...", "\u00e9", "\u0660"),
    *("(1,) * 9", "set()", "{1, 2}"),
]


@dataclass
class Npy:
    """The parts of an ``.npy`` file."""

    magic: bytes
    text: bytes
    body: bytes
    length: int | None = None  # what the file says of its header's length; None is the truth

    def assemble(self) -> bytes:
        width = 2 if self.magic[6:] == b"\x01\x00" else 4
        length = len(self.text) if self.length is None else self.length
        return self.magic + (length % 256**width).to_bytes(width, "little") + self.text + self.body


def npy(text: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """Return an ``.npy`` file with a given header text, whatever that says."""
    return Npy(b"\x93NUMPY" + bytes(version), text.encode("utf-8" if version == (3, 0) else "latin1"), body).assemble()


def header(descr: str, fortran_order: object, shape: object) -> str:
    """Return the header text that numpy.save writes; descr, unlike its, comes without quotes."""
    return f"{{'descr': '{descr}', 'fortran_order': {fortran_order}, 'shape': {shape}, }}"


def valid_file(rng: random.Random) -> Npy:
    """Return a file as numpy.lib.format writes it, of any supported dtype, order, version and small shape."""
    dtype, shape = np.dtype(rng.choice(DTYPES)), (rng.randint(1, 12), rng.randint(1, 4))
    if rng.random() < 0.5:
        values = np.frombuffer(rng.randbytes(shape[0] * shape[1] * dtype.itemsize), dtype).reshape(shape)
    else:
        values = np.array([rng.randint(0, 99) for _ in range(shape[0] * shape[1])]).reshape(shape).astype(dtype)
    file = io.BytesIO()
    version = rng.choice([(1, 0), (2, 0), (3, 0)])
    np.lib.format.write_array(file, values if rng.random() < 0.5 else np.asfortranarray(values), version)
    data = file.getvalue()
    width = 2 if version == (1, 0) else 4
    end = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    return Npy(data[:8], data[8 + width : end], data[end:])


def flip(rng: random.Random, data: bytes) -> bytes:
    """Change one to eight bits or bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        place = rng.randrange(len(changed))
        changed[place] = rng.randrange(256) if rng.random() < 0.5 else changed[place] ^ 1 << rng.randrange(8)
    return bytes(changed)


def splice(rng: random.Random, data: bytes) -> bytes:
    """Cut off, take out, put in or repeat some bytes."""
    start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    new = rng.choice([b"", data[start:end] * 2, rng.randbytes(rng.randint(1, 20)), rng.choice(SNIPPETS).encode()])
    return data[:start] + new + (data[end:] if rng.random() < 0.7 else b"")


def edit(rng: random.Random, text: bytes, pattern: str, replacements: list[str]) -> bytes:
    """Change one place where a pattern matches."""
    places = [match.span() for match in re.finditer(pattern.encode(), text)]
    start, end = rng.choice(places) if places else (0, 0)
    return text[:start] + rng.choice(replacements).encode() + text[end:] if places else text


def reshape(rng: random.Random, text: bytes) -> bytes:
    """Claim a shape of any number of dimensions, of small or huge lengths."""
    dimensions = range(rng.choice([0, 1, 2, 2, 2, 3, 40]))
    lengths = [rng.choice([str(rng.randint(0, 13)), rng.choice(NUMBERS)]) for _ in dimensions]
    return re.sub(rb"\(.*\)", f"({', '.join(lengths)},)".encode(), text)


def random_text(rng: random.Random, text: bytes) -> bytes:
    """Write a header of noise, of Python's words, or of ten thousand brackets."""
    words = "".join(rng.choice(SNIPPETS) for _ in range(rng.randint(0, 20))).encode()
    deep = rng.choice("([{-~+'").encode() * rng.choice([50, 199, 5000, 9900])
    return rng.choice([rng.randbytes(rng.randint(0, 200)), words, deep, text.replace(b"(", deep + b"(", 1)])


def restyle(rng: random.Random, text: bytes) -> bytes:
    """Say the same in other characters."""
    descr, order, shape = re.findall(rb"'descr': (.*?), 'fortran_order': (.*?), 'shape': (\(.*?\))", text)[0]
    items = [(b"descr", descr), (b"fortran_order", order), (b"shape", shape)]
    rng.shuffle(items)
    quote, gap = rng.choice([b"'", b'"']), rng.choice([b"", b" ", b"\n", b"\t\n  "])
    return b"{" + b",".join(gap + quote + key + quote + gap + b":" + gap + value for key, value in items) + b"}"


EDITS = [(r"[<>|]\w\d", DTYPES), (r"[<>|]\w\d", DTYPES + ODD_DTYPES), (r"False|True", ["False", "True", *NUMBERS])]
EDITS += [(r"\d+", [str(n) for n in range(13)]), (r"\d+", NUMBERS), (r"\w+|[^\w ]", SNIPPETS)]
LENGTHS = [9_990, 9_999, 10_000, 10_001, 20_000, 65_535]  # about what numpy accepts of a header
CHANGES: list[tuple[str, Callable[[random.Random, Npy], Any]]] = [
    *[("body", lambda rng, file: flip(rng, file.body))] * 2,
    ("body", lambda rng, file: splice(rng, file.body)),
    (
        "length",
        lambda rng, file: rng.choice([0, len(file.text) + rng.randint(-16, 16), *LENGTHS, rng.randrange(2**32)]),
    ),
    ("magic", lambda rng, file: file.magic[:6] + bytes([rng.randint(0, 4), rng.choice([0, 0, 0, 1, 255])])),
    ("text", lambda rng, file: file.text.ljust(rng.choice(LENGTHS))),
    *[("text", lambda rng, file, f=f: f(rng, file.text)) for f in (flip, splice, reshape, random_text)],
    *[("text", lambda rng, file, change=change: edit(rng, file.text, *change)) for change in EDITS],
]
FOREIGN = [b"", b"x", b"1,2\n3,4\n", b"\x93NUMPY", b"PK\x03\x04" + bytes(60), b"PK\x05\x06", bytes(200)]
FOREIGN += [pickle.dumps([1.0, 2.0])]


def class_file(seed: int, number: int) -> tuple[bytes, bool]:
    """Return one file, and whether it is certainly valid."""
    rng = random.Random(seed << 40 | number)  # noqa: S311 - nothing to keep secret
    file = valid_file(rng)
    kind = rng.random()
    if kind < 0.01:
        return rng.choice(FOREIGN), False
    if kind < 0.2:
        if kind < 0.1:
            file.text = restyle(rng, file.text)
        return file.assemble(), True
    if kind < 0.3:
        return rng.choice([flip, splice])(rng, file.assemble()), False
    for part, change in rng.choices(CHANGES, k=rng.choice([1, 1, 1, 2, 3])):
        setattr(file, part, change(rng, file))
    return file.assemble(), False


@dataclass
class Files(Summary):
    """What became of the files, and what the worst of them took."""

    slowest: float = 0.0  # seconds
    largest: int = 0  # bytes, at the most, in use at once for one file

    @property
    def read(self) -> int:
        return self.counts["read"]

    @property
    def refused(self) -> int:
        return self.counts["refused"]


def misread(path: Path, array: ArrayFile) -> str | None:
    """Compare an array with what numpy reads, and the judgement of its values with what numpy computes."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = np.load(path, allow_pickle=False)
        finite = bool(np.isfinite(expected.astype(np.float32)).all())
    if (array.dtype, array.shape) != (expected.dtype, expected.shape):
        return f"{array.dtype} {array.shape} instead of {expected.dtype} {expected.shape}"
    if b"".join(part.tobytes() for _, part in array.stretches()) != expected.tobytes():
        return "other bytes than numpy's"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", InputWarning)
            values = np.concatenate([part for _, part in checked_rows(array)])
    except InputError as error:
        return f"finite values refused: {error}" if finite else unfit(error)
    if not finite:
        return "values accepted that are not finite in float32"
    return None if np.array_equal(values, expected.astype(values.dtype)) else "other values than numpy's"


def unfit(error: InputError) -> str | None:
    """Return what is wrong with a message that is to be one line on a terminal."""
    message = str(error)
    return None if message.isprintable() and len(message) <= MAX_MESSAGE else f"message {message[:200]!r}"


def examine(path: Path, valid: bool, summary: Files) -> str | None:
    """Look at one file, count it, and return what is wrong with the way it was treated."""
    result: ArrayFile | Exception
    seconds = MAX_SECONDS
    for _ in range(2):
        if seconds < MAX_SECONDS:  # Otherwise another process may have slowed it.
            break
        tracemalloc.start()
        start = time.perf_counter()
        try:
            result = open_array(path)
        except Exception as error:
            result = error
        seconds = time.perf_counter() - start
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    summary.slowest, summary.largest = max(summary.slowest, seconds), max(summary.largest, memory)
    summary.counts["read" if isinstance(result, ArrayFile) else "refused"] += 1
    if seconds > MAX_SECONDS or memory > MAX_BYTES:
        return f"took {seconds:.3f} s and {memory} bytes"
    if isinstance(result, InputError):
        return f"valid file refused: {result}" if valid else unfit(result)
    try:
        return misread(path, result) if isinstance(result, ArrayFile) else f"{type(result).__name__}: {result}"[:200]
    except Exception as error:
        return f"read, but {type(error).__name__}: {str(error)[:200]}"


def run(files: int, seconds: float, seed: int, first: int = 0) -> Files:
    """Examine files of a seed, from number first on, until there are enough or the time is over."""
    summary = Files("class files")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "class_0.npy"
        with path.open("wb", buffering=0) as file:  # kept open: some file systems are slow to empty a file
            for number in range(first, first + files):
                if summary.seconds > seconds:
                    break
                data, valid = class_file(seed, number)
                file.seek(0)
                file.truncate(file.write(data))
                if failure := examine(path, valid, summary):
                    summary.failures.append(f"file {number}: {failure}")
    summary.title += f", slowest {summary.slowest * 1000:.1f} ms, at most {summary.largest / 2**20:.2f} MB"
    return summary


if __name__ == "__main__":
    main(run, files=1_000_000, seconds=600.0, seed=0, first=0)
