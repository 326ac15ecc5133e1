"""Where a run trains, and that all of its processes have what they need there."""

from __future__ import annotations

from typing import Literal

import torch

from mpo_snn.errors import RecipeError
from mpo_snn.training.ranks import join, rank, together

Device = Literal["auto", "cpu", "cuda"]


def meet(device: Device) -> Device:
    """Where to train, once the other processes are there, if there are any.

    Raises:
        RecipeError: if there are no CUDA devices, or fewer than processes.
    """
    suffices = torch.cuda.device_count() >= rank().local_count
    join("cuda" if device != "cpu" and suffices else "cpu")
    return together(lambda: _device(device))


def _device(device: Device) -> Device:
    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("cannot train on cuda: torch finds no CUDA device. Use --device cpu.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and rank().local_count > torch.cuda.device_count():
        raise RecipeError(
            f"cannot train in {rank().local_count} processes on cuda: this machine has"
            f" {torch.cuda.device_count()} CUDA devices, and each process needs one. Use fewer"
            " processes, or --device cpu."
        )
    return device
