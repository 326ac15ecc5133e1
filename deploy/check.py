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
        graph: the layers; None where the graph is not one that any chip has.
        is_whole: whether the rules of the chip were checked; not where there are no layers that
            they could be checked on.
    """

    result: CheckResult
    graph: ChipGraph | None
    is_whole: bool = True


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
    read = read_layers(
        graph,
        inference.dt,
        inference.timesteps,
        inference.encoding,
        inference.readout,
        behaviour,
    )
    check = family_of(profile).check
    if read.graph is not None:
        return Checked(check(read.graph, profile), read.graph)
    if read.nonetheless is None:
        return Checked(CheckResult(read.findings, ()), None, is_whole=False)
    more = check(read.nonetheless, profile)
    return Checked(replace(more, findings=(*read.findings, *more.findings)), None)
