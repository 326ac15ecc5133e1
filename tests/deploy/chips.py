"""Small networks for each chip family, and their deployments, for tests."""

from __future__ import annotations

from functools import cache

import torch

from mpo_snn.deploy.deployment import Deployment, Samples, deploy
from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection
from mpo_snn.profiles.chip import load_chip_profile

T = 6
CHIPS = ("xylo-audio3", "speck-2e", "loihi-1", "fpga")


def layer(name: str, into: tuple, source: str, size: int, seed: int, **given) -> Layer:
    """Dense neurons over everything that a source has."""
    generator = torch.Generator().manual_seed(seed)
    fan_in = int(torch.Size(into).numel())
    weight = torch.randn(size, fan_in, generator=generator, dtype=torch.float64) / fan_in**0.5
    ones = torch.ones(size, dtype=torch.float64)
    values = {"alpha": None, "beta": ones, "threshold": 0.4 * ones, "bias": 0 * ones}
    projection = Projection(source, f"to {name}", "dense", weight, into, (size,))
    return Layer(name, (size,), (projection,), **(values | given))


def network(family: str) -> ChipGraph:
    """16 inputs, 30 neurons, 5 outputs, inside what the family can do."""

    def ones(size: int, value: float) -> torch.Tensor:
        return torch.full((size,), value, dtype=torch.float64)

    def neurons(size: int, output: bool) -> dict:
        if family == "xylo":
            return {
                "alpha": ones(size, 0.5),
                "beta": ones(size, 0.75),
                "reset": "subtract",
                "most_spikes": 1 if output else 31,
            }
        if family == "speck":
            return {"reset": "subtract", "most_spikes": 1, "lower": -0.4}
        return {"beta": ones(size, 0.5)}

    return ChipGraph(
        (
            layer("a", (1, 4, 4), INPUT, 30, 1, **neurons(30, False)),
            layer("b", (30,), "a", 5, 2, **neurons(5, True)),
        ),
        (1, 4, 4),
        T,
        "counts",
    )


def samples(count: int = 70) -> Samples:
    """Noise with classes that mean nothing."""
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(count, 1, 4, 4, generator=generator)
    return Samples(x, torch.randint(0, 5, (count,), generator=generator), "noise")


@cache
def deployed(chip: str) -> tuple[ChipGraph, Deployment]:
    """The network of the chip's family, and what becomes of it; once for all tests."""
    return deployed_as(chip, network(load_chip_profile(chip).family))


def deployed_as(chip: str, graph: ChipGraph) -> tuple[ChipGraph, Deployment]:
    """A network, and what becomes of it."""
    profile = load_chip_profile(chip)
    told: list[int] = []
    calibration = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(4))
    deployment = deploy(graph, profile, samples(), calibration, told.append)
    assert told == [64, 6]
    return graph, deployment
