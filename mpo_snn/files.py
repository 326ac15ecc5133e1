"""Writing a file so that a kill or a full disk leaves the old or the new one, never half of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpo_snn.errors import OutputError

NIR_SUFFIXES = (".nir", ".h5", ".hdf5")
"""Of files that hold a NIR graph."""


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Yield a scratch file beside `path`; on success it becomes `path`, on failure it vanishes.

    The content is flushed to the disk before the rename, and the folder after it, so that the
    rename survives a power cut. A link stays a link: the file that it leads to is replaced.

    Raises:
        OutputError: if the folder is missing, the disk refuses (full, read-only, not allowed), or
            `path` is a folder or a device.
    """
    path = _file_to_replace(path)
    scratch: Path | None = None
    outcome = "Nothing was changed."
    try:
        scratch = _scratch_beside(path)
        yield scratch
        _flush(scratch)
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
        outcome = "The new file is there, but might not survive a power cut."
        _flush(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {_reason(error)}. {outcome}") from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def check_file(path: str | Path) -> None:
    """Refuse, before anything is computed, a file that could not be written now.

    Raises:
        OutputError: as `replace_file`.
    """
    path = _file_to_replace(path)
    try:
        _scratch_beside(path).unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write '{path}': {_reason(error)}. Nothing was changed."
        ) from error


def _file_to_replace(path: str | Path) -> Path:
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        found = "Is a directory" if path.is_dir() else "not a regular file"
        raise OutputError(f"cannot write '{path}': {found}. Nothing was changed.")
    return path


def _scratch_beside(path: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    return Path(name)


def write_file(path: str | Path, content: bytes | str) -> None:
    """Write `content` to `path` as a whole or not at all (see `replace_file`)."""
    data = content.encode() if isinstance(content, str) else content
    with replace_file(path) as scratch:
        scratch.write_bytes(data)


def make_folder(path: str | Path) -> Path:
    """Create a folder with its parents.

    Raises:
        OutputError: if it cannot be created.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the folder '{path}': {_reason(error)}.") from error
    return path


def delete_file(path: str | Path) -> None:
    """Delete a file, if it is there.

    Raises:
        OutputError: if the disk refuses.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot delete '{path}': {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    """The system's short words: those that HDF5 passes on run over two lines."""
    return os.strerror(error.errno) if error.errno else " ".join(str(error).split())


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
