r"""How stored values become the input of a network.

.. math::
    x = \frac{\text{stored} / \text{divisor} - \text{mean}_c}{\text{std}_c}
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.device_constants import constant


@dataclass(frozen=True)
class Scaling:
    """Division, then mean and standard deviation of each channel.

    Attributes:
        divisor: largest stored value that stands for 1, > 0.
        mean: of each channel after the division; empty for none.
        std: of each channel after the division, > 0; empty for none.
    """

    divisor: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def apply(self, stored: Tensor) -> Tensor:
        """Values as float32, same shape; channels are the third axis from the end."""
        x = stored.to(torch.float32)
        if self.divisor != 1.0:
            x = x / self.divisor
        if self.mean:
            mean, std = (
                constant(values, x.dtype, x.device).reshape(-1, 1, 1)
                for values in (self.mean, self.std)
            )
            x = (x - mean) / std
        return x

    @property
    def maps_bytes_to_unit(self) -> bool:
        """Whether bytes become values in [0, 1]."""
        return self.divisor >= 255.0 and not self.mean

    @property
    def words(self) -> str:
        """The scaling with its numbers, for a reader and a graph's metadata."""
        words = "value" if self.divisor == 1.0 else f"value / {self.divisor:g}"
        if self.mean:
            words = f"({words} - {list(self.mean)}) / {list(self.std)} by channel"
        return words
