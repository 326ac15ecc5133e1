"""`Scale`: a factor for every feature, as a layer (NIR's Scale)."""

from __future__ import annotations

from torch import Tensor, nn


class Scale(nn.Module):
    """Multiplies every feature by a number of its own, or all of them by one.

    Args:
        factor: the numbers, (*features), or (); a parameter from then on.
    """

    def __init__(self, factor: Tensor) -> None:
        """Take a copy of the numbers."""
        super().__init__()
        self.factor = nn.Parameter(factor.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """The input, (batch, *features), times its factors."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Shape of the factors, for `print(network)`."""
        return f"factor={tuple(self.factor.shape)}"
