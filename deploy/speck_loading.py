"""What of a network sinabs cannot say, so that a deployment has no files that load it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from .finding import Finding
from .layers import INPUT, ChipGraph
from .speck_convolution import NoConvolution, as_convolution
from .speck_rules import EVENTS

_LEFT_OUT = "sinabs cannot say that: speck.npz and speck_sinabs.py are not written"
_BY_HAND = "or configure the cores with samna, from tensors.safetensors and network.json"


def loading_findings(graph: ChipGraph) -> Iterator[Finding]:
    """One for every layer that stands in the way; layers that are no convolution are left out."""
    for layer in graph:
        with suppress(NoConvolution):
            sources = as_convolution(layer).sources
            if any(source.shift for source in sources):
                yield Finding(
                    layer.name,
                    f"sources with weights of their own, each on channels of its own; {_LEFT_OUT}",
                    "sources with one weight, whose events sinabs adds",
                    f"give all of them one weight, {_BY_HAND}",
                    EVENTS,
                )
            if any(source.name == INPUT and source.pool != (1, 1) for source in sources):
                yield Finding(
                    layer.name,
                    f"pooling of input events; {_LEFT_OUT}",
                    "pooling behind a core",
                    f"sum the events over windows before they are sent, {_BY_HAND}",
                    EVENTS,
                )
