"""nengo-loihi's emulator: whole networks of blocks, synapses and axons, on given spikes.

python run_nengo_loihi_network.py INPUT.npz OUTPUT.npz [INPUT.npz OUTPUT.npz ...]
needs numpy < 2, nengo and nengo-loihi. Convolutions go through nengo-loihi's own kernels that
pixels share, pooling windows through axons that lead to one pixel.
"""

from __future__ import annotations

import json
import sys
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.transforms import Convolution
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.conv import channel_idxs, conv2d_loihi_weights, pixel_idxs
from nengo_loihi.emulator import EmulatorInterface
from nengo_loihi.inputs import SpikeInput


def run(source: str, target: str) -> None:
    """Run every sample from rest."""
    given = np.load(source)
    layers = json.loads(str(given["layers"]))
    events = given["events"]  # (T, B, *shape)
    timesteps, batch = events.shape[:2]
    kinds = ("spikes", "u", "v")
    found: dict[str, list[Any]] = {f"{k}.{one['name']}": [] for one in layers for k in kinds}
    for sample in range(batch):
        spikes, blocks = built(given, layers, events[0, 0].size)
        for t in range(timesteps):
            counts = events[t, sample].reshape(-1)
            spikes.add_spikes(t + 1, np.repeat(np.arange(counts.size), counts))
        model = SimpleNamespace(blocks=list(blocks.values()), inputs=[spikes], probes=[], dt=0.001)
        with EmulatorInterface(model, seed=0) as emulator, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told of every overflow
            steps = []
            for _ in range(timesteps + int(given["delay"])):
                emulator.step()
                state = emulator.compartment
                steps.append((state.spiked.copy(), state.current.copy(), state.voltage.copy()))
            slices = emulator.block_info.slices
            for name, block in blocks.items():
                for index, kind in enumerate(kinds):
                    values = np.array([step[index][slices[block]] for step in steps])
                    found[f"{kind}.{name}"].append(values.astype(np.int64))
    np.savez(target, **{key: np.stack(values, 1) for key, values in found.items()})


def built(given: Any, layers: list[Any], inputs: int) -> tuple[SpikeInput, dict[str, LoihiBlock]]:
    """The input and a block for every layer, connected."""
    spikes = SpikeInput(inputs)
    blocks = {one["name"]: LoihiBlock(int(np.prod(one["shape"]))) for one in layers}
    for one in layers:
        block, name = blocks[one["name"]], one["name"]
        compartment = block.compartment
        compartment.decay_u = np.zeros(block.n_neurons, np.int32) + given[f"{name}.decay_u"]
        compartment.decay_v = given[f"{name}.decay_v"].astype(np.int32)
        compartment.vth = given[f"{name}.threshold_mantissa"].astype(np.int32) * 2**6
        mantissa, exponent = (given[f"{name}.bias_{part}"] for part in ("mantissa", "exponent"))
        compartment.bias = mantissa.astype(np.int32) * 2 ** exponent.astype(np.int32)
        compartment.scale_u = compartment.scale_v = False
        compartment.vmin, compartment.vmax = -(2**23) + 1, 2**23 - 1
        compartment.refract_delay = np.ones(block.n_neurons, dtype=np.int32)  # 1: none
        for projection in one["projections"]:
            part = f"{name}.{projection['source']}"
            synapse = connected(projection, given[f"{part}.weight_mantissa"], one["shape"])
            synapse.format(weight_exp=int(given[f"{part}.weight_exponent"]))
            scale = synapse.synapse_cfg.scale
            synapse.weights = [(w * scale).astype(np.int32) for w in synapse.weights]
            block.add_synapse(synapse)
            origin = blocks.get(projection["source"], spikes)
            origin.add_axon(leading(projection, synapse))
    return spikes, blocks


def connected(projection: Any, mantissa: np.ndarray, shape: list[int]) -> Synapse:
    """A synapse for every source neuron, or for every pixel of a convolution."""
    if projection["kind"] == "dense":
        synapse = Synapse(mantissa.shape[1])
        synapse.set_weights(mantissa.T.astype(np.float32))
        return synapse
    transform = Convolution(
        shape[0],
        pooled(projection),
        strides=projection["stride"],
        channels_last=False,
        padding="same" if projection["padding"][0] else "valid",
        kernel_size=mantissa.shape[2:],
        init=mantissa.transpose(2, 3, 1, 0).astype(np.float64),
    )
    assert list(transform.output_shape.shape) == shape
    synapse = Synapse(int(np.prod(pooled(projection)[1:])))
    synapse.set_population_weights(*conv2d_loihi_weights(transform), pop_type=32)
    return synapse


def leading(projection: Any, synapse: Synapse) -> Axon:
    """Axons from every source neuron; those of a pooling window lead to one pixel."""
    shape, pool = projection["source_shape"], projection["pool"]
    axon = Axon(synapse.n_axons)
    axon.target = synapse
    if projection["kind"] == "dense":
        axon.set_compartment_axon_map(np.arange(int(np.prod(shape))))
        return axon
    whole = ChannelFirst(shape)
    rows, columns = np.divmod(pixel_idxs(whole), shape[2])
    pixels = rows // pool[0] * pooled(projection)[2] + columns // pool[1]
    axon.set_compartment_axon_map(pixels, atoms=channel_idxs(whole))
    return axon


def pooled(projection: Any) -> tuple[int, int, int]:
    """What the convolution takes."""
    channels, height, width = projection["source_shape"]
    return channels, height // projection["pool"][0], width // projection["pool"][1]


class ChannelFirst:
    """A shape as nengo-loihi's index functions take it."""

    channels_last = False

    def __init__(self, shape: list[int]) -> None:
        """Take (C, H, W)."""
        self.size, self.n_channels = int(np.prod(shape)), shape[0]
        self.spatial_shape = tuple(shape[1:])


if __name__ == "__main__":
    for given, found in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        run(given, found)
