"""Paths that stand for nothing, and those that are no text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpo_snn.data import load_dataset
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError, RecipeError


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "data.path is empty"), (" ", "data.path is empty"), ("a\0b", "data.path holds a NUL")],
)
def test_paths_that_no_file_has(path: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"{message}.*allowed is a file, folder or address"):
        DataSettings("archive", path)


@pytest.mark.parametrize("name", ["archive", "imagefolder", "nmnist"])
def test_the_home_of_nobody(name: str) -> None:
    with pytest.raises(DataError, match="there is no home for '~no such user'; write it out"):
        load_dataset(DataSettings(name, "~no such user/x"), 4)


def test_a_path_may_be_a_path(tmp_path: Path) -> None:
    pixels, labels = np.arange(128, dtype=np.uint8).reshape(2, 8, 8), [0, 1]
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "a.npz", **dict(zip(names, (pixels, labels) * 2, strict=True)))
    settings = DataSettings("archive", path=tmp_path / "a.npz")  # type: ignore[arg-type]
    assert settings == DataSettings("archive", f"{tmp_path}/a.npz")
    assert len(load_dataset(settings).train_y) == 2
