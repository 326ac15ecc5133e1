"""A disk that refuses a checkpoint or weights is told for what it is, and nothing half stays."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mpo_snn.errors import OutputError
from mpo_snn.training.checkpoint import AtomicCheckpoints, read_checkpoint
from mpo_snn.training.weights import InputDescription, write_weights

LARGE = {"w": torch.zeros(50_000), "b": torch.ones(3)}


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of more than 40 kB can be written, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_checkpoint_that_does_not_fit(tmp_path: Path) -> None:
    path, writer = tmp_path / "checkpoints" / "last.ckpt", AtomicCheckpoints()
    writer.save_checkpoint({"epoch": 3}, path)
    with pytest.raises(OutputError, match=r"last\.ckpt': File too large\. Nothing was changed\."):
        writer.save_checkpoint({"epoch": 4, **LARGE}, path)
    assert read_checkpoint(path) == {"epoch": 3}
    assert [found.name for found in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.usefixtures("small_files")
def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    about = InputDescription((1, 8, 8), ("a", "b"), "value")
    with pytest.raises(OutputError, match=r"model\.safetensors': File too large"):
        write_weights(tmp_path / "model.safetensors", LARGE, about)
    assert not list(tmp_path.iterdir())


def test_other_faults_of_torch_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(RuntimeError, match="a fault"):
        AtomicCheckpoints().save_checkpoint({}, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


def test_checkpoints_are_the_bytes_of_what_they_hold(tmp_path: Path) -> None:
    for name in ("a", "b"):
        AtomicCheckpoints().save_checkpoint(dict(LARGE), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert torch.equal(read_checkpoint(tmp_path / "a")["w"], LARGE["w"])
