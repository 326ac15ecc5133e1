from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mpo_snn.errors import OutputError, RunError
from mpo_snn.training.weights import (
    InputDescription,
    describe_weights,
    read_weights,
    write_weights,
)

ABOUT = InputDescription((1, 8, 8), ("zero", "ünï"), "pixel / 16")
TENSORS = {
    "b": torch.arange(6.0).reshape(2, 3),
    "a": torch.tensor(3),
    "t": torch.arange(6.0).reshape(2, 3).T,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_weights(path, TENSORS, ABOUT)
    return path


def test_comes_back_as_it_was(path: Path) -> None:
    tensors, about = read_weights(path)
    assert about == describe_weights(path) == ABOUT
    assert set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_is_a_plain_safetensors_file(path: Path) -> None:
    assert torch.equal(load_file(path)["t"], TENSORS["t"])


def test_equal_tensors_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    write_weights(again, dict(reversed(TENSORS.items())), ABOUT)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-1], id="truncated"),
        pytest.param(lambda content: content[:20], id="header cut"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:-3] + b"\x7f" + content[-2:], id="one byte"),
        pytest.param(lambda content: b"<html>" + content, id="other content"),
        pytest.param(lambda content: content + b"\x00", id="longer"),
    ],
)
def test_damage_is_refused(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    for read in (read_weights, describe_weights):
        with pytest.raises(RunError, match=r"damaged|checksum") as caught:
            read(path)
        assert "--resume" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_file_and_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file"):
        read_weights(tmp_path / "absent")
    with pytest.raises(OutputError):
        write_weights(tmp_path / "absent" / "model.safetensors", TENSORS, ABOUT)
