"""Chips on which every connection between neurons takes a timestep.

There a layer runs behind the input by the hops in front of it. What joins in a layer must have come
as many hops, or spikes of different timesteps meet.
"""

from __future__ import annotations

from .finding import Finding
from .layers import INPUT, ChipGraph


def delay_findings(graph: ChipGraph) -> list[Finding]:
    """Sources of a layer that are not as many hops from the input as its others."""
    hops = {INPUT: 0, **graph.depth()}
    order = {layer.name: index for index, layer in enumerate(graph)}
    findings = []
    for layer in graph:
        for source in dict.fromkeys(layer.sources):
            leads_back = source != INPUT and order[source] >= order[layer.name]
            if source == layer.name:
                continue  # its spikes of the step before, on the chip as in the network
            behind = hops[layer.name] - hops[source]
            if leads_back or behind != 1:
                way = "back" if leads_back else "ahead"
                findings.append(
                    Finding(
                        layer.name,
                        f"a connection {way} from '{source}' over {abs(behind)} layers",
                        "connections to the next layer and from a layer to itself, because each"
                        " delays by one step",
                        "leave it out, or put a layer of neurons into it for every hop",
                    )
                )
    return findings
