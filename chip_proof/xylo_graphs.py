"""Networks in real numbers for Xylo's quantizer: random ones, and one trained on digits."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from mpo_snn.deploy.deployment import events_of
from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection

EPOCHS = 10


def random_graph(seed: int, hidden: tuple[int, int] = (20, 12)) -> ChipGraph:
    """8 inputs, recurrent neurons, more neurons, 4 outputs; every leak and bias its own.

    Args:
        seed: of weights, leaks, thresholds and biases.
        hidden: neurons of both hidden layers.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def leak(size: int, most: int) -> Tensor:
        return 1.0 - torch.exp2(-torch.randint(1, most, (size,), generator=generator).double())

    def layer(name: str, size: int, most_spikes: int, **sources: int) -> Layer:
        projections = tuple(
            Projection(
                source,
                source,
                "dense",
                normal(size, n) * (0.2 if source == name else 1.0) / n**0.5,
                (n,),
                (size,),
            )
            for source, n in sources.items()
        )
        threshold = 1.0 + torch.rand(size, generator=generator, dtype=torch.float64)
        values = (leak(size, 3), leak(size, 5), threshold, 0.05 * normal(size))
        return Layer(name, (size,), projections, *values, "subtract", most_spikes)

    a, b = hidden
    layers = (
        layer("a", a, 31, **{INPUT: 8, "a": a}),
        layer("b", b, 31, a=a),
        layer("c", 4, 1, b=b),
    )
    return ChipGraph(layers, (8,), 200, "counts")


def trained_graph(run: str | None) -> tuple[ChipGraph, Tensor, Tensor]:
    """A trained network of handwritten digits.

    Args:
        run: run directory; None trains the recipe digits-xylo for `EPOCHS` epochs.

    Returns:
        the network, events of 64 training samples to calibrate on, and those of 64 test samples,
        (T, 64, inputs).
    """
    return _trained(run)


@cache
def _trained(run: str | None) -> tuple[ChipGraph, Tensor, Tensor]:
    from mpo_snn.data.for_graph import load_calibration, load_for_graph
    from mpo_snn.deploy.read_layers import read_layers
    from mpo_snn.export.nir_export import DEFAULT_DT
    from mpo_snn.export.proof import export_run_for_chip, metadata_of
    from mpo_snn.graph.shapes import input_shape
    from mpo_snn.inference import resolve_inference
    from mpo_snn.training.rundir import open_run

    with tempfile.TemporaryDirectory() as folder:
        if run is None:
            run = f"{folder}/run"
            command = f"-m mpo_snn.cli.train digits-xylo --epochs {EPOCHS} --quiet --output {run}"
            subprocess.run([sys.executable, *command.split()], check=True, capture_output=True)
        opened = open_run(Path(run))
        export = export_run_for_chip(opened)
        metadata = metadata_of(opened, export, DEFAULT_DT, "1.0.8")
        inference = resolve_inference(metadata)
        where = opened.recipe.data.path
        shape = input_shape(export.graph)
        dataset = load_for_graph(inference, metadata, shape, path=where, samples=64)
        calibration = load_calibration(inference, metadata, 64, path=where).x
    read = read_layers(
        export.graph,
        inference.dt,
        inference.timesteps,
        inference.encoding,
        inference.readout,
        export.behaviour,
    )
    if read.graph is None:
        raise RuntimeError(f"{run} is no network for Xylo: {[str(f) for f in read.findings]}")
    samples = dataset.test_x[: len(dataset.test_x)]
    return read.graph, events_of(read.graph, calibration), events_of(read.graph, samples)
