"""A product with a matrix that visits only what is not zero: events, with their value.

The sums are those of torch's dense product, bit for bit, where that adds up so: over the inputs in
their order, with one rounding for product and sum, in parts of so many inputs, each from zero; to
the bias come the sums of the parts, one after another. How many inputs a part has (`DEPTHS`)
depends on the library and the processor, and is found by trying (`mpo_snn.graph.by_density`).
Compiled by numba (`mpo_snn.kernels.event_linear_loops`), which is optional.
"""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from mpo_snn.kernels.event_conv import in_blocks
from mpo_snn.kernels.numba_threads import share_out

LARGEST_PARTS = (192, 256, 320, 336, 352, 384, 448, 512)
"""Inputs in a part, at most, that libraries are known or likely to take; MKL takes 192 on an AMD
EPYC."""


def depths(inputs: int) -> list[int]:
    """How many inputs a part may have, the likelier first.

    Where one part is too few and two are enough, MKL takes two of the same size.
    """
    found = [inputs]
    for largest in LARGEST_PARTS:
        if largest < inputs:
            found.append(-(-inputs // 2) if inputs <= 2 * largest else largest)
    return list(dict.fromkeys(found))


class EventLinear:
    """A Linear or Affine node for inputs of any density, in float32 on the CPU.

    Args:
        weight: [outputs, inputs].
        bias: [outputs]; None is none.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Take them; they are laid out at the first call, which many layers never see."""
        self.outputs, self.inputs = weight.shape
        self._given = weight, weight.new_zeros(self.outputs) if bias is None else bias

    @cached_property
    def _blocks(self) -> tuple[Tensor, Tensor]:
        """Weights [blocks, inputs, outputs of a block] and bias [blocks, outputs of a block]."""
        weight, bias = self._given
        rows, biases = in_blocks(weight.unsqueeze(0), bias.unsqueeze(0))
        return rows[0], biases[0]

    def __call__(self, x: Tensor, depth: int) -> tuple[Tensor, int]:
        """Return the product [*, outputs] and the number of events.

        Args:
            x: [*, inputs].
            depth: inputs of a part.
        """
        lines = x.detach().reshape(-1, self.inputs).contiguous()
        weights, bias = self._blocks
        out = lines.new_empty(len(lines), bias.numel())

        def run(first: int, last: int) -> int:
            from mpo_snn.kernels.event_linear_loops import multiply

            part = lines[first:last].numpy(), out[first:last].numpy()
            return int(multiply(part[0], weights.numpy(), bias.numpy(), part[1], depth))

        events = sum(share_out(run, len(lines), lines.numel()))
        if self.outputs < bias.numel():
            out = out[:, : self.outputs].contiguous()
        return out.reshape(*x.shape[:-1], self.outputs), events
