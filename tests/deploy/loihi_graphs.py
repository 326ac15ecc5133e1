"""Random layers as Loihi takes them."""

from __future__ import annotations

import torch

from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection


def layer(name, shape, *projections, alpha=None, beta=0.9, threshold=1.0, bias=0.0, **rest):
    full = [torch.full(shape, float(x), dtype=torch.float64) for x in (beta, threshold, bias)]
    alpha = None if alpha is None else torch.full(shape, float(alpha), dtype=torch.float64)
    return Layer(name, shape, projections, alpha, *full, **rest)


def dense(source, inputs, outputs, generator, size=0.4):
    weight = size * torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    return Projection(source, f"{source}_weight", "dense", weight, (inputs,), (outputs,))


def two_layers(seed, *, alpha=None, bias=0.0, recurrent=False, size=0.4):
    """5 inputs, 7 neurons, 4 neurons, a leak of its own for each."""
    generator = torch.Generator().manual_seed(seed)
    into = [dense(INPUT, 5, 7, generator, size)]
    if recurrent:
        into.append(dense("hidden", 7, 7, generator, size))
    hidden = layer("hidden", (7,), *into, alpha=alpha, bias=bias)
    hidden.beta.uniform_(0.5, 1.0, generator=generator)
    hidden.bias.mul_(torch.randn(7, generator=generator, dtype=torch.float64))
    output = layer("output", (4,), dense("hidden", 7, 4, generator, size), beta=0.97, bias=bias)
    return ChipGraph((hidden, output), (5,), 12, "rate")


def images(seed):
    """2 channels of 8x8, summed over 2x2, a convolution with padding, then 3 dense neurons."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return 0.4 * torch.randn(*size, generator=generator, dtype=torch.float64)

    first = Projection(
        INPUT, "conv", "convolution", normal(3, 2, 3, 3), (2, 8, 8), (3, 2, 2),
        pool=(2, 2), stride=(2, 2), padding=(1, 1),
    )  # fmt: skip
    second = Projection("maps", "fc", "dense", normal(3, 12), (3, 2, 2), (3,))
    maps = layer("maps", (3, 2, 2), first, alpha=0.5)
    return ChipGraph((maps, layer("output", (3,), second)), (2, 8, 8), 10, "rate")


def events(graph, seed, timesteps=12, batch=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (timesteps, batch, *graph.input_shape), generator=generator)
