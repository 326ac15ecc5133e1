"""Columns and metadata of Parquet files that hold something else than images and labels."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import Dataset
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError


def picture(kind: str = "PNG", side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(3 * side * side, dtype=np.uint8).reshape(side, side, 3)).save(
        stream, kind
    )
    return stream.getvalue()


def write(path: Path, image: Any = None, label: Any = None, classes: Any = None) -> None:
    image = [picture()] * 4 if image is None else image
    table = pyarrow.table({"image": image, "label": [0, 1, 0, 1] if label is None else label})
    if classes is not None:
        table = table.replace_schema_metadata({"classes": json.dumps(classes)})
    pyarrow.parquet.write_table(table, path)


def load(folder: Path, name: str = "archive") -> Dataset:
    return load_dataset(DataSettings(name, str(folder)))


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": ["a.png"] * 4}, "column image is string, allowed is binary, or a struct whose"),
        ({"image": [{"path": "x"}] * 4}, "column image is struct<path: string>, allowed is binary"),
        ({"image": [[picture()]] * 4}, "column image is list<"),
        ({"label": [0, None, 1, None]}, "column label has 2 rows without a label, the first is ro"),
        ({"label": pyarrow.array([None] * 4)}, "4 rows without a label, the first is row 0."),
        (
            {"label": pyarrow.array([0, 1, 0, 2**64 - 1], pyarrow.uint64())},
            "1 labels beyond 2**63 - 1, the first is 18446744073709551615 of sample 3.",
        ),
    ],
)
def test_columns_of_something_else(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", **columns)
    write(tmp_path / "test.parquet")
    assert message in refused(tmp_path) and "\n" not in refused(tmp_path)


def test_both_columns_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", image=[1] * 4, label=["a"] * 4)
    write(tmp_path / "test.parquet")
    message = refused(tmp_path)
    assert "column image is int64" in message and "column label is string, not whole" in message


@pytest.mark.parametrize("kind", ["binary", "large_binary", "binary_view", "dictionary"])
def test_bytes_in_whatever_type_of_column(kind: str, tmp_path: Path) -> None:
    rows = pyarrow.array([picture()] * 4)
    rows = rows.dictionary_encode() if kind == "dictionary" else rows.cast(getattr(pyarrow, kind)())
    for name in ("train", "test"):
        write(tmp_path / f"{name}.parquet", image=rows)
    expected = np.arange(192, dtype=np.uint8).reshape(8, 8, 3).transpose(2, 0, 1)
    assert np.array_equal((load(tmp_path).train_x[:][3] * 255).round().numpy(), expected)


def test_a_name_of_a_column_that_is_no_text(tmp_path: Path) -> None:
    write(tmp_path / "test.parquet")
    table = pyarrow.table({"image": [picture()], "label": [0], "XXXX": [1]})
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, store_schema=False)
    (tmp_path / "train.parquet").write_bytes(sink.getvalue().replace(b"XXXX", b"h\xf6he"))
    assert "train.parquet': it is damaged ('utf-8' codec can't decode" in refused(tmp_path)


def test_names_nested_too_deep(tmp_path: Path) -> None:
    write(tmp_path / "test.parquet")
    table = pyarrow.table({"image": [picture()], "label": [0]})
    deep = {"classes": "[" * 100_000 + "]" * 100_000}
    pyarrow.parquet.write_table(table.replace_schema_metadata(deep), tmp_path / "train.parquet")
    assert "key classes of its schema's metadata is no list of names" in refused(tmp_path)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (["dog", "cat"], "class 0 is 'dog' instead of 'cat'"),
        (["cat", "dog", "emu"], "3 instead of 2"),
    ],
)
def test_parts_that_name_their_classes_otherwise(
    second: list[str], message: str, tmp_path: Path
) -> None:
    first, other = (tmp_path / f"train-0000{k}-of-00002.parquet" for k in (0, 1))
    write(first, classes=["cat", "dog"])
    write(other, classes=second)
    write(tmp_path / "test.parquet", classes=["cat", "dog"])
    assert (
        f"cannot use '{other}': its labels are of other classes than those of '{first}', {message};"
        in refused(tmp_path)
    )


def test_names_in_a_later_part_alone_count(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet")
    write(tmp_path / "train-00001-of-00002.parquet", classes=["cat", "dog"])
    write(tmp_path / "test.parquet")
    assert load(tmp_path).class_names == ("cat", "dog")


def test_one_lossy_row_makes_a_title_lossy(tmp_path: Path) -> None:
    rows = [picture("PNG", 32)] * 3
    write(tmp_path / "train.parquet", image=[*rows, picture("JPEG", 32)])
    write(tmp_path / "test.parquet", image=[*rows, rows[0]])
    with_jpeg = DataSettings("cifar10", str(tmp_path), validation=2)
    assert load_dataset(with_jpeg).title == "CIFAR-10 (JPEG q75)"
    assert load_dataset(DataSettings("cifar10", str(tmp_path)), train=False).title == "CIFAR-10"
