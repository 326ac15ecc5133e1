"""SpikingJelly's own counters on a NIR file: count_spikingjelly.py JOBS.json.

Jobs and inputs are those of `count_neurobench`. The network runs as SpikingJelly recommends, in
multi-step mode, in batches; OUTPUT.json holds counts summed over all samples.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import torch
from chain import torch_chain
from loguru import logger
from spikingjelly.activation_based import functional, layer
from spikingjelly.activation_based import neuron as neurons
from spikingjelly.activation_based.op_counter import SimpleEnergyProfiler
from torch import nn


def neuron(beta: float, threshold: float) -> nn.Module:
    """Charge v <- v * beta + x, reset to zero."""
    return neurons.LIFNode(
        tau=1.0 / (1.0 - beta),
        decay_input=False,
        v_threshold=threshold,
        v_reset=0.0,
        step_mode="m",
    )


def count(job: dict) -> None:
    """Do one job."""
    chain = torch_chain(job["model"], neuron, job["dt"])
    network = nn.Sequential(
        *(
            each if isinstance(each, neurons.BaseNode) else layer.SeqToANNContainer(each)
            for each in chain
        )
    ).eval()
    given = np.load(job["input"])
    x, y = torch.from_numpy(given["x"]).transpose(0, 1), torch.from_numpy(given["y"])
    spikes: list[torch.Tensor] = []
    for each in network:
        if isinstance(each, neurons.BaseNode):
            each.register_forward_hook(lambda *call: spikes.append(call[2]))
    total: dict[str, float] = {}
    right = 0
    for start in range(0, len(y), job["batch"]):
        chosen = slice(start, start + job["batch"])
        functional.reset_net(network)
        profiler = SimpleEnergyProfiler()
        profiler.bind_model(network)
        with profiler, torch.no_grad():
            logits = network(x[:, chosen])
        right += int((logits.mean(0).argmax(1) == y[chosen]).sum())
        report = profiler.get_report()
        of_operators = profiler.ac_counter.get_counts()["Global"]
        figures = {
            **{key: int(value) for key, value in report.counts.items()},
            **{f"ac of {operator}": int(n) for operator, n in of_operators.items()},
            "energy_mac_pj": report.energy_mac_pj,
            "energy_ac_pj": report.energy_ac_pj,
            "energy_memory_pj": report.energy_memory_pj,
        }
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    told = {
        "version": f"spikingjelly {importlib.metadata.version('spikingjelly')}",
        "results": {
            "samples": len(y),
            "correct": right,
            "spikes": sum(int(each.sum()) for each in spikes),
            **total,
        },
    }
    Path(job["output"]).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    logger.remove()
    for listed in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        count(listed)
