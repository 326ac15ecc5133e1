"""Small networks for the tests of Speck, as chips see them."""

from __future__ import annotations

from dataclasses import replace

import torch

from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection
from mpo_snn.profiles.chip import load_chip_profile

PROFILE = load_chip_profile("speck-2e")


def convolution(source, into, out, kernel=3, stride=1, padding=1, pool=1, seed=0):
    """A projection with square or given sides and random weights."""
    kernel, stride, padding, pool = (
        one if isinstance(one, tuple) else (one, one) for one in (kernel, stride, padding, pool)
    )
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, into[0], *kernel, generator=generator, dtype=torch.float64) / 5
    sides = [
        (into[axis + 1] // pool[axis] + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1
        for axis in (0, 1)
    ]
    return Projection(
        source, f"weight of {source}", "convolution", weight, into, (out, *sides), pool, stride,
        padding,
    )  # fmt: skip


def dense(source, into, out, pool=1, seed=1):
    """Likewise, to a row of neurons."""
    size = into[0]
    for side in into[1:]:
        size *= side // pool
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, size, generator=generator, dtype=torch.float64) / size**0.5
    return Projection(
        source, f"weight of {source}", "dense", weight, into, (out,), (pool, pool)
    )  # fmt: skip


def layer(name, *projections, **other):
    """IF neurons of threshold 1 and lowest membrane -1 that fire often."""
    shape = projections[0].output_shape
    ones = torch.ones(shape, dtype=torch.float64)
    given = {"reset": "subtract", "most_spikes": 32_767, "lower": -1.0} | other
    for key in ("beta", "threshold", "bias"):
        if key in given:
            given[key] = torch.as_tensor(given[key], dtype=torch.float64).expand(shape).clone()
    usual = Layer(name, shape, projections, None, ones, ones, 0 * ones)
    return replace(usual, **given)


def network(*layers):
    """The layers, whose input is what the first projection from it takes."""
    shape = next(p.source_shape for one in layers for p in one.projections if p.source == INPUT)
    return ChipGraph(layers, shape, 8, "counts")


def digits(**other):
    """1x8x8, two convolutions with pooling between, 10 classes."""
    return network(
        layer("first", convolution(INPUT, (1, 8, 8), 8), **other),
        layer("second", convolution("first", (8, 8, 8), 16, pool=2, seed=2), **other),
        layer("last", dense("second", (16, 4, 4), 10, pool=2), **other),
    )
