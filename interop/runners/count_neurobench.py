"""NeuroBench's own metrics of a NIR file: count_neurobench.py JOBS.json.

JOBS.json is a list of objects with the keys model, input, output, dt, batch. INPUT.npz holds `x`,
(samples, time, *features), and `y`. OUTPUT.json is what NeuroBench's `save_benchmark_results`
wrote, with what it said of every layer beside it.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import snntorch
import torch
from chain import torch_chain
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    ClassificationAccuracy,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from snntorch import utils
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

METRICS = [
    [Footprint, ConnectionSparsity, ParameterCount],
    [ClassificationAccuracy, ActivationSparsity, SynapticOperations],
]


class Network(nn.Module):
    """A chain with the signature that `SNNTorchModel` expects: an output and a state."""

    def __init__(self, layers: nn.Sequential) -> None:
        """`layers` answer one timestep."""
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """One timestep."""
        return self.layers(x), None

    def reset(self) -> None:
        """Forget all membranes."""
        utils.reset(self.layers)


def neuron(beta: float, threshold: float) -> nn.Module:
    """Reset to zero: snnTorch does it a step later, which gives the same spikes."""
    return snntorch.Leaky(beta, threshold, reset_mechanism="zero", init_hidden=True)


def count(job: dict) -> None:
    """Do one job."""
    network = Network(torch_chain(job["model"], neuron, job["dt"]))
    buffers = sum(b.numel() * b.element_size() for b in network.buffers())
    given = np.load(job["input"])
    data = TensorDataset(torch.from_numpy(given["x"]), torch.from_numpy(given["y"]))
    benchmark = Benchmark(
        SNNTorchModel(network),
        DataLoader(data, batch_size=job["batch"]),
        [],
        [lambda logits: logits.mean(1).argmax(1)],
        METRICS,
    )
    with torch.no_grad():
        benchmark.run(quiet=True)
    path = Path(job["output"])
    benchmark.save_benchmark_results(str(path.with_suffix("")))
    told = {
        "version": f"neurobench {importlib.metadata.version('neurobench')}",
        "buffer_bytes": buffers,
        "results": json.loads(path.read_text(encoding="utf-8")),
    }
    path.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    for listed in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        count(listed)
