"""Scale nodes that are a part of a neuron: its reset by subtraction, which no spike travels for.

NIR writes such a neuron as several nodes, membrane (I, LI or CubaLI) -> Threshold -> Scale ->
membrane; read out by its membrane, v - threshold s, it has a Scale to the Output as well. A chip
has one node in their place. What befalls spikes on their way to others does not befall these.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .edges import predecessors, successors
from .inline import FlatGraph
from .kinds import kind_of

MEMBRANE: Final = frozenset({"I", "LI", "CubaLI"})
"""The kinds that put out a membrane potential."""


def own_resets(flat: FlatGraph) -> dict[str, str]:
    """All of these Scale nodes, each with the Threshold that it reads."""
    return reset_feedback(flat) | reset_read_outs(flat)


def reset_feedback(flat: FlatGraph) -> dict[str, str]:
    """Scale nodes that do nothing but lead from a Threshold back to the membrane before it."""
    sources, targets = predecessors(flat.edges), successors(flat.edges)
    return {
        scale: threshold
        for scale, threshold in _behind_thresholds(flat).items()
        if len(targets[scale]) == 1
        and targets[scale][0] in sources[threshold]
        and kind_of(flat.nodes[targets[scale][0]]) in MEMBRANE
    }


def reset_read_outs(flat: FlatGraph) -> dict[str, str]:
    """Scale nodes that do nothing but take spikes off their membrane where the Output reads it.

    The membrane may get to the Output through a Scale, which changes its unit.
    """
    sources, targets = predecessors(flat.edges), successors(flat.edges)
    shown = {source for end in flat.outputs for source in sources[end]}
    shown |= {
        source for name in shown if kind_of(flat.nodes[name]) == "Scale" for source in sources[name]
    }
    return {
        scale: threshold
        for scale, threshold in _behind_thresholds(flat).items()
        if targets[scale] == flat.outputs
        and bool((np.asarray(flat.nodes[scale].scale) <= 0).all())
        and any(kind_of(flat.nodes[name]) in MEMBRANE for name in shown & {*sources[threshold]})
    }


def _behind_thresholds(flat: FlatGraph) -> dict[str, str]:
    """Scale nodes that read one Threshold and nothing else, each with it."""
    sources = predecessors(flat.edges)
    return {
        name: sources[name][0]
        for name, node in flat.nodes.items()
        if kind_of(node) == "Scale"
        and len(sources[name]) == 1
        and kind_of(flat.nodes[sources[name][0]]) == "Threshold"
    }
