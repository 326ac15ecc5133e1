"""Designs in fixed point, and random networks for them."""

from __future__ import annotations

from dataclasses import replace

import torch

from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection
from mpo_snn.profiles.chip import load_chip_profile
from mpo_snn.profiles.chip_constant import ChipConstant

FPGA = load_chip_profile("fpga")
WHERE = {name: table for table in ("neuron", "format") for name in FPGA.tables[table]}
WHERE |= {
    "bias": "neuron",
    "weight_fraction_bits": "format",
    "neurons": "limit",
    "synapses": "limit",
}


def design(**values):
    """The shipped design with other values; None leaves one out."""
    tables = {table: dict(constants) for table, constants in FPGA.tables.items()}
    for name, value in values.items():
        tables[WHERE[name]].pop(name, None)
        if value is not None:
            tables[WHERE[name]][name] = ChipConstant(value, "", "source", f"test of {name}")
    return replace(FPGA, tables=tables)


def layer(name, shape, *projections, beta=1.0, threshold=1.0, bias=0.0, alpha=None, **rest):
    def full(value):
        value = torch.as_tensor(value, dtype=torch.float64)
        return value.expand(shape).clone()

    alpha = None if alpha is None else full(alpha)
    return Layer(name, shape, projections, alpha, full(beta), full(threshold), full(bias), **rest)


def dense(source, inputs, outputs, weight):
    shape = inputs if isinstance(inputs, tuple) else (inputs,)
    return Projection(source, f"{source}_weight", "dense", weight, shape, (outputs,))


def mixed(seed, beta=0.75, reset="zero", most_spikes=1, bias=0.1, size=0.4):
    """2 channels of 6x6; a convolution behind sums over 2x2; 5 recurrent neurons; 3 outputs.

    The outputs see the map of the convolution as well as the recurrent neurons.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return size * torch.randn(*shape, generator=generator, dtype=torch.float64)

    kernel = Projection(
        INPUT, "conv", "convolution", normal(3, 2, 2, 2), (2, 6, 6), (3, 3, 3),
        pool=(2, 2), stride=(2, 2), padding=(2, 2),
    )  # fmt: skip
    how = {"beta": beta, "reset": reset, "most_spikes": most_spikes}
    maps = layer("maps", (3, 3, 3), kernel, bias=bias * normal(3, 1, 1), **how)
    forth = dense("maps", (3, 3, 3), 5, normal(5, 27))
    inner = layer("inner", (5,), forth, dense("inner", 5, 5, normal(5, 5)), threshold=0.8, **how)
    ahead = dense("maps", (3, 3, 3), 3, normal(3, 27))
    last = layer("last", (3,), dense("inner", 5, 3, normal(3, 5)), ahead, **how)
    return ChipGraph((maps, inner, last), (2, 6, 6), 8, "rate")


def events(graph, seed, timesteps=8, batch=2, most=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (timesteps, batch, *graph.input_shape)
    return torch.randint(0, most + 1, shape, generator=generator)
