"""Reading an HDF5 group as plain data, whatever the file may contain."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import h5py

from mpo_snn.errors import GraphError

Tree = dict[str, Any]

# What h5py raises on damaged content: broken blocks and filters (OSError, RuntimeError), dangling
# references (KeyError), types without an equivalent in numpy (TypeError), names that are no UTF-8
# (ValueError), sizes that no memory holds (MemoryError).
_DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError)

MAX_DEPTH = 200
"""How deep groups may be nested; a subgraph takes two levels."""

_ONNX = (
    "it is an ONNX model, and a NIR file is expected: give the .nir or the run that it was made"
    " from; mpo-verify A B compares ONNX models too"
)
_HEAP = b"GCOL\x01\0\0\0"


def read_group(path: str | Path, name: str) -> Tree:
    """Return a group of an HDF5 file: groups as dictionaries, datasets as numpy values or text.

    Only what lies in the file itself, and is reached in one way, is read: links to elsewhere and
    groups that contain themselves are refused.

    Raises:
        GraphError: if the file is missing, no file, not readable, not HDF5, damaged, or has no
            such group.
    """
    path = Path(path)
    attempt = f"cannot read '{path}'"
    try:
        if not path.exists():
            raise GraphError(f"{attempt}: there is no such file")
        if not path.is_file():
            raise GraphError(f"{attempt}: it is not a file, expected a NIR file{_files_in(path)}")
        with path.open("rb"):
            pass
    except OSError as error:
        raise GraphError(f"{attempt}: {_reason(error)}") from error
    if not h5py.is_hdf5(path):
        told = _ONNX if path.suffix == ".onnx" else "it is not an HDF5 file"
        raise GraphError(f"{attempt}: {told}")
    if not _has_sound_heaps(path):
        raise GraphError(f"{attempt}: the file is truncated or damaged (its texts are)")
    try:
        with h5py.File(path, "r") as file:
            group = file.get(name)
            if not isinstance(group, h5py.Group):
                raise GraphError(f"it is an HDF5 file without the group {name!r} of a NIR graph")
            return _read(group, set())
    except GraphError as error:
        raise GraphError(f"{attempt}: {error}") from error
    except _DAMAGE as error:
        raise GraphError(
            f"{attempt}: the file is truncated or damaged ({_reason(error)})"
        ) from error


def _read(group: Any, seen: set[Any]) -> Tree:
    address = h5py.h5o.get_info(group.id).addr
    if address in seen:
        raise GraphError(f"the group {group.name!r} is linked more than once")
    if group.name.count("/") > MAX_DEPTH:
        raise GraphError(f"its groups are nested more than {MAX_DEPTH} deep")
    seen.add(address)
    tree: Tree = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise GraphError(f"{group.name + '/' + name!r} is a link to elsewhere, expected data")
        item = group[name]
        if isinstance(item, h5py.Group):
            tree[name] = _read(item, seen)
        elif isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise GraphError(f"the data of {item.name!r} lies in another file")
            value = item[()]
            tree[name] = value.decode("utf-8") if isinstance(value, bytes) else value
    return tree


def _has_sound_heaps(path: Path) -> bool:
    """Tell whether libhdf5 gets through the heaps that hold the texts.

    It follows the chain of objects in a global heap collection without a check of its own, and
    goes round for ever where damage lets the chain end early. A collection is "GCOL", version 1,
    three zeros, its size in 8 bytes; then objects of 16 + size bytes, the size in their bytes 8 to
    15, rounded up to 8; the last one, with index 0, is the free space and says its whole size.
    (HDF5 File Format Specification, version 3.0, III.E.)
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_HEAP)
        while at >= 0:
            (size,) = struct.unpack_from("<Q", data[at + 8 : at + 16].ljust(8, b"\0"))
            end = at + size
            if end > len(data):
                return False
            position = at + 16
            while position + 16 <= end:
                index, _, _, size = struct.unpack_from("<HHIQ", data, position)
                if index == 0 and size != end - position:
                    return False
                position += size if index == 0 else 16 + (size + 7) // 8 * 8
            at = data.find(_HEAP, at + 1)
    return True


def _files_in(folder: Path) -> str:
    """`; it holds a.nir, b.nir` for a folder with NIR files, or nothing."""
    names = sorted(path.name for path in folder.glob("*.nir")) if folder.is_dir() else []
    return f"; it holds {', '.join(names[:5])}{', ...' if names[5:] else ''}" if names else ""


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
