"""A NIR graph against a chip: read into layers, then every rule of the chip's family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import nir

from mpo_snn.graph.check import check_graph
from mpo_snn.graph.neuron_behaviour import NeuronBehaviour
from mpo_snn.inference import Inference
from mpo_snn.profiles.chip import ChipProfile

from .families import family_of
from .finding import CheckResult
from .layers import ChipGraph
from .read_layers import read_layers


@dataclass(frozen=True)
class Checked:
    """What a check gave.

    Attributes:
        result: findings and resources.
        layers: what the rules of the chip were checked on; None where some could not be read.
    """

    result: CheckResult
    layers: ChipGraph | None

    @property
    def graph(self) -> ChipGraph | None:
        """The layers; None where there are findings."""
        return None if self.result.findings else self.layers

    @property
    def is_whole(self) -> bool:
        """Whether all rules of the chip were checked, and not only those for neurons."""
        return self.layers is not None


def check_graph_on_chip(
    graph: nir.NIRGraph,
    profile: ChipProfile,
    inference: Inference,
    *,
    behaviour: Mapping[str, NeuronBehaviour] | None = None,
) -> Checked:
    """Check a graph; nothing is refused here, everything is a finding.

    Args:
        graph: is not changed.
        profile: of the chip.
        inference: how the graph is run.
        behaviour: of its neurons beyond NIR.

    Raises:
        GraphError: if the graph does not make sense by itself.
    """
    check_graph(graph, inference.dt)
    family = family_of(profile)
    read = read_layers(
        graph,
        inference.dt,
        inference.timesteps,
        inference.encoding,
        inference.readout,
        behaviour,
        family.resets(profile),
    )
    if read.layers is None:
        rules = (
            finding
            for layer in read.neurons
            for finding in family.neuron(layer, layer.name == read.output, profile)
        )
        return Checked(CheckResult((*read.findings, *rules), ()), None)
    result = family.check(read.layers, profile)
    return Checked(replace(result, findings=(*read.findings, *result.findings)), read.layers)
