"""What the arrays of an .npz say of themselves, before any of their values is read.

An entry of a few bytes can claim values that no memory holds. What it claims is therefore held
against the size of the entry, and that against the bytes that the archive has for it.
"""

from __future__ import annotations

import io
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mpo_snn.errors import DataError
from mpo_snn.regular_file import open_regular
from mpo_snn.short_text import short

LONGEST_HEADER = 10_000
"""Bytes, as NumPy takes them."""
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_MOST_INFLATED = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
"""Bytes that one byte stands for at most, by the methods that NumPy writes."""
_NO_HEADER = (
    ValueError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,  # of the parser
    OverflowError,
)
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


@dataclass(frozen=True)
class ArrayHeader:
    """What an array says of itself.

    Attributes:
        dtype: of its values.
        shape: of the array; nothing is wrong with it but that it may have any number of axes of
            any length.
    """

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        """How many."""
        return math.prod(self.shape)


@contextmanager
def open_npz(path: Path, what: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive of NumPy's.

    Args:
        path: of the archive.
        what: what messages call it, e.g. `recording`.

    Raises:
        DataError: if it cannot be read, or is no archive.
    """
    attempt = f"cannot read the {what} '{path}'"
    try:
        stream = open_regular(path)
    except FileNotFoundError as error:
        raise DataError(f"{attempt}: there is no such file.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{attempt}: {_reason(error)}.") from error
    with stream:
        try:
            is_single = stream.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX
            archive = None if is_single else zipfile.ZipFile(stream)
        except _DAMAGE as error:
            raise DataError(
                f"{attempt}: it is no archive, or it is damaged ({_reason(error)}). Write it with"
                " np.savez."
            ) from error
        if archive is None:
            raise DataError(f"{attempt}: it is a single array, an .npy. Write it with np.savez.")
        with archive:
            yield archive


def entries_of(archive: zipfile.ZipFile) -> dict[str, list[zipfile.ZipInfo]]:
    """The entries of each array by its name: more than one where an array is there twice."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for entry in archive.infolist():
        found.setdefault(entry.filename.removesuffix(".npy"), []).append(entry)
    return found


def read_header(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> ArrayHeader:
    """What an array says of itself; of its values none is read.

    Args:
        archive: what it lies in.
        name: of the array.
        entry: that holds it.

    Raises:
        DataError: if it is no array of numbers or bool, or claims more or fewer values than there
            are; one line that begins with its name.
    """
    _check_entry(archive, name, entry)
    try:
        with archive.open(entry) as stream:
            start = io.BytesIO(stream.read(len(npy.MAGIC_PREFIX) + 6 + LONGEST_HEADER))
    except _DAMAGE as error:
        raise DataError(f"{quoted(name)} is damaged ({_reason(error)}).") from error
    if not start.getvalue().startswith(npy.MAGIC_PREFIX):
        raise DataError(f"{quoted(name)} is no array of NumPy's: write it with np.savez.")
    try:
        with warnings.catch_warnings():  # of texts in the header
            warnings.simplefilter("ignore")
            version = npy.read_magic(start)
            if version not in _READERS:
                raise ValueError(f"its format is {version[0]}.{version[1]}, allowed are 1.0, 2.0")
            shape, _, dtype = _READERS[version](start)
        if any(isinstance(length, bool) for length in shape):
            raise ValueError(f"its shape is {shape}")
    except _NO_HEADER as error:
        raise DataError(f"{quoted(name)} has a damaged header ({_reason(error)}).") from error
    header = ArrayHeader(dtype, shape)
    if dtype.kind not in "biuf":
        raise DataError(f"{quoted(name)} is {short(str(dtype))}, allowed are numbers and bool.")
    stored, claimed = entry.file_size - start.tell(), header.values * dtype.itemsize
    if stored != claimed and min(shape, default=1) > 0:
        raise DataError(
            f"{quoted(name)} claims shape {short(str(shape))} of {dtype}, {short(str(claimed))}"
            f" bytes of values, but holds {stored}: allowed is a shape that its values fill."
        )
    return header


def read_values(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> NDArray[np.generic]:
    """The values of an array that `read_header` had nothing against; no code in it is run.

    Raises:
        DataError: if they are damaged; one line that begins with the array's name.
    """
    try:
        with warnings.catch_warnings(), archive.open(entry) as stream:
            warnings.simplefilter("ignore")
            values: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(f"{quoted(name)} is damaged ({_reason(error)}).") from error
    return values


def memory_of_machine() -> float:
    """Bytes; infinite where the system does not say."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return math.inf
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def quoted(name: str) -> str:
    """A name out of a file, in quotes: one line, however it was made."""
    return repr(short(name))


def _check_entry(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> None:
    """Refuse what NumPy does not write, and sizes that the archive has no bytes for."""
    if entry.flag_bits & 1:
        raise DataError(f"{quoted(name)} is encrypted: write it with np.savez.")
    most = _MOST_INFLATED.get(entry.compress_type)
    if most is None:
        raise DataError(
            f"{quoted(name)} is compressed by method {entry.compress_type}, allowed are those of"
            " np.savez and np.savez_compressed."
        )
    there = _size(archive)
    if entry.compress_size > there or entry.file_size > most * entry.compress_size:
        raise DataError(
            f"{quoted(name)} claims {entry.file_size} bytes, but its {entry.compress_size} bytes in"
            f" an archive of {there} hold {most * min(entry.compress_size, there)} at most."
        )


def _size(archive: zipfile.ZipFile) -> int:
    stream = archive.fp
    return 0 if stream is None else os.fstat(stream.fileno()).st_size


def _reason(error: BaseException) -> str:
    """Why, in a line that does not fill the screen."""
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return short(" ".join(text.split()))
