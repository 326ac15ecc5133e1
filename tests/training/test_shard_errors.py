"""Shards, commands and settings that are wrong: one line each, and nothing is left behind."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mpo_snn.cli.shards import main as mpo_shards
from mpo_snn.data import load_dataset
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError, RecipeError
from mpo_snn.training.fit import fit

from .shard_images import SIZE, recipe, settings, write_images


def test_one_line_for_what_is_wrong(shards: Path, tmp_path: Path) -> None:
    def refused(path: Path | str, **changes: Any) -> str:
        with pytest.raises(DataError) as caught:
            load_dataset(settings(path, **changes))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "has no train-000005.tar" in refused(shards / "train-{000004..000009}.tar")
    assert "stands for more than 1000000 shards" in refused(shards / "train-{0..99999999999}.tar")
    assert "File is not a zip file" in refused(f"zip://x::{shards / 'train-000000.tar'}")
    assert "none of them is for training" in refused(shards / "val-{000000..000001}.tar")
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    (lonely / "train-0.tar").write_bytes(b"")
    assert "there is no shards.json. mpo-shards writes one" in refused(lonely)
    assert "there is no shards.json" in refused(lonely / "train-{0..3}.tar")
    assert "cannot read 's9://x/shards.json'" in refused("s9://x")
    for place in (tmp_path / "absent", shards / "shards.json" / "x"):
        told = refused(f"file://{place}")
        assert "An address must be that of a folder with shards.json and its shards, of" in told
    assert "has 3 classes, ImageNet has 1000" in str(_error("imagenet", shards))
    index = json.loads((shards / "shards.json").read_text())
    for change, found in (
        ({"format": "other"}, "it is 'other', version 1"),
        ({"classes": ["cat"]}, r"unknown classes, the first is"),
        ({"train": [{"file": "../x.tar", "labels": [0]}]}, "'../x.tar' is no name of a file"),
        ({"train": [{"file": "pipe:rm", "labels": [0]}]}, "'pipe:rm' is no name of a file"),
        ({"train": None}, "it is damaged or no index"),
    ):
        (lonely / "shards.json").write_text(json.dumps(index | change))
        assert found in refused(lonely)
    (lonely / "shards.json").write_text(json.dumps(index))
    assert "cannot read shard" in refused(lonely)
    with pytest.raises(RecipeError, match=r"data\.buffer is 0, allowed is 1 or more"):
        DataSettings(buffer=0)


@pytest.mark.parametrize(
    ("source", "folder", "images", "message"),
    [
        ("images", "images", "7", "it holds the images themselves"),
        ("images", "images/train", "7", "it holds the images themselves"),
        ("images", "new", "0", "allowed is 1 to 1000000"),
        ("images", "new", "99999999999999999999", "allowed is 1 to 1000000"),
        ("images", "", "7", "folder"),
        ("none", "new", "7", "it is not there"),
    ],
)
def test_wrong_commands_write_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    folder: str,
    images: str,
    message: str,
) -> None:
    root = write_images(tmp_path / "images", 3, 3)
    before = sorted(tmp_path.rglob("*"))
    where = [str(tmp_path / folder)] if folder else []
    assert mpo_shards([str(root.parent / source), *where, "--images", images]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def _error(name: str, path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        load_dataset(DataSettings(name, str(path), size=SIZE))
    return caught.value


def damaged_copy(shards: Path, folder: Path, damage: Any) -> Path:
    folder.mkdir()
    for path in shards.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    damage(folder / "train-000002.tar")
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def rewrite(path: Path, change: Any) -> None:
    with tarfile.open(path) as archive:
        members = [(m, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as archive:
        for name, content in change([(m.name, content) for m, content in members]):
            (path.parent / "scratch").write_bytes(content)
            archive.add(path.parent / "scratch", name)


def without_last(path: Path) -> None:
    rewrite(path, lambda members: members[:-2])


def with_other_class(path: Path) -> None:
    rewrite(path, lambda ms: [(n, b"7" if n.endswith("cls") else c) for n, c in ms])


def with_text(path: Path) -> None:
    rewrite(path, lambda ms: [(n, b"text" if n.endswith("png") else c) for n, c in ms])


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (Path.unlink, "it is not there"),
        (cut, "it is damaged"),
        (without_last, "it holds 6 images, the index says 7"),
        (with_other_class, "its class is 7, the index says"),
        (with_text, "it is no image, or damaged"),
    ],
)
def test_a_damaged_shard_is_one_line(
    damage: Any, found: str, workers: int, shards: Path, tmp_path: Path
) -> None:
    path = damaged_copy(shards, tmp_path / "damaged", damage)
    with pytest.raises(DataError, match=r"train-000002\.tar") as caught:
        fit(recipe(path, workers=workers), tmp_path / "run", device="cpu")
    assert found in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
