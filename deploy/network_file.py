"""`network.json`: in which order and along which ways the integers of a deployment are run.

With `tensors.safetensors` and the profile it is all that a testbench needs: `docs/cores.md` has the
steps, and a program that reads these files alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .deployment import Deployment

if TYPE_CHECKING:
    from mpo_snn.inference import Inference

NETWORK_FILE = "network.json"
SCHEMA_VERSION = 1


def network_file(deployment: Deployment, inference: Inference) -> str:
    """The text of the file.

    Args:
        deployment: what was deployed.
        inference: how the network is run.
    """
    integers, graph = deployment.integers, deployment.graph
    content = {
        "schema_version": SCHEMA_VERSION,
        "target": deployment.profile.name,
        "family": deployment.profile.family,
        "run": {
            "timesteps": graph.timesteps,
            "steps": graph.timesteps + integers.delay,
            "delay_steps": integers.delay,
            "dt_s": inference.dt,
            "encoding": graph.encoding,
            "readout": inference.readout,
            "input_shape": graph.input_shape,
            "output_layer": graph.output.name,
        },
        "layers": [_said(asdict(place)) for place in integers.places()],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _said(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer without the ranges that it does not have; other values may be null."""
    sources = [_ranged(source) for source in layer["sources"]]
    return {**_ranged(layer), "sources": sources}


def _ranged(values: dict[str, Any]) -> dict[str, Any]:
    ranges = ("neurons", "channels", "rows")
    return {key: value for key, value in values.items() if value is not None or key not in ranges}
