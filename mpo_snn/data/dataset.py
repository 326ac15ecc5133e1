"""A data set as two splits of plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """Samples and labels of a training and a test split.

    Attributes:
        name: the name it was loaded by.
        train_x: samples of the training split, float32, (N, channels, height, width).
        train_y: their classes, int64, (N,), from 0 to len(class_names) - 1.
        test_x: samples of the test split, likewise.
        test_y: their classes.
        class_names: what each class is called.
        input_scaling: how raw values became these, in words; a graph's metadata carries it.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    class_names: tuple[str, ...]
    input_scaling: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, (channels, height, width)."""
        return tuple(self.train_x.shape[1:])
