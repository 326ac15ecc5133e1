"""`make deploy-proof`: random networks in our cores and in simulators that others wrote.

Each network runs 200 steps; every spike and every membrane of every neuron has to be the same
integer. The table goes to docs/chips.md.

    python -m chip_proof.compare FOLDER_OF_ENVIRONMENTS
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mpo_snn.deploy.layers import ChipGraph
from mpo_snn.deploy.loihi_core import run_loihi
from mpo_snn.deploy.loihi_quantize import quantize_loihi
from mpo_snn.deploy.speck_check import placement_of
from mpo_snn.deploy.speck_convolution import as_convolution
from mpo_snn.deploy.speck_core import run_speck
from mpo_snn.deploy.speck_placement import memory_of
from mpo_snn.deploy.speck_quantize import quantize_speck
from mpo_snn.deploy.speck_vendor import vendor_arrays
from mpo_snn.deploy.xylo_core import run_xylo
from mpo_snn.files import write_file
from mpo_snn.graph.neuron_behaviour import ResetKind
from mpo_snn.profiles.chip import load_chip_profile

from .loihi_graphs import described, image_graph, recurrent_graph
from .networks import loihi_neurons, speck_layers, xylo_arrays, xylo_network
from .speck_graphs import digits_graph

STEPS, BATCH, SEEDS = 200, 2, 20
RUNNERS = Path(__file__).parent / "runners"
Made = tuple[dict[str, Any], dict[str, torch.Tensor], int]
"""A network as arrays, what our core makes of it, and how often that was at a rail."""
PAGE = Path(__file__).parent.parent / "docs" / "chips.md"


@dataclass
class Tally:
    """What came of one kind of network.

    Attributes:
        networks: how many ran.
        integers: how many integers were compared.
        different: how many of them differ.
        rails: how often our core saturated, wrapped or clamped.
    """

    networks: int = 0
    integers: int = 0
    different: int = 0
    rails: int = 0

    def add(self, ours: torch.Tensor, theirs: np.ndarray) -> None:
        """Compare one array."""
        if tuple(ours.shape) != theirs.shape:
            raise AssertionError(f"shapes {tuple(ours.shape)} and {theirs.shape}")
        self.integers += ours.numel()
        self.different += int((ours.numpy() != theirs).sum())


def main() -> int:
    """Compare everything; 1 if an integer differs."""
    environments = Path(sys.argv[1] if len(sys.argv) > 1 else ".interop")
    rows = []
    for name, simulator, environment, runner, make in KINDS:
        tally = Tally()
        made = [make(seed) for seed in range(SEEDS)]
        python = environments / environment / "bin" / "python"
        theirs = _run(python, runner, [arrays for arrays, _, _ in made])
        for (_, ours, rails), found in zip(made, theirs, strict=True):
            for key, values in ours.items():
                tally.add(values, found[key])
            tally.networks += 1
            tally.rails += rails
        rows.append((name, simulator, tally))
        print(
            f"{name:34} {simulator:20} {tally.networks:3} networks  {tally.integers:10,} integers"
            f"  {tally.different:6,} different  {tally.rails:9,} at a rail",
            flush=True,
        )
    write_file(PAGE, _page(rows))
    return int(any(tally.different for _, _, tally in rows))


def _run(python: Path, runner: str, networks: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    """What a simulator makes of all networks, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        files = [(f"{folder}/{k}.npz", f"{folder}/{k}.found.npz") for k in range(len(networks))]
        for (given, _), arrays in zip(files, networks, strict=True):
            np.savez(given, **arrays)
        command = [python, RUNNERS / runner, *(name for pair in files for name in pair)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{runner} does not run: {done.stderr.strip().splitlines()[-1:]}")
        return [dict(np.load(found)) for _, found in files]


def _xylo(version: Any, large: bool) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        network = xylo_network(seed, version, large=large)
        generator = torch.Generator().manual_seed(seed)
        events = torch.randint(0, 18, (STEPS, BATCH, 6), generator=generator)
        run = run_xylo(network, events)
        keys = ("output", "hidden", "v_hidden", "v_output")
        ours = {key: getattr(run, key).transpose(0, 1) for key in keys}
        return xylo_arrays(network) | {"events": events}, ours, run.saturated

    return make


def _speck(most_spikes: int | None, reset: ResetKind) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        layers = speck_layers(seed, most_spikes, reset)
        generator = torch.Generator().manual_seed(seed)
        events = torch.randint(0, 3, (STEPS, BATCH, 2, 12, 12), generator=generator)
        arrays: dict[str, Any] = {"events": events, "layers": len(layers)}
        arrays |= {"spikes": "single" if most_spikes == 1 else "multi", "reset": reset}
        for index, layer in enumerate(layers):
            arrays[f"pool{index}"] = layer.sources[0].pool[0]
            for key in ("weight", "bias", "threshold", "lower"):
                arrays[f"{key}{index}"] = getattr(layer, key)
        run = run_speck(layers, events, keep_v=True)
        ours = {}
        for index, layer in enumerate(layers):
            ours |= {f"spikes{index}": run.spikes[layer.name], f"v{index}": run.v[layer.name]}
        dropped = (int((run.v[layer.name] == layer.lower).sum()) for layer in layers)
        return arrays, ours, sum(dropped)

    return make


def _speck_network(reset: ResetKind, most_spikes: int, bias: bool, skip: bool) -> Any:
    """A float network through our quantizer and theirs: integers, memory, spikes, membranes."""
    profile = load_chip_profile("speck-2e")

    def make(seed: int) -> Made:
        graph = digits_graph(seed, reset, most_spikes, bias=bias, skip=skip)
        network = quantize_speck(graph, profile)
        placement = placement_of(graph, profile)
        generator = torch.Generator().manual_seed(seed)
        events = torch.randint(0, 3, (STEPS, BATCH, *graph.input_shape), generator=generator)
        run = run_speck(network.layers, events, keep_v=True)
        ours = {"placed": torch.tensor(len(placement.cores))}
        for k, layer in enumerate(network.layers):
            memory = memory_of(as_convolution(graph.layers[k]), bias)
            ours |= {
                f"weight{k}": layer.weight,
                f"bias{k}": layer.bias,
                f"threshold{k}": torch.tensor(layer.threshold),
                f"lower{k}": torch.tensor(layer.lower),
                f"memory{k}": torch.tensor((memory.kernel, memory.neuron, memory.bias)),
                f"spikes{k}": run.spikes[layer.name],
                f"v{k}": run.v[layer.name],
            }
        dropped = (int((run.v[layer.name] == layer.lower).sum()) for layer in network.layers)
        return vendor_arrays(network) | {"events": events}, ours, sum(dropped)

    return make


def _loihi(bits: int) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        neurons = loihi_neurons(seed)
        generator = torch.Generator().manual_seed(seed)
        total = torch.randint(-(1 << bits), 1 << bits, (STEPS, BATCH, 16), generator=generator)
        keys = ("decay_u", "decay_v", "threshold", "bias", "v_min", "v_max")
        arrays = {key: getattr(neurons, key) for key in keys} | {"total": total}
        run = run_loihi(neurons, total)
        ours = {key: getattr(run, key) for key in ("spikes", "u", "v")}
        return arrays, ours, run.overflows + run.clamped

    return make


def _loihi_network(graph_of: Callable[[int], ChipGraph], most: int) -> Callable[[int], Made]:
    """Rounded by us from real numbers; up to `most` events of an input in a step."""

    def make(seed: int) -> Made:
        graph = graph_of(seed)
        generator = torch.Generator().manual_seed(seed)
        shape = (STEPS, BATCH, *graph.input_shape)
        calibration = torch.randint(0, 2, shape, generator=generator)
        events = torch.randint(0, most + 1, shape, generator=generator)
        network = quantize_loihi(graph, load_chip_profile("loihi-1"), calibration)
        states = network.rest(BATCH)
        steps: dict[str, list[torch.Tensor]] = {}
        for fired in network.steps(events, states):
            for name, state in states.items():
                values = (fired[name].flatten(1).long(), state.u, state.v)
                for kind, value in zip(("spikes", "u", "v"), values, strict=True):
                    steps.setdefault(f"{kind}.{name}", []).append(value)
        ours = {key: torch.stack(values) for key, values in steps.items()}
        arrays = {"events": events, **described(graph), **network.tensors()}
        return arrays, ours, sum(state.overflows + state.clamped for state in states.values())

    return make


_XYLO = ("xylosim 0.1.3", "chips", "run_xylosim.py")
_NETWORK = ("sinabs 3.1.3", "legacy", "run_dynapcnn_network.py")
_SPECK = ("sinabs 3.1.3", "legacy", "run_dynapcnn.py")
_LOIHI = ("nengo-loihi 1.1.0", "loihi", "run_nengo_loihi.py")
_LOIHI_NETWORK = ("nengo-loihi 1.1.0", "loihi", "run_nengo_loihi_network.py")
KINDS = (
    ("Xylo, core 1", *_XYLO, _xylo(1, False)),
    ("Xylo, core 1, large weights", *_XYLO, _xylo(1, True)),
    ("Xylo, core 2", *_XYLO, _xylo(2, False)),
    ("Xylo, core 2, large weights", *_XYLO, _xylo(2, True)),
    ("Speck, multi, subtract", *_SPECK, _speck(None, "subtract")),
    ("Speck, single, subtract", *_SPECK, _speck(1, "subtract")),
    ("Speck, multi, zero", *_SPECK, _speck(None, "zero")),
    ("Speck, float network", *_NETWORK, _speck_network("subtract", 32_767, False, False)),
    ("Speck, float network, biases", *_NETWORK, _speck_network("zero", 1, True, False)),
    ("Speck, float network, two ways", *_NETWORK, _speck_network("subtract", 3, True, True)),
    ("Loihi", *_LOIHI, _loihi(17)),
    ("Loihi, sums beyond 22 bits", *_LOIHI, _loihi(23)),
    ("Loihi network, recurrent", *_LOIHI_NETWORK, _loihi_network(recurrent_graph, 1)),
    ("Loihi network, beyond its rails", *_LOIHI_NETWORK, _loihi_network(recurrent_graph, 100)),
    ("Loihi network, convolutions, pooling", *_LOIHI_NETWORK, _loihi_network(image_graph, 1)),
)
"""Name, simulator and version, environment, runner, and what makes a network of a seed."""


def _page(rows: list[tuple[str, str, Tally]]) -> str:
    lines = [
        "# Integer cores of chips",
        "",
        "`mpo_snn.deploy` has the arithmetic of Xylo, Speck and Loihi in whole numbers, as their",
        "simulators have it. `make deploy-proof` runs random networks in both and compares every",
        f"spike and every membrane of every neuron: {SEEDS} networks of each kind, {STEPS} steps,",
        f"{BATCH} samples.",
        "",
        "| core | simulator | networks | integers | different | at a rail |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {simulator} | {tally.networks} | {tally.integers:,} |"
            f" {tally.different:,} | {tally.rails:,} |"
            for name, simulator, tally in rows
        ),
        "",
        "At a rail: saturated, wrapped, clamped or dropped to the lower limit in our core, so the",
        "rails are compared too. Core 2 of Xylo negates its decay in 16 bits: at -32768 with",
        "`dash_mem` 0 that wraps and the membrane stays where it is, in xylosim as here. The two",
        "emulators of Loihi differ from each other once a current reaches 2^23; this core is two's",
        "complement, as nengo-loihi's, and counts every overflow.",
        "",
        "Speck's float networks are rounded twice, by `quantize_speck` and by sinabs'",
        "DynapcnnNetwork: weights, biases, thresholds, lowest membranes and memory are compared as",
        "well, and how many layers find a core, before the same events run in both.",
        "",
        "The silicon was not at hand. Speck has no timesteps: its step simulation is what can be",
        "checked.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
