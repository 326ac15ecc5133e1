"""A deployment as a testbench sees it: nothing but what the files of its directory say."""

from __future__ import annotations

import io
import json
import re
import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files as files_in
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load

from mpo_snn.deploy.deployment import Deployment, Samples, deploy
from mpo_snn.deploy.files import TARGET, TENSORS, deployment_files
from mpo_snn.deploy.layers import ChipGraph
from mpo_snn.deploy.network_file import NETWORK_FILE
from mpo_snn.deploy.record import report_of
from mpo_snn.deploy.vectors import VECTORS, vectors_file
from mpo_snn.inference import Inference
from mpo_snn.profiles.chip import ChipProfile, load_chip_profile
from tests.docs.blocks import blocks_of


@dataclass(frozen=True)
class Written:
    """What is read back.

    Attributes:
        network: network.json.
        tensors: int64.
        design: values of [neuron] and [format] in target.toml.
        vectors: int64.
        deployment: what was written, for comparison.
        files: all of it but the manifest, by name.
    """

    network: dict[str, Any]
    tensors: dict[str, np.ndarray]
    design: dict[str, Any]
    vectors: dict[str, np.ndarray]
    deployment: Deployment
    files: dict[str, bytes | str]


def own_profile(folder: Path, chip: str = "fpga", **values: Any) -> ChipProfile:
    """A shipped profile as a file of one's own, with other values; `bias` is added."""
    text = (files_in("mpo_snn.profiles") / "chips" / f"{chip}.toml").read_text()
    for key, value in values.items():
        line = f"value = {json.dumps(value)}"
        text, count = re.subn(rf"(\[\w+\.{key}\]\n)value = .*", rf"\g<1>{line}", text)
        if not count:
            text += f'\n[neuron.{key}]\n{line}\nstatus = "exact"\nsource = "test"\n'
    (folder / "mine.toml").write_text(text)
    return load_chip_profile(folder / "mine.toml")


def noise(graph: ChipGraph, count: int, seed: int, most: int) -> Samples:
    """Frames of up to so many events, with classes that mean nothing."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, graph.timesteps, *graph.input_shape)
    x = torch.randint(0, most + 1, shape, generator=generator).float()
    return Samples(x, torch.randint(0, graph.output.size, (count,), generator=generator), "noise")


def written(profile: ChipProfile, graph: ChipGraph, count: int, most: int) -> Written:
    """Deploy, write, read; test vectors of so many samples, of up to `most` events."""
    graph = replace(graph, encoding="frames")
    few = noise(graph, count + 2, 3, most)
    some = replace(few, index=torch.arange(100, 100 + len(few.y)))
    deployment = deploy(graph, profile, some, noise(graph, 20, 4, most).x)
    report = report_of(deployment, "a", "b", 1e-4)
    inference = Inference("digits", graph.timesteps, 1e-4, graph.encoding, "spike_count")
    files = deployment_files(deployment, report, inference, None)
    files[VECTORS] = vectors_file(deployment, some, count)
    vectors = dict(np.load(io.BytesIO(files[VECTORS])))
    assert all(np.issubdtype(one.dtype, np.integer) for one in vectors.values())
    assert vectors["index"].tolist() == list(range(100, 100 + count))
    assert vectors["label"].tolist() == few.y[:count].tolist()
    assert vectors["answer"].tolist() == deployment.chip.predicted[:count]
    target = tomllib.loads(files[TARGET].decode())
    return Written(
        json.loads(files[NETWORK_FILE]),
        {name: value.astype(np.int64) for name, value in load(files[TENSORS]).items()},
        {
            key: x["value"]
            for part in ("neuron", "format")
            for key, x in target.get(part, {}).items()
        },
        {name: value.astype(np.int64) for name, value in vectors.items()},
        deployment,
        files,
    )


def cores_page() -> tuple[dict[str, Any], str]:
    """What the blocks of docs/cores.md define, and the last, which reads a deployment."""
    defined: dict[str, Any] = {}
    blocks = blocks_of(Path(__file__).parents[2] / "docs" / "cores.md")
    *first, last = (block.code for block in blocks if block.language == "python")
    for code in first:
        exec(compile(code, "cores.md", "exec"), defined)
    return defined, last
