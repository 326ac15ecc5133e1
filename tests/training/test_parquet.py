"""Parquet files of encoded images: as one writes them, and as the Hugging Face Hub has them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from mpo_snn.data import load_dataset
from mpo_snn.data.known import KNOWN
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError


def images(n: int, shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def encoded(pixels: Any, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **({"quality": 75} if kind == "JPEG" else {}))
    return stream.getvalue()


def write_parquet(folder: Path, kind: str = "PNG", classes: Any = None, **rows: Any) -> str:
    """Two files of ten classes, 32x32; `rows` replaces columns of the test split."""
    for seed, name in enumerate(("train", "test")):
        pixels = images(20, (32, 32, 3), seed)
        table: dict[str, Any] = {
            "image": [encoded(p, kind) for p in pixels],
            "label": [k % 10 for k in range(20)],
        }
        if name == "test":
            table |= rows
        arrow = pyarrow.table(table)
        if classes is not None:
            arrow = arrow.replace_schema_metadata({"classes": classes})
        pyarrow.parquet.write_table(arrow, folder / f"{name}.parquet")
    return str(folder)


def write_hub(
    folder: Path, pixels: Any, names: Sequence[str], parts: int = 1, columns: str = "image label"
) -> None:
    """Both splits as `datasets` 4 writes them: structs of bytes and path, features as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    image, label = columns.split()
    features = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split, count in (("train", parts), ("test", 1)):
        for part, rows in enumerate(np.array_split(np.arange(len(pixels)), count)):
            table = pyarrow.table(
                {
                    image: [{"bytes": encoded(pixels[k]), "path": None} for k in rows],
                    label: [int(k) % len(names) for k in rows],
                    "coarse_label": [0] * len(rows),
                }
            ).replace_schema_metadata(metadata)
            pyarrow.parquet.write_table(
                table, folder / f"{split}-{part:05d}-of-{count:05d}.parquet"
            )


def refused(path: str | Path, name: str = "archive") -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(DataSettings(name, str(path)), 4)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_images_and_their_honest_name(kind: str, tmp_path: Path) -> None:
    data = load_dataset(DataSettings("cifar10", write_parquet(tmp_path, kind)))
    assert data.title == ("CIFAR-10" if kind == "PNG" else "CIFAR-10 (JPEG q75)")
    pixels = images(20, (32, 32, 3), 1)[4].transpose(2, 0, 1) / 255
    difference = (data.test_x[[4]][0] - torch.from_numpy(pixels).float()).abs()
    assert difference.max() == 0 if kind == "PNG" else 0 < difference.mean() < 0.3


def test_own_archive_has_the_name_of_its_folder_and_its_classes(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    names = [f"face {k}" for k in range(10)]
    data = load_dataset(DataSettings("archive", write_parquet(folder, "JPEG", json.dumps(names))))
    assert data.description == "faces, test split"
    assert data.class_names == tuple(names)


@pytest.mark.parametrize("below", ["", "plain_text"])
def test_cifar_as_the_hub_has_it(below: str, tmp_path: Path) -> None:
    """Numbered parts, in the folder itself or in that of their configuration."""
    pixels = images(25, (32, 32, 3))
    write_hub(tmp_path / below, pixels, KNOWN["cifar10"].classes, 3, "img label")
    data = load_dataset(DataSettings("cifar10", str(tmp_path)))
    expected = torch.from_numpy(pixels.transpose(0, 3, 1, 2)) / 255
    assert data.title == "CIFAR-10"
    assert torch.equal(data.train_x[:], expected) and torch.equal(data.test_x[:], expected)
    assert data.train_y.tolist() == [k % 10 for k in range(25)]


def test_classes_that_a_copy_spells_otherwise(tmp_path: Path) -> None:
    """The Hub's CIFAR-100 has a `cra`, its Fashion-MNIST a `T - shirt / top`."""
    names = ["cra" if name == "crab" else name for name in KNOWN["cifar100"].classes]
    write_hub(tmp_path / "c", images(100, (32, 32, 3)), names, 1, "img fine_label")
    data = load_dataset(DataSettings("cifar100", str(tmp_path / "c")))
    assert data.class_names == KNOWN["cifar100"].classes
    assert data.train_y.tolist() == list(range(100))
    names = ["T - shirt / top", *KNOWN["fashion_mnist"].classes[1:]]
    write_hub(tmp_path / "f", images(10, (28, 28)), names)
    assert load_dataset(DataSettings("fashion_mnist", str(tmp_path / "f"))).class_names == (
        KNOWN["fashion_mnist"].classes
    )
    assert "class 26 is 'crow'" in refused_with(tmp_path / "x", 26, "crow")


def refused_with(folder: Path, label: int, name: str) -> str:
    names = list(KNOWN["cifar100"].classes)
    names[label] = name
    write_hub(folder, images(100, (32, 32, 3)), names)
    return refused(folder, "cifar100")


def test_grey_images_have_one_channel_unless_some_are_coloured(tmp_path: Path) -> None:
    pixels = images(10, (28, 28))
    write_hub(tmp_path / "mnist", pixels, KNOWN["mnist"].classes)
    data = load_dataset(DataSettings("mnist", str(tmp_path / "mnist")))
    assert torch.equal(data.train_x[:], torch.from_numpy(pixels)[:, None] / 255)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    rows = [encoded(images(1, (32, 32))[0]), encoded(images(1, (32, 32, 3))[0])] * 10
    write_parquet(mixed, image=rows)
    grey = load_dataset(DataSettings("archive", str(mixed))).test_x[:1][0]
    assert grey.shape == (3, 32, 32)
    assert torch.equal(
        grey, torch.from_numpy(images(1, (32, 32))[0] / 255).float().expand(3, 32, 32)
    )


def test_parts_that_are_absent_or_there_twice(tmp_path: Path) -> None:
    write_hub(tmp_path / "data", images(12, (8, 8)), ("a", "b"), 3)
    (tmp_path / "data" / "train-00001-of-00003.parquet").rename(tmp_path / "kept")
    assert "of the train split 1 parts are absent, the first is number 1" in refused(tmp_path)
    write_parquet(tmp_path / "data")
    assert "3 files say that they are the same train split" in refused(tmp_path)
    write_hub(tmp_path / "again", images(12, (8, 8)), ("a", "b"))
    assert "its train split lies in more than one place" in refused(tmp_path)


def test_a_folder_without_the_other_split(tmp_path: Path) -> None:
    (Path(write_parquet(tmp_path)) / "test.parquet").unlink()
    assert "it has no test.parquet or val.parquet" in refused(tmp_path)


def test_a_damaged_file(tmp_path: Path) -> None:
    test = Path(write_parquet(tmp_path)) / "test.parquet"
    test.write_bytes(test.read_bytes()[:-200])
    assert "test.parquet': it is damaged" in refused(tmp_path, "cifar10")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"image": [b"no image"] * 20},
            "20 rows hold no image in PNG, JPEG, WebP, BMP, GIF, TIFF or PPM, the first is row 0",
        ),
        ({"image": [None] * 20}, "20 rows hold no image"),
        ({"image": [None, *[encoded(images(1, (4, 4, 3))[0])] * 19]}, "1 rows hold no image"),
        ({"image": [encoded(np.full((4, 4), 999, np.uint16))] * 20}, "more than 8 bits a channel"),
        ({"label": [10] + [0] * 19}, "1 labels are out of range"),
        ({"image": [encoded(images(1, (32, 40, 3))[0])] * 20}, "images have shape (3, 32, 40)"),
        ({"label": ["cat"] * 20}, "not whole numbers"),
    ],
)
def test_rows_that_do_not_fit(rows: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert message in refused(write_parquet(tmp_path, **rows), "cifar10")


def test_a_table_without_the_columns(tmp_path: Path) -> None:
    for name in ("train", "test"):
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / f"{name}.parquet")
    assert "no column image or img, nor label or fine_label; it has text." in refused(tmp_path)


def test_images_that_differ_in_size_among_themselves(tmp_path: Path) -> None:
    odd = [encoded(images(1, (32, 32 + k, 3))[0]) for k in (0, 0, 3)] * 6
    message = refused(write_parquet(tmp_path, image=odd, label=[0] * 18))
    assert "6 rows are not 32x32 as the first image is, the first is row 2 of 'test.parquet'" in (
        message
    )
    assert "32x35" in message


def test_other_classes_than_the_name_says(tmp_path: Path) -> None:
    for classes, message in (
        ([f"face {k}" for k in range(10)], "class 0 is 'face 0', in CIFAR-10 it is 'airplane'"),
        ([str(k) for k in range(12)], "it has 12 classes, CIFAR-10 has 10"),
    ):
        path = write_parquet(tmp_path, classes=json.dumps(classes))
        assert message in refused(path, "cifar10")


@pytest.mark.parametrize("classes", ("{no", "3", "null", '"ab"', '{"0": "a"}', b"\xff\xfe"))
def test_class_names_that_are_no_list(classes: str | bytes, tmp_path: Path) -> None:
    path = write_parquet(tmp_path, classes=classes)
    assert "key classes of its schema's metadata is no list of names" in refused(path)
