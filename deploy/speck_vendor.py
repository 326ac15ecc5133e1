"""What the vendor's tool takes: files of a model of sinabs for the machine that holds the chip.

sinabs rounds the float network itself; what comes out are the integers of `quantize_speck`
(`make deploy-proof`). samna, its driver, installs itself anew when it is imported and belongs into
an environment of its own: the files need neither it nor mpo-snn until the chip is opened.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mpo_snn.errors import DeployError
from mpo_snn.profiles.chip import ChipProfile

from .layers import INPUT
from .speck_check import placement_of
from .speck_convolution import as_convolution, map_of
from .speck_loading import loading_findings
from .speck_quantize import SpeckNetwork

STEPS = """\
Loading onto {title}

1. An environment with the chip's driver (Linux):
       python -m venv speck && speck/bin/pip install sinabs==3.1.3
   It brings samna, which fetches its binary part when it is imported for the first time.
2. In this folder, with the board attached:
       import numpy as np
       from sinabs.backend.dynapcnn import DynapcnnNetwork
       from speck_sinabs import SpeckModel

       model = SpeckModel(np.load("speck.npz"))
       chip = DynapcnnNetwork(model, input_shape={shape}, batch_size=1, dvs_input=False)
       chip.to(device="{device}", monitor_layers=[-1], layer2core_map={cores})
3. Do not run `model` or `chip` before `chip.to`: membranes that are left behind change the scale
   and are loaded as well. `reset_states()` of every IAF layer sets them back.
4. Count the events of each output channel; {outputs} channels, one per class. The read-out of the
   chip itself takes up to {classes} classes, and a fault of the hardware maps channel 4k to
   class k + 1.
{bias}"""
DEVICES = {"speck-2e": "speck2edevkit:0", "speck-2f": "speck2fmodule:0"}
"""Boards, as sinabs names them."""
BIAS = """\
5. The network has biases. The chip adds them on the ticks of a slow clock, not by timesteps: give
   chip.to(..., slow_clk_frequency=HERTZ) one tick per timestep of your input.
"""


def vendor_arrays(network: SpeckNetwork) -> dict[str, Any]:
    """The float network, as `mpo_snn.deploy.speck_sinabs` reads it.

    Raises:
        DeployError: if sources stand side by side or input is pooled, which sinabs cannot say.
    """
    names = [layer.name for layer in network.graph]
    arrays: dict[str, Any] = {"layers": len(names)}
    findings = [str(finding) for finding in loading_findings(network.graph)]
    if findings:
        raise DeployError("cannot write the network for sinabs", findings)
    for k, (layer, quantized) in enumerate(zip(network.graph, network.layers, strict=True)):
        convolution = as_convolution(layer)
        sources = [
            -1 if source.name == INPUT else names.index(source.name)
            for source in convolution.sources
        ]
        bias = layer.bias.flatten(1)[:, 0] if layer.bias.dim() > 1 else layer.bias
        values = {
            "name": layer.name,
            "weight": convolution.weight.float().numpy(),
            "bias": bias.float().numpy(),
            "threshold": float(layer.threshold.flatten()[0]),
            "lower": network.lower[k],
            "stride": convolution.stride,
            "padding": convolution.padding,
            "most_spikes": quantized.most_spikes or 0,
            "reset": layer.reset,
            "sources": sources,
            "pools": [source.pool[0] for source in convolution.sources],
        }
        arrays |= {f"{key}{k}": value for key, value in values.items()}
    return arrays


def speck_files(network: SpeckNetwork, profile: ChipProfile) -> dict[str, bytes | str]:
    """Arrays, the module that reads them, and the steps that load them on a board, by file name.

    Args:
        network: to be loaded.
        profile: of the chip; its name says which board.

    Raises:
        DeployError: as `vendor_arrays`.
    """
    packed = io.BytesIO()
    np.savez(packed, **vendor_arrays(network))
    names = [layer.name for layer in network.graph]
    cores = placement_of(network.graph, profile).cores
    is_one_order = len(cores) == len(names) and all(
        before in network.graph.layer(name).sources for before, name in pairwise(names)
    )  # else sinabs may number layers otherwise
    text = STEPS.format(
        title=profile.title,
        shape=map_of(network.graph.input_shape),
        device=DEVICES.get(profile.name, f"{profile.name.replace('-', '')}devkit:0"),
        cores={k: cores[name] for k, name in enumerate(names)} if is_one_order else '"auto"',
        outputs=network.graph.output.size,
        classes=profile.value("neuron.readout_classes"),
        bias=BIAS if any(bool(layer.bias.any()) for layer in network.layers) else "",
    )
    source = (Path(__file__).parent / "speck_sinabs.py").read_text(encoding="utf-8")
    return {
        "speck.npz": packed.getvalue(),
        "speck_sinabs.py": source,
        "load_on_speck.txt": text,
    }
