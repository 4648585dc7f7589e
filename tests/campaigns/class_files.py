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
from pathlib import Path

import numpy as np

from project.data.checks import checked_rows
from project.data.npy import open_array
from project.errors import InputError, InputWarning
from tests.campaigns.summary import Summary, main

MAX_SECONDS, MAX_BYTES, MAX_MESSAGE = 5, 8 * 2**20, 1000  # The seconds are the processor's.

DTYPES = [order + kind + size for kind in "fiu" for size in "248" for order in "<>"] + ["|i1", "|u1"]
ODD_DTYPES = ["|b1", "<c8", "<f16", "|O", "O8", "<U3", "<M8[s]", "|V0", "f8", "=i4", "|f8", "<f3", "", "<", ">i16"]
ODD_DTYPES += ["<f8,<f8", "float64", "<f8 ", "(2,)<f8", "\\n<f8", "\\x1b[31m", "é", "O" * 200]
NUMBERS = ["-1", "0", "1", "2", "True", "None", "1.0", "1e9", "1j", "10L", "0x2", "1_0", "007", "--2", "~0", "''"]
NUMBERS += [*(str(2**bits + off) for bits in (31, 32, 63, 64) for off in (-1, 0)), "9" * 900, "0x" + "f" * 900]
SNIPPETS = [*NUMBERS, *"()[]{},:'\"\\#\n\r\t\f\0 L-*", "**", "'descr'", "'shape'", "'fortran_order'", "'more': 1"]
SNIPPETS += ["b'<f8'", "f'{1}'", "'\\d'", "'\\ud800'", "[('x', '<f8')]", "__import__('os')", "lambda: 0", "x := 1"]
SNIPPETS += ["...", "é", "\u0660", "(1,) * 9", "{1, 2}"]
EDITS = [(r"[<>|]\w\d", DTYPES), (r"[<>|]\w\d", DTYPES + ODD_DTYPES), (r"False|True", ["False", "True", *NUMBERS])]
EDITS += [(r"\d+", [str(n) for n in range(13)]), (r"\d+", NUMBERS), (r"\w+|[^\w ]", SNIPPETS)]
LENGTHS = [0, 118, 1023, 1024, 1025, 10_000, 65_535, 2**32 - 1]  # about what is accepted of a header
FOREIGN = [b"", b"1,2\n3,4\n", b"\x93NUMPY", b"PK\x03\x04" + bytes(60), bytes(200), pickle.dumps([1.0, 2.0])]


def assemble(text: bytes, body: bytes = b"", version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    """Return an ``.npy`` file of a given header, whatever that says, which claims to be of a length, or of its own."""
    width = 2 if version == (1, 0) else 4
    claimed = (len(text) if length is None else length) % 256**width
    return b"\x93NUMPY" + bytes(version) + claimed.to_bytes(width, "little") + text + body


def header(descr: str, fortran_order: object, shape: object) -> bytes:
    """Return the header that numpy.save writes; descr, unlike its, comes without quotes."""
    return f"{{'descr': '{descr}', 'fortran_order': {fortran_order}, 'shape': {shape}, }}".encode()


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


def rewrite(rng: random.Random, text: bytes) -> bytes:
    """Change one word of a header, its shape, or all of it: to noise, Python's words, or very many brackets."""
    pattern, replacements = rng.choice(EDITS)
    places = [match.span() for match in re.finditer(pattern.encode(), text)]
    start, end = rng.choice(places or [(0, 0)])
    edited = text[:start] + rng.choice(replacements).encode() + text[end:]
    lengths = rng.choices([str(rng.randint(0, 13)), *NUMBERS], k=rng.choice([0, 1, 2, 2, 3, 40]))
    reshaped = re.sub(rb"\(.*\)", f"({', '.join(lengths)},)".encode(), text)
    words = "".join(rng.choice(SNIPPETS) for _ in range(rng.randint(0, 20))).encode()
    deep = text.replace(b"(", rng.choice("([{-~+'").encode() * rng.choice([50, 199, 880]) + b"(", 1)
    return rng.choice([edited] * 6 + [reshaped] * 2 + [words, deep, rng.randbytes(rng.randint(0, 200))])


def class_file(seed: int, number: int) -> tuple[bytes, bool]:
    """Return one file, and whether it is certainly valid: as numpy writes any supported dtype, order and version."""
    rng = random.Random(seed << 40 | number)  # noqa: S311 - nothing to keep secret
    dtype, shape = np.dtype(rng.choice(DTYPES)), (rng.randint(1, 12), rng.randint(1, 4))
    whole = np.array(rng.choices(range(100), k=shape[0] * shape[1])).astype(dtype)
    values = (whole if rng.random() < 0.5 else np.frombuffer(rng.randbytes(whole.nbytes), dtype)).reshape(shape)
    version, file = rng.choice([(1, 0), (2, 0), (3, 0)]), io.BytesIO()
    np.lib.format.write_array(file, values if rng.random() < 0.5 else np.asfortranarray(values), version)
    data, kind = file.getvalue(), rng.random()
    if kind < 0.2:
        return data, True
    if kind < 0.3:
        return rng.choice([*FOREIGN, *[flip(rng, data)] * 5, splice(rng, data)]), False
    text, body, length = data[10 if version == (1, 0) else 12 : -values.nbytes], data[-values.nbytes :], None
    for part in rng.choices(["text"] * 6 + ["padding", "body", "length", "version"], k=rng.choice([1, 1, 1, 2, 3])):
        if part == "text":
            text = rng.choice([rewrite, rewrite, rewrite, flip, splice])(rng, text)
        elif part == "padding":
            text = text.ljust(rng.choice(LENGTHS[:-1]))
        elif part == "body":
            body = rng.choice([flip, splice])(rng, body)
        elif part == "length":
            length = rng.choice([len(text) + rng.randint(-16, 16), rng.choice(LENGTHS), rng.randrange(2**32)])
        else:
            version = (rng.randint(0, 4), rng.choice([0, 0, 0, 1, 255]))
    return assemble(text, body, version, length), False


def examine(path: Path, valid: bool) -> str:
    """Return whether a file was read or refused; an error says what was wrong about that."""
    tracemalloc.start()
    start, array, refusal = time.thread_time(), None, ""
    try:
        array = open_array(path)
    except InputError as error:
        refusal = str(error)
    assert time.thread_time() - start <= MAX_SECONDS
    assert tracemalloc.get_traced_memory()[1] <= MAX_BYTES
    tracemalloc.stop()
    if array is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = np.load(path, allow_pickle=False)
            finite = np.isfinite(expected.astype(np.float32)).all()
            assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
            assert b"".join(part.tobytes() for _, part in array.stretches()) == expected.tobytes()
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", InputWarning)
            try:
                values = np.concatenate([part for _, part in checked_rows(array)])
                np.testing.assert_array_equal(values, expected.astype(values.dtype))
            except InputError as error:
                valid, refusal = False, str(error)
        assert finite == (not refusal)
    assert not (valid and refusal), refusal
    assert refusal.isprintable(), refusal
    assert len(refusal) <= MAX_MESSAGE, refusal
    return "refused" if array is None else "read"


def run(files: int, seconds: float, seed: int, first: int = 0) -> Summary:
    """Examine files of a seed, from number first on, until there are enough or the time is over."""
    summary = Summary("class files")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "class_0.npy"
        for number in range(first, first + files):
            if summary.seconds > seconds:
                break
            data, valid = class_file(seed, number)
            path.write_bytes(data)
            try:
                summary.counts[examine(path, valid)] += 1
            except Exception as error:
                summary.failures.append(f"file {number}: {type(error).__name__}: {str(error)[:200]!r}")
    return summary


if __name__ == "__main__":
    main(run, files=1_000_000, seconds=600.0, seed=0, first=0)
