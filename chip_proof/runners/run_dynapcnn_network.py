"""sinabs' DynapcnnNetwork, which rounds a float network itself; INPUT.npz, OUTPUT.npz.

python run_dynapcnn_network.py INPUT.npz OUTPUT.npz [INPUT.npz OUTPUT.npz ...]
needs torch and sinabs; samna, which only opens chips, is stood in for by empty modules.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import ModuleType

NAMES = (
    "samna", "samnagui", "samna.speck2e", "samna.speck2e.configuration", "samna.speck2f",
    "samna.speck2f.configuration", "samna.specksim", "samna.specksim.nodes",
)  # fmt: skip


class Nothing(type):
    """A class whose attributes are classes of the same kind."""

    def __getattr__(cls, name: str) -> type:
        """Any name but those of Python's own."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(name, (), {})


class Absent(ModuleType):
    """A module whose names stand for nothing."""

    def __getattr__(self, name: str) -> type:
        """Any name is an empty class."""
        return getattr(Nothing("samna", (), {}), name)


for name in NAMES:
    sys.modules[name] = Absent(name)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, sys.modules[name])
sys.path.insert(0, str(Path(__file__).parents[2] / "deploy"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sinabs.backend.dynapcnn import DynapcnnNetwork  # noqa: E402
from sinabs.backend.dynapcnn.chips.dynapcnn import DynapcnnConfigBuilder  # noqa: E402
from sinabs.backend.dynapcnn.mapping import get_valid_mapping  # noqa: E402
from speck_sinabs import SpeckModel  # noqa: E402


@torch.no_grad()
def run(source: str, target: str) -> None:
    """Round, place and run a network from rest."""
    given = np.load(source)
    events = torch.from_numpy(given["events"]).float()  # (T, B, channels, height, width)
    time, batch = events.shape[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SpeckModel(given, batch)
        network = DynapcnnNetwork(model, tuple(events.shape[2:]), batch, discretize=True)
    layers = [network.dynapcnn_layers[k] for k in range(int(given["layers"]))]
    placed = get_valid_mapping(network.dynapcnn_layers, DynapcnnConfigBuilder.get_constraints())
    found = {"placed": np.array(len(placed))}
    spikes: dict[int, torch.Tensor] = {}

    def watch(k: int, neurons: torch.nn.Module) -> None:
        neurons.reset_states()
        neurons.record_states = True
        neurons.register_forward_hook(lambda module, inputs, fired: spikes.update({k: fired}))

    for k, layer in enumerate(layers):
        watch(k, layer.spk_layer)
        memory = layer.memory_summary()
        bias = layer.conv_layer.bias
        found |= {
            f"weight{k}": layer.conv_layer.weight.numpy(),
            f"bias{k}": np.zeros(len(layer.conv_layer.weight)) if bias is None else bias.numpy(),
            f"threshold{k}": layer.spk_layer.spike_threshold.numpy(),
            f"lower{k}": layer.spk_layer.min_v_mem.numpy(),
            f"memory{k}": np.array([memory[key] for key in ("kernel", "neuron", "bias")]),
        }
    network(events.transpose(0, 1).flatten(0, 1))
    for k, layer in enumerate(layers):
        found[f"spikes{k}"] = spikes[k].unflatten(0, (batch, time)).transpose(0, 1).numpy()
        found[f"v{k}"] = layer.spk_layer.recordings["v_mem"].transpose(0, 1).numpy()
    np.savez(target, **found)


if __name__ == "__main__":
    for given, found in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        run(given, found)
