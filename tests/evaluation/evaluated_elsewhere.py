"""Evaluates graphs on the CPU and on another device; what differs is told as JSON.

A program of its own, since a device that torch was told of stays (`another_device`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from mpo_snn.encoding import encode
from mpo_snn.evaluation import evaluate
from mpo_snn.evaluation.activity import batches, measure_activity
from mpo_snn.evaluation.evaluate import Evaluation, evaluate_graph
from mpo_snn.evaluation.one_sample import look_at_sample
from mpo_snn.evaluation.robustness import measure_robustness
from mpo_snn.evaluation.setting import Setting
from mpo_snn.export.nir_export import export_nir
from mpo_snn.graph.simulate import Simulator
from mpo_snn.networks import build_network
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled
from tests.evaluation import another_device
from tests.evaluation.conftest import DT, TIMESTEPS, small_dataset, small_graph

IMAGE = (3, 16, 16)


def main() -> None:
    """Everything that `mpo-evaluate --device` runs on the device."""
    torch.manual_seed(0)
    another_device.register()
    evaluate._device = lambda name: name  # knows cpu and cuda alone
    data = small_dataset()
    cases = {
        "every kind of connection": (small_graph(), data, "direct"),
        "resnet18": (
            with_statistics(NetworkSettings("resnet18", channel_scale=0.0625)),
            images(),
            "direct",
        ),
        "synaptic, rates": (
            with_statistics(NetworkSettings("convnet", channels=(4, 8)), "synaptic"),
            images(),
            "rate",
        ),
    }
    print(
        json.dumps(
            {name: compare(*case) for name, case in cases.items()}
            | {"to host": [to_host(small_graph(), data, steps) for steps in (2, 9)]}
        )
    )


def images() -> Any:
    return small_dataset(samples=7, shape=IMAGE, classes=10)


def with_statistics(settings: NetworkSettings, model: str = "leaky") -> Any:
    """An exported network of random weights whose batchnorm has seen images, so that it fires."""
    network = build_network(settings, NeuronSettings(model=model), IMAGE, 10)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        Unrolled(network, TIMESTEPS)(encode(torch.rand(8, *IMAGE), TIMESTEPS))
    return export_nir(network.eval(), IMAGE).graph


def compare(graph: Any, data: Any, encoding: str) -> dict[str, Any]:
    """What is the same on both devices, and whether anything happened at all."""
    here = Setting("noise", TIMESTEPS, DT, encoding, "mean", batch_size=4)
    there = replace(here, device=f"{another_device.NAME}:0")
    faults = {"kinds": ("dropped_spikes", "clock_jitter", "weight_bits"), "seeds": (0,)}
    found = [evaluate_graph(graph, data, here)]
    levels = [measure_robustness(graph, data, here, **faults)]
    samples = [look_at_sample(graph, data, here, 1)]
    with another_device.Device() as device:
        found.append(evaluate_graph(graph, data, there))
        levels.append(measure_robustness(graph, data, there, **faults))
        samples.append(look_at_sample(graph, data, there, 1))
    return {
        "operators there": device.kernels,
        "silent layers": found[0].activity.silent,
        "counts": counts(found[0]) == counts(found[1]),
        "robustness": [asdict(level) for level in levels[0]]
        == [asdict(level) for level in levels[1]],
        "sample": samples[0] == samples[1],
    }


def counts(found: Evaluation) -> Any:
    activity = found.activity
    return (
        {name: value.tolist() for name, value in activity.spike_counts.items()},
        {name: value.tolist() for name, value in activity.class_spikes.items()},
        [found.operations(layer) for layer in found.layers],
        activity.decisions.correct,
    )


def to_host(graph: Any, data: Any, timesteps: int) -> list[int]:
    """How often something goes to the host while one batch and while three are run."""
    place, taken = f"{another_device.NAME}:0", []
    for size in (len(data.test_x), 4):
        with another_device.Device() as device:
            simulator = Simulator(graph, DT, device=place)
            before = len(device.to_host)
            parts = batches(data.test_x, data.test_y, size)
            measure_activity(
                simulator,
                parts,
                timesteps=timesteps,
                encoding="direct",
                readout="mean",
                device=place,
            )
        taken.append(len(device.to_host) - before)
    return taken


if __name__ == "__main__":
    main()
