"""xylosim: INPUT.npz holds one XyloNetwork and its events; OUTPUT.npz gets spikes and membranes.

python run_xylosim.py INPUT.npz OUTPUT.npz [INPUT.npz OUTPUT.npz ...]
needs numpy and xylosim alone.
"""

from __future__ import annotations

import sys

import numpy as np
from xylosim import v1, v2


def run(source: str, target: str) -> None:
    """Run every sample from rest."""
    given = np.load(source)
    core = v1 if int(given["version"]) == 1 else v2
    hidden = len(given["weights_out"])

    def synapses(weights: np.ndarray) -> list:
        """One list a source, of (target, synapse, weight)."""
        return [
            [
                core.XyloSynapse(target, synapse, int(w))
                for (target, synapse), w in np.ndenumerate(source)
                if w
            ]
            for source in weights.reshape(len(weights), -1, weights.shape[-1])
        ]

    # xylosim keeps pointers into these lists: they must live as long as the layer.
    into = synapses(given["weights_in"])
    between = synapses(given["weights_rec"])
    out = synapses(given["weights_out"][:, :, None])
    biases = [True, given["bias"].tolist(), given["bias_out"].tolist()] if core is v2 else []
    layer = core.XyloLayer(
        into, between, out, [[] for _ in range(hidden)],
        given["threshold"].tolist(), given["threshold_out"].tolist(), *biases,
        int(given["shift_in"]), int(given["shift_rec"]), int(given["shift_out"]),
        given["dash_mem"].tolist(), given["dash_mem_out"].tolist(),
        given["dash_syn"].tolist(), given["dash_syn_out"].tolist(), "proof",
    )  # fmt: skip
    found: dict[str, list] = {"output": [], "hidden": [], "v_hidden": [], "v_output": []}
    for sample in given["events"].transpose(1, 0, 2):
        layer.reset_all()
        found["output"].append(layer.evolve(sample.tolist()))
        found["hidden"].append(layer.rec_recurrent_spikes)
        found["v_hidden"].append(np.array(layer.rec_v_mem).T)
        found["v_output"].append(np.array(layer.rec_v_mem_out).T)
    np.savez(target, **{name: np.array(rows) for name, rows in found.items()})


if __name__ == "__main__":
    for given, found in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        run(given, found)
