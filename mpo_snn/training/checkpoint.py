"""Checkpoints that survive a kill and a full disk, and can be loaded without trusting them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from mpo_snn.errors import RunError
from mpo_snn.files import make_folder, replace_file
from mpo_snn.operators import declare_torchvision_operators

declare_torchvision_operators()

from lightning.fabric.plugins.io import CheckpointIO  # noqa: E402
from lightning.pytorch import LightningModule, Trainer  # noqa: E402
from lightning.pytorch.callbacks import Checkpoint  # noqa: E402


class CheckpointEveryEpoch(Checkpoint):
    """Replaces one checkpoint at the end of every epoch, when all other callbacks are done.

    Lightning's ModelCheckpoint is made to choose among several; it also keeps paths in its state,
    which would follow a run directory that is moved.
    """

    def __init__(self, path: Path) -> None:
        """Write to this path."""
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoint."""
        trainer.save_checkpoint(self.path)


class AtomicCheckpoints(CheckpointIO):
    """Writes beside, flushes, renames; reads plain values and tensors only.

    A checkpoint is a zip archive with a checksum for every member, which is held against the
    content before anything is taken from it.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Replace the checkpoint at `path`.

        Raises:
            OutputError: if the disk refuses; the checkpoint before this one is untouched.
        """
        make_folder(Path(path).parent)
        with replace_file(path) as scratch:
            _save(checkpoint, scratch)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """The checkpoint at `path`, on the CPU.

        Raises:
            RunError: if it is damaged or holds more than plain values and tensors.
        """
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete the checkpoint at `path`, if there is one."""
        Path(path).unlink(missing_ok=True)


def _save(checkpoint: dict[str, Any], path: Path) -> None:
    """`torch.save`, but a disk that refuses is an OSError, which says why.

    torch tells of it as a RuntimeError about positions in its archive. It leaves the error of the
    system behind that one, if Python has written the file.
    """
    with path.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:
            behind: BaseException | None = error
            while behind is not None and not isinstance(behind, OSError):
                behind = behind.__cause__ or behind.__context__
            if behind is None:
                raise
            raise behind from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint on the CPU.

    Raises:
        RunError: if it is damaged or holds more than plain values and tensors.
    """
    way_out = "Delete it, and --resume starts from the first epoch."
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return checkpoint
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise RunError(f"cannot resume from '{path}': it is damaged. {way_out}") from error
    raise RunError(f"cannot resume from '{path}': it is damaged. {way_out}")
