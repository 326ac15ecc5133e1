"""Layers over the cores of Loihi: every core holds a block of one layer.

Layers are cut from the last to the first, since how many cores read a block decides how many axons
leave it. Each takes the fewest cores whose blocks fit: neurons, axons in and out, synapse memory,
leaks and thresholds. Limits that the profile does not have are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mpo_snn.profiles.chip import ChipProfile

from .finding import Finding, Usage
from .layers import ChipGraph, Layer
from .loihi_core import DECAY_ONE
from .loihi_format import decay_of_current, decay_of_membrane
from .loihi_memory import core_memory
from .loihi_tiles import Tile, pixels_reached, solid, tilings

RESOURCES = {
    "neurons": "limit.neurons_per_core",
    "input axons": "limit.in_axons",
    "output axons": "limit.out_axons",
    "synapse memory": "limit.synapse_memory",
    "pairs of leaks": "limit.compartment_configs",
    "thresholds": "limit.threshold_configs",
}
"""What a core has, and the key of its limit."""
_FIXES = {
    "input axons": "pool more, or make the layer in front smaller",
    "output axons": "make the layers behind smaller, so that fewer cores read it",
    "synapse memory": "pool more, or make the layer in front smaller",
}
_ATOMS = 32
"""Channels that a spike of one axon can tell apart; with more it takes two places."""


@dataclass(frozen=True)
class Block:
    """What one core holds.

    Attributes:
        layer: whose neurons.
        tile: which of them.
        uses: of each resource in `RESOURCES` that the profile has a limit for.
    """

    layer: str
    tile: Tile
    uses: Mapping[str, int]


@dataclass(frozen=True)
class LoihiPlacement:
    """All blocks.

    Attributes:
        blocks: layer by layer in the order of the network, a core for each.
        limits: of each resource of a core that the profile has.
        findings: what does not fit. A layer of which a neuron alone takes more of something than
            a core has is cut as if there were enough of it.
        usage: cores of the chip, and of each layer its cores and what its fullest core takes.
        places: of each layer, its cores in words.
    """

    blocks: tuple[Block, ...]
    limits: Mapping[str, int]
    findings: tuple[Finding, ...]
    usage: tuple[Usage, ...]
    places: Mapping[str, str]


def place_loihi(graph: ChipGraph, profile: ChipProfile) -> LoihiPlacement:
    """Give every layer its cores."""
    limits = {name: profile.value(key) for name, key in RESOURCES.items() if key in profile}
    placed: dict[str, list[Block]] = {}
    findings: list[Finding] = []
    for layer in reversed(graph.layers):
        blocks = _cut(graph, layer, placed, profile, limits)
        lacking = {
            name: most
            for name, limit in limits.items()
            if (most := max(block.uses[name] for block in blocks)) > limit
        }
        if lacking:
            findings += [_finding(layer, *one, profile) for one in lacking.items()]
            enough = {name: lacking.get(name, limit) for name, limit in limits.items()}
            blocks = _cut(graph, layer, placed, profile, enough)
        placed[layer.name] = blocks
    everything = tuple(block for layer in graph for block in placed[layer.name])
    cores: int = profile.value("limit.cores")
    if len(everything) > cores:
        findings.append(
            Finding(
                "network",
                f"{len(everything)} cores, of which "
                + ", ".join(f"'{layer.name}' takes {len(placed[layer.name])}" for layer in graph),
                f"up to {cores} cores",
                "make the layers that take most smaller",
                profile.constant("limit.cores").source,
            )
        )
    usage = [Usage("cores", len(everything), cores, "cores")]
    for layer in graph:
        usage.append(Usage(f"{layer.name} cores", len(placed[layer.name]), cores, "cores"))
        usage += [
            Usage(
                f"{layer.name} {resource}",
                max(block.uses[resource] for block in placed[layer.name]),
                limit,
                profile.constant(RESOURCES[resource]).unit,
            )
            for resource, limit in limits.items()
        ]
    return LoihiPlacement(
        everything, limits, tuple(reversed(findings)), tuple(usage), _places(graph, placed)
    )


def _places(graph: ChipGraph, placed: Mapping[str, list[Block]]) -> dict[str, str]:
    """Cores of each layer, numbered in the order of the layers."""
    places, start = {}, 0
    for layer in graph:
        stop = start + len(placed[layer.name])
        places[layer.name] = (
            f"core {start}" if stop == start + 1 else f"cores {start} to {stop - 1}"
        )
        start = stop
    return places


def _cut(
    graph: ChipGraph,
    layer: Layer,
    placed: Mapping[str, list[Block]],
    profile: ChipProfile,
    limits: Mapping[str, int],
) -> list[Block]:
    """The fewest blocks that fit, or the finest that there are."""
    weight_bits = profile.value("format.weight_bits")
    blocks: list[Block] = []
    for tiles in tilings(layer, limits["neurons"]):
        blocks = []
        for tile in tiles:
            uses = _uses(graph, layer, tile, tiles, placed, weight_bits)
            blocks.append(Block(layer.name, tile, {name: uses[name] for name in limits}))
            if len(tiles) < layer.size and not _fits(blocks[-1], limits):
                break
        else:
            if all(_fits(block, limits) for block in blocks):
                break
    return blocks


def _fits(block: Block, limits: Mapping[str, int]) -> bool:
    return all(block.uses[name] <= limit for name, limit in limits.items())


def _uses(
    graph: ChipGraph,
    layer: Layer,
    tile: Tile,
    tiles: list[Tile],
    placed: Mapping[str, list[Block]],
    weight_bits: int,
) -> dict[str, int]:
    memory = [core_memory(projection, tile, weight_bits) for projection in layer.projections]
    shape, at = solid(layer.shape), tile.slices
    leaks = decay_of_membrane(layer.beta)
    if layer.alpha is not None:
        leaks = leaks * DECAY_ONE + decay_of_current(layer.alpha)
    out = 0
    for reader in graph.readers(layer.name):
        targets = [block.tile for block in placed.get(reader.name, ())]
        out += _out_axons(layer, reader, tile, tiles if reader is layer else targets)
    return {
        "neurons": tile.size,
        "input axons": sum(one.axons for one in memory),
        "output axons": out,
        "synapse memory": sum(one.words for one in memory),
        "pairs of leaks": _different(leaks.reshape(shape)[at]),
        "thresholds": _different(layer.threshold.reshape(shape)[at]),
    }


def _different(values: Tensor) -> int:
    return len(set(values.flatten().tolist()))


def _out_axons(layer: Layer, reader: Layer, tile: Tile, targets: list[Tile]) -> int:
    """Axons from a block to the cores of a layer that reads it."""
    count = 0
    for projection in reader.projections:
        if projection.source != layer.name:
            continue
        if projection.kind == "dense":
            count += tile.size * len(targets)
        else:
            places = 1 if solid(layer.shape)[0] <= _ATOMS else 2
            count += places * sum(pixels_reached(projection, t, tile) for t in targets)
    return count


def _finding(layer: Layer, resource: str, most: int, profile: ChipProfile) -> Finding:
    """Not even one neuron fits on a core."""
    limit: int = profile.value(RESOURCES[resource])
    return Finding(
        layer.name,
        f"a neuron alone takes {most:,} {resource}, {most - limit:,} too many",
        f"up to {limit:,} on a core",
        _FIXES[resource],
        profile.constant(RESOURCES[resource]).source,
    )
