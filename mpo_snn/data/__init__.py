"""Data sets by name, each as a training and a test split.

A name leads to the module that holds its `load(settings, timesteps, part) -> Part`; that module is
imported when the data set is loaded, so that listing the names costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpo_snn.data.dataset import Dataset as Dataset
    from mpo_snn.data.settings import DataSettings

_IMAGES, _EVENTS = "mpo_snn.data.images", "mpo_snn.data.events"
_HOME = {
    "digits": "mpo_snn.data.digits",
    "mnist": _IMAGES,
    "fashion_mnist": _IMAGES,
    "cifar10": _IMAGES,
    "cifar100": _IMAGES,
    "imagenet": _IMAGES,
    "imagefolder": _IMAGES,
    "archive": _IMAGES,
    "nmnist": _EVENTS,
    "dvs128_gesture": _EVENTS,
    "cifar10_dvs": _EVENTS,
    "shd": _EVENTS,
}
__all__ = ["dataset_names", "load_dataset"]


def dataset_names() -> tuple[str, ...]:
    """The names that `load_dataset` knows."""
    return tuple(_HOME)


def load_dataset(data: str | DataSettings, timesteps: int = 1, *, train: bool = True) -> Dataset:
    """Load a data set; the same settings give the same samples, in the same order.

    Args:
        data: name or settings.
        timesteps: T, into how many frames events are cut; nothing else depends on it.
        train: whether the training split is needed; without it, it may come back empty.

    Raises:
        DataError: if the name is unknown, or the data is absent, damaged, empty or does not fit.
    """
    from mpo_snn.data.load import load

    return load(data, timesteps, _HOME, train=train)
