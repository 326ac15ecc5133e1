"""Data that somebody made wrong, by accident or not: one line, quickly, and nothing left behind."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mpo_snn.data import load_dataset
from mpo_snn.data.augment import augmentation
from mpo_snn.data.named_by_content import name_by_content
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError, RecipeError
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import Recipe


def refused(path: Path, name: str = "archive") -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(DataSettings(name, str(path), size=8 if name == "imagefolder" else None), 4)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def arrays() -> dict[str, Any]:
    pixels = np.zeros((8, 4, 4), np.uint8)
    return {
        f"{k}_{part}": v for part in ("train", "test") for k, v in (("x", pixels), ("y", [0] * 8))
    }


def picture(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 200)).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path: Path, content: bytes, classes: dict[str, str]) -> Path:
    """One picture for every class of the two splits."""
    with tarfile.open(path, "w") as archive:
        for part, names in classes.items():
            for name in names:
                member = tarfile.TarInfo(f"{part}/{name}/0.png")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("label", (100_000, 2**40, 2**63 - 1))
def test_a_label_that_no_memory_has_classes_for(label: int, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), "y_train": np.array([label, *range(7)])})
    assert f"first is {label} of sample 0; allowed is 0 to 99999." in refused(tmp_path / "a.npz")


def test_a_label_that_would_wrap_to_a_negative_one(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2**64 - 1, *range(5)], np.uint64)
    np.savez(tmp_path / "a.npz", **{**arrays(), "y_train": labels})
    expected = "y_train has 1 labels beyond 2**63 - 1, the first is 18446744073709551615 of sample"
    assert f"{expected} 2." in refused(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("labels", "absent", "allowed"),
    [
        ([1, 2, 3, 4] * 2, "label 0, and the largest label is 4", "0 to 3"),
        ([0, 2, 7, 7] * 2, "label 1, 3, 4, 5, 6, and the largest label is 7", "0 to 2"),
        ([0, 20] * 4, "label 1, 2, 3, 4, 5 and 14 more, and the largest label is 20", "0 to 1"),
    ],
)
def test_classes_that_no_training_sample_has(
    labels: list[int], absent: str, allowed: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), "y_train": labels, "y_test": labels})
    message = refused(tmp_path / "a.npz")
    assert f"train split: no sample has the {absent}" in message
    assert f"without gaps, here {allowed}." in message


def test_a_test_split_need_not_have_every_class(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), "y_train": [0, 1, 2, 3] * 2, "y_test": [0, 3] * 4})
    assert len(load_dataset(DataSettings("archive", str(tmp_path / "a.npz")), 4).class_names) == 4


@pytest.mark.parametrize("name", ("x_train", "x_train.npy"))
def test_an_archive_of_texts(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(name, "hello")
        for other in ("y_train", "x_test", "y_test"):
            archive.writestr(other, "hello")
    with pytest.raises(DataError, match="x_train, y_train is no array"):
        load_dataset(DataSettings("archive", str(tmp_path / "a.npz")))


def test_a_finding_is_told_once_where_one_split_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), "y_test": np.array([0] * 7)})
    with pytest.raises(DataError) as caught:
        load_dataset(DataSettings("archive", str(tmp_path / "a.npz")), train=False)
    assert str(caught.value) == f"'{tmp_path}/a.npz', test split: 8 images have 7 labels."


def test_an_axis_of_channels_that_cannot_be_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), "x_train": np.zeros((8, 6, 6, 7), np.uint8)})
    assert "(8, 6, 6, 7): which axis is that of the channels?" in refused(tmp_path / "a.npz")


def test_numbers_beyond_float32(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), "x_train": np.full((8, 4, 4), 1e300)})
    assert "8 images hold NaN or infinity" in refused(tmp_path / "a.npz")


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        for name in ("archive", "mnist", "nmnist"):
            with pytest.raises(DataError, match="it is neither a file nor a folder"):
                load_dataset(DataSettings(name, str(path)))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux has such a file")
def test_a_file_that_the_system_cannot_read_is_named() -> None:
    path = "/proc/self/mem"
    assert name_by_content(path) == "archive"
    for name in ("archive", "mnist", "nmnist", "imagefolder"):
        with pytest.raises(DataError, match=f"'{path}': Input/output error; check --data.path"):
            load_dataset(DataSettings(name, path))


BOOLS = "{'descr': '<f4', 'fortran_order': False, 'shape': (True, True, 64)}"


@pytest.mark.parametrize("header", ("[" * 9000, BOOLS))
def test_a_header_that_cannot_be_parsed(header: str, tmp_path: Path) -> None:
    size = len(header).to_bytes(4, "little")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x02\x00" + size + header.encode())
    assert "it is damaged (" in refused(tmp_path / "a.npz")


def test_a_folder_of_several_archives(tmp_path: Path) -> None:
    for name in ("b", "a"):
        np.savez(tmp_path / f"{name}.npz", **arrays())
    assert f"2 .npz files; give the path of one, such as '{tmp_path}/a.npz'" in refused(tmp_path)


def test_classes_that_differ_between_the_splits(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", picture(4, 4), {"train": "abd", "val": "abe"})
    assert "class 2 is 'd' in its training split, 'e' in its test split." in refused(
        path, "imagefolder"
    )


@pytest.mark.parametrize("size", ((1, 50_000), (50_000, 3)))
def test_a_strip_is_not_blown_up(size: tuple[int, int], tmp_path: Path) -> None:
    """Resized as a whole it would have a billion pixels and more."""
    path = write_tar(tmp_path / "a.tar", picture(*size), {"train": "ab", "val": "ab"})
    data = load_dataset(DataSettings("imagefolder", str(path), size=224))
    expected = torch.tensor([9, 99, 200])[:, None, None].expand(3, 224, 224) / 255
    torch.testing.assert_close(data.train_x[0:1][0], expected)


EVENTS: dict[str, Any] = {
    "x": np.zeros(6, np.uint8),
    "y": np.zeros(6, np.uint8),
    "p": np.zeros(6, np.uint8),
    "t": np.arange(6),
    "offsets": np.array([0, 3, 6]),
    "label": np.array([0, 1]),
}


@pytest.mark.parametrize(
    ("key", "change", "message"),
    (
        ("x", lambda x: x + 0.5, "train_x is float64 of shape (6,), allowed is a list of whole"),
        ("x", lambda x: x.astype(str), "train_x is <U3 of shape (6,)"),
        ("x", lambda x: x[:, None], "train_x is uint8 of shape (6, 1)"),
        ("x", lambda x: x[0], "train_x is uint8 of shape ()"),
        ("t", lambda t: t * np.nan, "train_t is float64"),
        ("offsets", lambda o: o * 1.0, "train_offsets is float64"),
        ("label", lambda y: y[:, None], "train_label is int64 of shape (2, 1)"),
        ("t", lambda t: t * 2**60, "recording 0: it lasts 2305843009213693952 microseconds."),
    ),
)
def test_events_of_another_kind(
    key: str, change: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    content = {**EVENTS, key: change(EVENTS[key])}
    named = {f"train_{k}": v for k, v in content.items()}
    np.savez(tmp_path / "a.npz", **named, **{f"test_{k}": v for k, v in EVENTS.items()})
    assert message in refused(tmp_path / "a.npz", "nmnist")


@pytest.mark.parametrize(
    ("settings", "message"),
    (
        ({"name": "nmnist", "resized_crop": True}, "data.resized_crop is for image files"),
        ({"name": "mnist", "framing": "count"}, "data.framing is count, but mnist holds images."),
        ({"workers": 129}, "data.workers is 129, allowed is up to 128."),
    ),
)
def test_settings_that_would_do_nothing_or_harm(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        DataSettings(**settings)


def test_digits_are_taken_as_they_are() -> None:
    for settings, keys in (
        (DataSettings(size=16), r"data\.size"),
        (DataSettings(resized_crop=True), r"data\.resized_crop"),
        (DataSettings(size=16, resized_crop=True), r"data\.size, data\.resized_crop"),
    ):
        with pytest.raises(DataError, match=rf"leave out {keys}\.$"):
            load_dataset(settings)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    (
        (
            DataSettings(crop=15),
            (1, 28, 28),
            "data.crop is 15, allowed for pictures of 28x28 is up",
        ),
        (
            DataSettings(cutout=9),
            (1, 8, 8),
            "data.cutout is 9, allowed for pictures of 8x8 is up to 8",
        ),
        (DataSettings(autoaugment="svhn"), (2, 8, 8), "takes pictures of 1 or 3 channels, these"),
        (DataSettings("shd", crop=1), (1, 1, 700), "data.crop is 1, allowed for pictures of 1x700"),
    ),
)
def test_augmentation_that_leaves_nothing(
    settings: DataSettings, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        augmentation(settings, shape)
    assert augmentation(replace(settings, crop=0, cutout=0, autoaugment="none"), shape) is None


def test_a_file_that_breaks_off_training_leaves_no_run(tiny: Recipe, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", b"no picture", {"train": "ab", "val": "ab"})
    data = DataSettings("imagefolder", str(path), size=8)
    with pytest.raises(DataError, match="it is no image, or damaged"):
        fit(replace(tiny, data=data), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_machine_without_memory_leaves_no_run(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("mpo_snn.training.fit.load_dataset", full)
    with pytest.raises(MemoryError):
        fit(tiny, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
