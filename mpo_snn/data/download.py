"""Fetches published data into a folder; only where the user says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError

_TORCHVISION = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}
_TONIC = {
    "nmnist": "NMNIST",
    "dvs128_gesture": "DVSGesture",
    "cifar10_dvs": "CIFAR10DVS",
    "shd": "SHD",
}


def can_fetch(name: str) -> bool:
    """Whether there is a place that this data set can be fetched from without an account."""
    return name in _TORCHVISION or name in _TONIC


def fetch_data(settings: DataSettings, folder: Path) -> None:
    """Fetch both splits into `folder`; the libraries check what arrives by its checksum.

    Raises:
        DataError: if there is no such place, or it cannot be reached.
    """
    name = settings.name
    if not can_fetch(name):
        raise DataError(f"cannot fetch data set '{name}': get it by hand, then give --data.path.")
    try:
        if name in _TORCHVISION:
            _from_torchvision(_TORCHVISION[name], folder)
        else:
            _from_tonic(_TONIC[name], folder)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"cannot fetch data set '{name}' into '{folder}': {reason}. Get it by hand, then give"
            " --data.path."
        ) from error


def _from_torchvision(kind: str, folder: Path) -> None:
    from mpo_snn.operators import declare_torchvision_operators

    declare_torchvision_operators()
    import torchvision.datasets

    dataset: Any = getattr(torchvision.datasets, kind)
    for train in (True, False):
        dataset(str(folder), train=train, download=True)


def _from_tonic(kind: str, folder: Path) -> None:
    from mpo_snn.data.tonic_files import tonic_datasets

    dataset: Any = getattr(tonic_datasets(), kind)
    if kind == "CIFAR10DVS":
        dataset(str(folder))
        return
    for train in (True, False):
        dataset(str(folder), train=train)
