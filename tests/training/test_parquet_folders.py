"""Where the Parquet files of a data set lie, and which of them are one split."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import Dataset
from mpo_snn.data.parquet_files import files_of, has_parquet
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError


def write(*paths: Path) -> None:
    """One row each, whose pixel is the number of the file."""
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        Image.new("L", (8, 8), number).save(stream, "PNG")
        table = pyarrow.table({"image": [stream.getvalue()] * 2, "label": [0, 1]})
        pyarrow.parquet.write_table(table, path)


def load(folder: Path) -> Dataset:
    return load_dataset(DataSettings("archive", str(folder)))


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_parts_are_sorted_by_their_numbers(tmp_path: Path) -> None:
    write(*(tmp_path / f"train-{k}-of-11.parquet" for k in range(11)), tmp_path / "test.parquet")
    pixels = load(tmp_path).train_x[:][:, 0, 0, 0] * 255
    assert pixels.round().int().tolist() == [k for k in range(11) for _ in range(2)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["00005-of-00002"],
            "'train-00005-of-00002.parquet' has a number that 2 parts do not have",
        ),
        (["0-of-2", "1-of-2", "5-of-2"], "'train-5-of-2.parquet' has a number that 2 parts do"),
        (["00000-of-00000"], "'train-00000-of-00000.parquet' is one of 0 parts"),
        (["1-of-2"], "1 parts are absent, the first is number 0"),
        (["0-of-2", "0-of-2-abc"], "2 files say that they are the same train split"),
    ],
)
def test_numbers_that_no_set_of_parts_has(names: list[str], message: str, tmp_path: Path) -> None:
    write(*(tmp_path / f"train-{name}.parquet" for name in names), tmp_path / "test.parquet")
    assert message in refused(tmp_path)


def test_an_absurd_number_of_parts_costs_nothing(tmp_path: Path) -> None:
    write(tmp_path / f"train-0-of-{10**60}.parquet", tmp_path / "test.parquet")
    begin = time.monotonic()
    assert f"{10**60 - 1} parts are absent, the first is number 1" in refused(tmp_path)
    assert time.monotonic() - begin < 5


def test_configurations_with_one_split_each_are_not_joined(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write(a / "train-00000-of-00001.parquet", b / "test-00000-of-00001.parquet")
    assert f"splits lie in more than one place, train in '{a}', test in '{b}';" in refused(tmp_path)
    write(a / "validation-00000-of-00001.parquet")
    assert "splits lie in more than one place" in refused(tmp_path)
    (b / "test-00000-of-00001.parquet").unlink()
    assert len(load(tmp_path).test_y) == 2


def test_a_folder_for_each_split(tmp_path: Path) -> None:
    write(tmp_path / "train" / "train-00000-of-00001.parquet", tmp_path / "test" / "test.parquet")
    data = load(tmp_path)
    assert (float(data.train_x[:].max()), round(float(data.test_x[:].max() * 255))) == (0, 1)


def test_hidden_folders_are_not_looked_into(tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "train.parquet")
    assert not has_parquet(tmp_path)
    write(tmp_path / "data" / "train.parquet", tmp_path / "data" / "test.parquet")
    assert files_of(tmp_path, "train") == [tmp_path / "data" / "train.parquet"]


def test_folders_that_cannot_be_listed_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "train.parquet", tmp_path / "test.parquet")
    (tmp_path / "locked").mkdir()
    listed = Path.iterdir

    def denied(self: Path) -> object:
        if self.name == "locked":
            raise PermissionError(13, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", denied)
    assert has_parquet(tmp_path) and len(load(tmp_path).train_y) == 2


def test_what_is_called_a_part_and_is_no_file(tmp_path: Path) -> None:
    write(tmp_path / "test.parquet")
    train = tmp_path / "train.parquet"
    os.mkfifo(train)
    assert "'train.parquet' is no file that can be read" in refused(tmp_path)
    train.unlink()
    train.mkdir()
    assert "'train.parquet' is a folder, where the train split should be" in refused(tmp_path)
    train.rmdir()
    train.symlink_to(tmp_path / "nowhere")
    assert "'train.parquet' is no file that can be read" in refused(tmp_path)


def test_a_file_that_is_given_for_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", tmp_path / "test.parquet")
    assert (
        f"it is one Parquet file; give the folder that holds those of both splits, such as"
        f" --data.path '{tmp_path}'." in refused(tmp_path / "train.parquet")
    )
