"""What lies in a deployment directory, as bytes and texts by name (`mpo_snn.deploy.directory`)."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nir
import numpy as np
import torch
from safetensors.torch import save

import mpo_snn
from mpo_snn.graph.metadata import GraphMetadata, write_metadata

from .deployment import Deployment
from .grid_graph import grid_graph
from .layers import ChipGraph
from .manifest import SCHEMA_VERSION
from .network_file import NETWORK_FILE, network_file
from .page import render_deployment
from .real_run import with_values
from .vendor import loading_files

if TYPE_CHECKING:
    from mpo_snn.data.dataset import Dataset
    from mpo_snn.inference import Inference

REAL, NETWORK, TENSORS = "float.nir", "quantized.nir", "tensors.safetensors"
REPORT, PAGE, TARGET = "report.json", "report.html", "target.toml"
CHIP_KEY = "mpo_snn_chip"
"""In the metadata of the graph: target, and per layer scale, shifts and the like, as JSON."""


def deployment_files(
    deployment: Deployment,
    report: dict[str, Any],
    inference: Inference,
    dataset: Dataset | None,
) -> dict[str, bytes | str]:
    """All files but the manifest.

    Args:
        deployment: what was deployed.
        report: what was found out (`mpo_snn.deploy.record`).
        inference: how the network is run.
        dataset: what it was measured on, which the NIR files name with its scaling and classes;
            None where it has neither.
    """
    tensors = {name: value.contiguous() for name, value in deployment.integers.tensors().items()}
    integers, target = deployment.integers, deployment.profile
    values = integers.on_grid()
    facts = {name: dict(one.facts) for name, one in values.items()}
    rounded = with_values(integers.graph, values)
    what = (f"values on the grid of {target.title}, in real units",)
    return {
        REAL: _network(deployment.graph, inference, dataset, ()),
        NETWORK: _network(
            rounded, inference, dataset, what, {"target": target.name, "layers": facts}
        ),
        TENSORS: save(tensors, metadata={"target": deployment.profile.name}),
        NETWORK_FILE: network_file(deployment, inference),
        REPORT: json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        PAGE: render_deployment(report),
        **({TARGET: target.file} if target.file else {}),
        **loading_files(deployment),
    }


def manifest_of(report: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """What the manifest says besides the hashes of the files: where all this comes from."""
    weights = source / "model.safetensors" if source.is_dir() else source
    return {
        "schema_version": SCHEMA_VERSION,
        "target": report["target"]["name"],
        "neuron": report["target"]["neuron"],
        "format": report["target"]["format"],
        "source": report["source"],
        "source_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "command": report["command"],
        "data": report["data"],
        "accuracy_percent": {
            name: answers["percent"] for name, answers in report["accuracy"].items()
        },
        "versions": {
            "mpo-snn": mpo_snn.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


def _network(
    layers: ChipGraph,
    inference: Inference,
    dataset: Dataset | None,
    notes: tuple[str, ...],
    chip: Mapping[str, Any] | None = None,
) -> bytes:
    """Layers as the bytes of a NIR file."""
    graph, behaviour = grid_graph(layers, inference.dt)
    resets = {one.reset for one in behaviour.values()}
    write_metadata(
        graph,
        GraphMetadata(
            dt=inference.dt,
            timesteps=inference.timesteps,
            encoding=inference.encoding,
            readout=inference.readout,
            dataset=inference.dataset,
            input_scaling=dataset.input_scaling if dataset else "",
            reset="mixed" if len(resets) > 1 else resets.pop(),
            reset_timing="step",
            class_names=dataset.class_names if dataset else (),
            spiking={name: name for name in behaviour},
            folds=("everything linear in front of a layer into its weights",),
            notes=notes,
            writer=f"mpo-snn {mpo_snn.__version__}",
            nir_version="1.0.8",
            data=dataset.settings.shown if dataset and dataset.settings else None,
            neurons={name: asdict(one) for name, one in behaviour.items()},
        ),
    )
    if chip is not None:
        graph.metadata[CHIP_KEY] = json.dumps(chip)
    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer.getvalue()
