r"""A network as chips see it: layers of neurons, and the linear maps between them.

A chip knows neither nodes nor time constants. Every layer of a chip is this, in real numbers and
with a unit gain, one timestep (:math:`n_j` are the spikes that arrive from each source j):

.. math::
    i &\leftarrow \alpha\, i + \textstyle\sum_j W_j\, \text{pool}_j(n_j)
        \quad (\alpha = 0 \text{ without a synapse}) \\
    v &\leftarrow \beta\, v + i + b \\
    n &= \min(\text{most\_spikes}, \lfloor v / \theta \rfloor) \text{ for } v > 0;
        \quad v \leftarrow v - n\theta \;(\text{subtract}) \text{ or } 0 \text{ where } n > 0
        \;(\text{zero}); \quad v \leftarrow \max(v, \text{lower})

A neuron of one spike a step fires strictly above its threshold, as NIR's do; one of several also
where it meets it.

`mpo_snn.deploy.read_layers` makes it from a NIR graph. Scales are free: a layer whose W, b,
threshold and lower are multiplied by one number fires the same spikes; quantizers use that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from mpo_snn.graph.neuron_behaviour import ResetKind

INPUT, OUTPUT = "input", "output"
"""The source that stands for the input events, and the end of the network: names of no layer."""


@dataclass(frozen=True)
class Projection:
    """What one source adds to the current of a layer: sums over windows, then a linear map.

    Attributes:
        source: name of a layer, or `INPUT`.
        node: the NIR node that holds the weight, for messages.
        kind: `dense` or `convolution`.
        weight: float64, (out, in) or (out, in, height, width); the average of a pooling, the gain
            of the neuron and everything else that is linear is folded into it.
        source_shape: of the source's spikes, (N,) or (C, H, W).
        pool: sides of the pooling windows, which are summed and do not overlap; (1, 1) for none.
        stride: of a convolution, (height, width).
        padding: of a convolution, (height, width).
        output_shape: of the current.
    """

    source: str
    node: str
    kind: Literal["dense", "convolution"]
    weight: Tensor
    source_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    pool: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    @property
    def pooled_shape(self) -> tuple[int, ...]:
        """What the linear map takes: the source's shape behind the pooling."""
        if self.pool == (1, 1):
            return self.source_shape
        channels, height, width = self.source_shape
        return channels, height // self.pool[0], width // self.pool[1]


@dataclass(frozen=True)
class Layer:
    """A layer of neurons with what drives it.

    Attributes:
        name: of the NIR node that spikes.
        shape: of its neurons, (N,) or (C, H, W).
        projections: one for every source; their currents add.
        alpha: leak of the synapse per step in [0, 1), float64, of shape `shape`; None without one.
        beta: leak of the membrane per step in [0, 1], likewise.
        threshold: > 0, likewise.
        bias: current added at every step, likewise.
        reset: `subtract` or `zero`, in the step of the spike.
        most_spikes: of one neuron in one step, >= 1.
        lower: the lowest membrane, <= 0; None if there is none.
    """

    name: str
    shape: tuple[int, ...]
    projections: tuple[Projection, ...]
    alpha: Tensor | None
    beta: Tensor
    threshold: Tensor
    bias: Tensor
    reset: ResetKind = "zero"
    most_spikes: int = 1
    lower: float | None = None

    @property
    def size(self) -> int:
        """How many neurons."""
        return self.threshold.numel()

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of what drives it."""
        return tuple(projection.source for projection in self.projections)


@dataclass(frozen=True)
class ChipGraph:
    """All layers, each behind what it depends on (recurrent connections apart).

    Attributes:
        layers: in the order in which they run.
        input_shape: of the input events of one timestep.
        timesteps: T, of one inference.
        encoding: how a sample becomes events (`mpo_snn.encoding`).
    """

    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    timesteps: int
    encoding: str

    def __iter__(self) -> Iterator[Layer]:
        """The layers in order."""
        return iter(self.layers)

    def layer(self, name: str) -> Layer:
        """The layer of this name."""
        return next(layer for layer in self.layers if layer.name == name)

    def readers(self, name: str) -> tuple[Layer, ...]:
        """Layers that a source drives."""
        return tuple(layer for layer in self.layers if name in layer.sources)

    @property
    def output(self) -> Layer:
        """The last layer, whose spikes are the answer."""
        return self.layers[-1]

    def depth(self) -> dict[str, int]:
        """Hops from the input to each layer along the longest way, 1 for the first."""
        hops = {INPUT: 0}
        for layer in self.layers:
            ahead = [hops[source] for source in layer.sources if source in hops]
            hops[layer.name] = 1 + max(ahead, default=0)
        del hops[INPUT]
        return hops
