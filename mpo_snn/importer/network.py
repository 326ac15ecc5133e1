"""`ImportedNetwork`: the layers of a NIR graph, wired as its edges say; forward is one timestep."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from torch import Tensor, nn

from mpo_snn.errors import GraphError
from mpo_snn.neurons import MPONeuron

INPUT = ""
"""Stands for the sample among the sources; no layer can have this name."""


class ImportedNetwork(nn.Module):
    """Plain torch.nn and MPO neurons in the order of a graph; what enters a layer is added up.

    A dotted name such as `features.3` is the layer `3` of a submodule `features`, so that names of
    the file are names of the state dict and of the next export.

    Args:
        layers: by the name of their node.
        sources: for every layer, what is added up to its input, in the order in which they run;
            `INPUT` is the sample.
        outputs: what is added up to the output.
        dt: timestep of the file, in seconds.
        input_shape: shape of one sample, without batch and time.
        read_out: the layer of neurons whose membrane, not its spikes, is read from it; it returns
            its state (`output=True`).

    Raises:
        GraphError: naming every node whose name no layer of torch can have.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        sources: Mapping[str, Sequence[str]],
        outputs: Sequence[str],
        dt: float,
        input_shape: tuple[int, ...],
        read_out: str | None = None,
    ) -> None:
        """Register the layers."""
        super().__init__()
        self.sources = {name: tuple(of) for name, of in sources.items()}
        self.outputs = tuple(outputs)
        self.dt, self.input_shape, self.read_out = dt, input_shape, read_out
        outer_first = sorted(layers, key=lambda name: name.count("."))
        findings = [self._register(name, layers[name]) for name in outer_first]
        if any(findings):
            raise GraphError("cannot import the graph", [line for line in findings if line])

    def forward(self, x: Tensor) -> Tensor:
        """Output of one timestep, (batch, *outputs), for its input, (batch, *features)."""
        values = {INPUT: x}
        for name, sources in self.sources.items():
            layer = self.get_submodule(name)
            found = layer(_sum(values[source] for source in sources))
            values[name] = found[_membrane_of(layer)] if name == self.read_out else found
        return _sum(values[source] for source in self.outputs)

    def extra_repr(self) -> str:
        """Timestep and shape of a sample, for `print(network)`."""
        return f"dt={self.dt:g}, input_shape={self.input_shape}"

    def _register(self, name: str, layer: nn.Module) -> str | None:
        """Take a layer in; returns what is wrong with its name, if anything is."""
        parent: nn.Module = self
        *path, last = name.split(".")
        try:
            for part in path:
                if part not in parent._modules:
                    parent.add_module(part, nn.Module())
                parent = parent.get_submodule(part)
            parent.add_module(last, layer)
        except KeyError:
            return f"node {name!r} has a name that no layer of torch can have: call it otherwise."
        return None


def refused_names(names: Iterable[str]) -> list[str]:
    """The names that no layer can have, one line each."""
    try:
        ImportedNetwork({name: nn.Identity() for name in names}, {}, (), 1.0, ())
    except GraphError as error:
        return list(error.findings)
    return []


def _membrane_of(layer: nn.Module) -> int:
    """Where the membrane stands in what a layer of neurons returns: behind spikes and synapse."""
    assert isinstance(layer, MPONeuron), "what is read out by its membrane has one"
    return len(layer.states)


def _sum(values: Iterable[Tensor]) -> Tensor:
    """Their sum, added up in order."""
    return reduce(operator.add, values)
