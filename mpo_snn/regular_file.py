"""Opening a file that is to be read to its end, which a pipe or a device does not have."""

from __future__ import annotations

import errno
from io import BufferedReader
from pathlib import Path


def is_special(path: Path) -> bool:
    """Whether something lies there that is neither a file nor a folder: a pipe, a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def open_regular(path: str | Path) -> BufferedReader:
    """A file, open for reading from its beginning.

    Raises:
        OSError: if there is none, it may not be read, or a folder, pipe or device lies there; its
            `strerror` says which.
        ValueError: if no file can have such a path.
    """
    path = Path(path)
    if is_special(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.open("rb")
