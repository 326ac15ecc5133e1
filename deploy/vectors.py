"""Test vectors of a deployment: what goes in, what every neuron does, what comes out, in integers.

A testbench in hardware plays `input` and compares. All is the run that was measured, sample by
sample; nothing is rounded.
"""

from __future__ import annotations

import io

import numpy as np
import torch

from .deployment import BATCH, Deployment, Samples, events_of
from .fixed_point_network import narrowest

VECTORS = "vectors.npz"


def vectors_file(deployment: Deployment, samples: Samples, count: int) -> bytes:
    """The first `count` measured samples as the bytes of an .npz file.

    `index` in the split, `label` and `answer`, each (K,); `input`, (T, K, *input_shape); `output`,
    spikes of the last layer, (T, K, outputs), delays taken off; and of every layer `LAYER.spikes`
    and its states as `IntegerNetwork.record` has them, (steps, K, *shape).

    Args:
        deployment: what was measured.
        samples: what it was measured on.
        count: K, from 1 to all of them.
    """
    parts: dict[str, list[torch.Tensor]] = {}
    for x in torch.split(samples.x[:count], BATCH):
        events = events_of(deployment.graph, x)
        recorded = deployment.integers.record(events)
        late = recorded[f"{deployment.graph.output.name}.spikes"]
        output = late[deployment.integers.delay :].flatten(2)
        kept = {"input": events, "output": output, **recorded}
        for name, value in kept.items():
            parts.setdefault(name, []).append(value)
    whole = {name: torch.cat(values, 1) for name, values in parts.items()}
    one_each = {
        "index": torch.tensor(samples.places[:count]),
        "label": samples.y[:count],
        "answer": torch.tensor(deployment.chip.predicted[:count]),
    }
    buffer = io.BytesIO()
    arrays = {name: narrowest(value).numpy() for name, value in {**one_each, **whole}.items()}
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
