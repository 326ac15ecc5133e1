"""One sample, looked at closely: which neurons fire when, and where their membranes are.

A layer shows at most `MOST_NEURONS` of its neurons, evenly spaced; the histogram has all of them.
Membranes are taken before the reset and told in units of each neuron's threshold, so that 1 is
where a neuron fires. Where a threshold is not positive they are told in volt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mpo_snn.encoding import encode
from mpo_snn.errors import RecipeError
from mpo_snn.graph.simulate import Simulator
from mpo_snn.readout import read_out

if TYPE_CHECKING:
    from mpo_snn.data import Dataset

    from .setting import Setting

MOST_NEURONS = 24
BINS = 48
REACH = (-3.0, 3.0)
"""Ends of the histogram, in thresholds; what lies beyond is counted apart."""


def look_at_sample(graph: Any, dataset: Dataset, setting: Setting, index: int) -> dict[str, Any]:
    """The part `sample` of a report.

    Args:
        graph: a `nir.NIRGraph`.
        dataset: its `test_x` and `test_y` are used.
        setting: how to run the graph.
        index: of the sample in the test split, from 0.

    Raises:
        RecipeError: if there is no such sample.
    """
    check_sample(index, dataset)
    simulator = Simulator(graph, setting.dt, device=setting.device)
    x = encode(
        dataset.test_x[index : index + 1].to(setting.device), setting.timesteps, setting.encoding
    )
    run = simulator.run(x, record="membrane")
    answer = int(read_out(run.output.flatten(2), setting.readout).argmax(1))
    return {
        "index": index,
        "label": int(dataset.test_y[index]),
        "answer": answer,
        "layers": [
            _layer(name, run.spikes[name][:, 0], run.v[name][:, 0], simulator.flat.nodes[name])
            for name in simulator.spiking
        ],
    }


def check_sample(index: int, dataset: Dataset) -> None:
    """Refuse a sample that is not there.

    Raises:
        RecipeError: naming those that are.
    """
    count = len(dataset.test_x)
    if not 0 <= index < count:
        raise RecipeError(
            f"cannot show sample {index}: the split has {count}, allowed is 0 to {count - 1}."
        )


def _layer(name: str, spikes: Tensor, v: Tensor, node: Any) -> dict[str, Any]:
    spikes, v = spikes.flatten(1).cpu(), v.flatten(1).cpu().double()
    neurons = spikes.shape[1]
    shown = np.unique(np.linspace(0, neurons - 1, min(neurons, MOST_NEURONS)).round().astype(int))
    threshold = node.threshold if hasattr(node, "threshold") else node.v_threshold
    theta = torch.as_tensor(np.asarray(threshold, dtype=np.float64).flatten())
    unit = "threshold" if bool((theta > 0).all()) else "volt"
    value = v / theta if unit == "threshold" else v
    counts, edges = np.histogram(value.numpy(), BINS, REACH)
    return {
        "name": name,
        "neurons": neurons,
        "shown_neurons": shown.tolist(),
        "spikes": spikes[:, shown].nonzero().tolist(),
        "spike_count": int(spikes.sum()),
        "membrane_unit": unit,
        "membrane_edges": edges.round(6).tolist(),
        "membrane_counts": counts.tolist(),
        "membrane_beyond_percent": 100.0 * (1.0 - float(counts.sum()) / value.numel()),
    }
