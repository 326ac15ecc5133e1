"""Spiking nodes that do what NIR cannot state, as chips do: `mpo_snn.multi_spike` from v on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mpo_snn.errors import GraphError
from mpo_snn.multi_spike import count_spikes, reset_after

from .counts import Counts
from .inline import FlatGraph
from .kinds import kind_of
from .layer import Layer, State
from .neuron_behaviour import NeuronBehaviour
from .neurons import Neurons


class ChipNeurons(Neurons):
    """IF, LIF and CubaLIF with several spikes a step, reset by subtraction or a lowest membrane."""

    def __init__(
        self,
        node: Any,
        behaviour: NeuronBehaviour,
        dt: float,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Discretise the node's equation as `Neurons` does."""
        super().__init__(node, dt, shape, dtype, device)
        self.behaviour = behaviour

    def advance(self, drive: Tensor, state: State, out: Tensor, v_out: Tensor | None) -> None:
        """Do one step: the membrane of `mpo_snn.graph.neurons`, then spikes and reset."""
        v, does = self.integrate(drive, state), self.behaviour
        if v_out is not None:
            v_out.copy_(v)
        out.copy_(count_spikes(v, self.threshold, does.most_spikes))
        v.copy_(reset_after(v, out, self.threshold, does.reset, does.lower))

    def advance_all(
        self, drive: Tensor, state: State, out: Tensor, v_out: Tensor | None, counts: Counts | None
    ) -> None:
        """Do all steps one by one; sums of several spikes are exact in float64."""
        Layer.advance_all(self, drive, state, out, v_out, None)
        if counts is not None:
            counts.add(out.double())


def known_behaviour(
    stated: Mapping[str, NeuronBehaviour], flat: FlatGraph, spiking: Collection[str]
) -> dict[str, NeuronBehaviour]:
    """What nodes do beyond NIR, without those that do nothing beyond it.

    Args:
        stated: by the metadata, by node.
        flat: the graph.
        spiking: its spiking nodes.

    Raises:
        GraphError: if it is said of a node that is not there, is no neuron, or has a v_reset other
            than 0; with every finding.
    """
    findings = []
    for name, behaviour in stated.items():
        node = flat.nodes.get(name)
        if name not in spiking or not hasattr(node, "v_threshold"):
            found = "which is not in the graph" if node is None else f"which is {kind_of(node)}"
            findings.append(f"they are said of {name!r}, {found}; expected IF, LIF or CubaLIF")
        elif not behaviour.is_plain and np.any(node.v_reset):  # type: ignore[union-attr]
            findings.append(f"{name!r} has a v_reset other than 0, where chips reset to 0")
    if findings:
        raise GraphError("cannot use the neurons of the metadata", findings)
    return {name: one for name, one in stated.items() if not one.is_plain}
