"""Data sets by name, each as a training and a test split of plain tensors.

A name leads to the module that holds its `load() -> Dataset`; that module is imported when the
data set is loaded, so that listing the names costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mpo_snn.errors import DataError

if TYPE_CHECKING:
    from mpo_snn.data.dataset import Dataset as Dataset

_HOME = {
    "digits": "mpo_snn.data.digits",
}
__all__ = ["dataset_names", "load_dataset"]


def dataset_names() -> tuple[str, ...]:
    """The names that `load_dataset` knows."""
    return tuple(_HOME)


def load_dataset(name: str) -> Dataset:
    """Load a data set; the same name gives the same tensors, in the same order.

    Raises:
        DataError: if the name is unknown.
    """
    if name not in _HOME:
        raise DataError(f"unknown data set '{name}': choose one of {', '.join(_HOME)}.")
    dataset: Dataset = importlib.import_module(_HOME[name]).load()
    return dataset
