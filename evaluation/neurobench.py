r"""NeuroBench's figures of a graph, counted by NeuroBench's rules, in the form of its result file.

Its rules are others than this project's (`synops`), and they are kept here to the letter, so that
the figures stand beside those of networks that were measured with NeuroBench 2.3 itself:

- values decide, not roles: what enters a layer at one timestep in one batch counts as accumulates
  if all of it is 0, 1 or -1, otherwise as multiply-accumulates; pooled spikes are the latter;
- a zero input or a zero weight is no operation, nor is padding; biases are not counted;
- every timestep counts, also where the input is constant in time.

`Footprint` is what a float32 network holds of the graph (`parameters`). NeuroBench adds the buffers
of whatever library the network is written in. Weights are connections, those of the network that
the file was written from without the zeros around them (`mpo_snn.graph.connections`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from mpo_snn.graph.inline import inline
from mpo_snn.graph.kinds import kind_of

from .fanout import synaptic_fan_out
from .parameters import sum_parameters
from .roles import SYNAPTIC

if TYPE_CHECKING:
    import nir

    from .evaluate import Evaluation


class EnteringValues:
    """Counts, while a graph runs, the values other than zero that enter its synaptic nodes.

    Attributes:
        binary: for each node, values other than zero of each element of its input, summed over
            samples and those timesteps at which the whole batch was 0, 1 or -1; float64.
        other: the same over all other timesteps.
    """

    def __init__(self, graph: nir.NIRGraph) -> None:
        """Watch the synaptic nodes of `graph`."""
        self.names = frozenset(
            name for name, node in inline(graph).nodes.items() if kind_of(node) in SYNAPTIC
        )
        self.binary: dict[str, Tensor] = {}
        self.other: dict[str, Tensor] = {}

    def __call__(self, name: str, entering: Tensor, repeats: int) -> None:
        """Take what enters a node, [T, B, *features], each timestep standing for `repeats`."""
        if name not in self.names:
            return
        values = entering.flatten(1)
        is_binary = ((values == 0) | (values.abs() == 1)).all(1)
        nonzero = (entering != 0).sum(1).double().cpu() * repeats
        for found, at in ((self.binary, is_binary.cpu()), (self.other, ~is_binary.cpu())):
            found[name] = found.get(name, 0.0) + nonzero[at].sum(0)


def neurobench_results(
    graph: nir.NIRGraph, evaluation: Evaluation, entering: EnteringValues
) -> dict[str, Any]:
    """What NeuroBench's `Benchmark.run` returns and `save_benchmark_results` writes.

    Args:
        graph: what was evaluated.
        evaluation: the evaluation of it.
        entering: what watched it meanwhile.
    """
    nodes = inline(graph).nodes
    activity, counts = evaluation.activity, evaluation.synapses
    macs = acs = 0
    for name in counts:
        fan_out = synaptic_fan_out(nodes[name], tuple(entering.other[name].shape), "nonzero")
        macs += int((entering.other[name] * fan_out).sum())
        acs += int((entering.binary[name] * fan_out).sum())
    stored = sum_parameters(evaluation.parameters.values())
    weights = sum(count.weights for count in counts.values())
    zeros = sum(count.zero_weights for count in counts.values())
    density = activity.network_density
    dense = sum(count.dense_mac for count in counts.values()) * activity.timesteps
    return {
        "Footprint": stored.memory_bytes,
        "ConnectionSparsity": round(zeros / weights, 4) if weights else 0.0,
        "ParameterCount": stored.total,
        "ClassificationAccuracy": activity.correct / activity.samples,
        "ActivationSparsity": 0.0 if density is None else 1.0 - density,
        "SynapticOperations": {
            "Effective_MACs": macs / activity.samples,
            "Effective_ACs": acs / activity.samples,
            "Dense": float(dense),
        },
    }
