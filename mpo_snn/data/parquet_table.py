"""One Parquet file of encoded images: its columns, and the class names in its schema's metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpo_snn.data.label_range import beyond_int64
from mpo_snn.errors import DataError

_IMAGE, _LABEL = ("image", "img"), ("label", "fine_label")


@dataclass(frozen=True)
class ImageTable:
    """What one file holds.

    Attributes:
        path: of the file.
        encoded: an image for each of N rows; None where a row has none.
        labels: int64, (N,); not checked.
        classes: names of the classes; empty where the file does not say.
    """

    path: Path
    encoded: list[bytes | None]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def read_table(path: Path) -> ImageTable:
    """The images of a file.

    Columns are `image` and `label`, or `img` and `fine_label` as the Hugging Face Hub has them for
    CIFAR; its structs of bytes and path are taken as images too. Class names are those of key
    `classes`, a list in JSON, or of a ClassLabel in `huggingface`.

    Raises:
        DataError: if it is damaged, or its columns hold something else.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        names = schema.names
        image, label = (_column(names, wanted) for wanted in (_IMAGE, _LABEL))
        wanted = [name for name in (image, label) if name is not None]
        table = pyarrow.parquet.read_table(path, columns=wanted) if len(wanted) == 2 else None
        columns = None if table is None else (table[image], table[label])
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"cannot read '{path}': it is damaged ({reason[:120]}).") from error
    if columns is None:
        absent = [
            " or ".join(known)
            for known, column in ((_IMAGE, image), (_LABEL, label))
            if column is None
        ]
        raise DataError(
            f"cannot use '{path}': it has no column {', nor '.join(absent)}; it has"
            f" {', '.join(names)}."
        )
    wrong = [
        *_wrong_images(f"column {image}", columns[0].type),
        *_wrong_labels(f"column {label}", columns[1]),
    ]
    if wrong:
        raise DataError(
            f"cannot use '{path}'" + (f": {wrong[0]}" if len(wrong) == 1 else ""),
            [f"'{path}': {one}" for one in wrong] if len(wrong) > 1 else [],
        )
    rows = columns[0].to_pylist()
    rows = [row.get("bytes") if isinstance(row, dict) else row for row in rows]
    labels = columns[1].to_numpy().astype(np.int64)
    return ImageTable(path, rows, labels, _classes(path, schema.metadata or {}, str(label)))


def _column(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _wrong_images(column: str, kind: Any) -> list[str]:
    """What keeps a column of this type from holding images."""
    from pyarrow import types

    inner = kind
    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        inner = kind.field(place).type if place >= 0 else None
    if inner is not None and types.is_dictionary(inner):
        inner = inner.value_type
    are_bytes = inner is not None and any(
        is_kind(inner)
        for is_kind in (
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
            types.is_fixed_size_binary,
            types.is_null,
        )
    )
    if are_bytes:
        return []
    shown = str(kind)
    return [
        f"{column} is {shown[:80]}, allowed is binary, or a struct whose field bytes is: each row"
        " an encoded image."
    ]


def _wrong_labels(column: str, labels: Any) -> list[str]:
    """What keeps a column from holding labels."""
    from pyarrow import types

    if labels.null_count:
        first = labels.is_null().index(True).as_py()
        return [f"{column} has {labels.null_count} rows without a label, the first is row {first}."]
    kind = labels.type.value_type if types.is_dictionary(labels.type) else labels.type
    if not types.is_integer(kind) and len(labels):
        return [f"{column} is {kind}, not whole numbers."]
    beyond = beyond_int64(labels.to_numpy()) if types.is_integer(kind) else ""
    return [f"{column} has {beyond}."] if beyond else []


def _classes(path: Path, metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """The names in the metadata of a schema; empty where it has none."""
    if b"classes" in metadata:
        names = _json(metadata[b"classes"])
        if not isinstance(names, list):
            raise DataError(
                f"cannot use '{path}': key classes of its schema's metadata is no list of names in"
                ' JSON, such as ["cat", "dog"].'
            )
        return tuple(map(str, names))
    found = _json(metadata.get(b"huggingface", b"{}"))
    for key in ("info", "features", label, "names"):
        found = found.get(key) if isinstance(found, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _json(text: bytes) -> Any:
    """The value, None where the text is no JSON, or is nested too deep to be read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
