r"""Layers of a network on the cores of Speck: how much memory each takes, and which core has it.

.. math::
    \text{kernel} = c_\text{in} \cdot
        2^{\lceil \log_2 k_h k_w \rceil + \lceil \log_2 c_\text{out} \rceil}, \qquad
    \text{neurons} = c_\text{out} \cdot 2^{\lceil \log_2 h \rceil + \lceil \log_2 w \rceil}

entries (h and w of the neurons, before pooling), and a bias for every output channel. Cores differ
in size, so placing is a matching between layers and cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from mpo_snn.profiles.chip import ChipProfile

from .finding import Finding, Usage
from .speck_convolution import Convolution


@dataclass(frozen=True)
class Memory:
    """Entries that a layer takes, or a core has.

    Attributes:
        kernel: of weights.
        neuron: of membranes.
        bias: of biases.
    """

    kernel: int
    neuron: int
    bias: int

    def fits(self, core: Memory) -> bool:
        """Whether a core has as much."""
        return all(used <= there for _, used, there in self.beside(core))

    def beside(self, core: Memory) -> tuple[tuple[str, int, int], ...]:
        """Resource, what is needed, what is there."""
        return (
            ("kernel", self.kernel, core.kernel),
            ("neuron", self.neuron, core.neuron),
            ("bias", self.bias, core.bias),
        )


@dataclass(frozen=True)
class Placement:
    """Where layers go.

    Attributes:
        cores: of each layer; layers without one are absent.
        usage: of the memories of each core that is taken, and of all cores.
        findings: what does not fit, and by how much.
    """

    cores: Mapping[str, int]
    usage: tuple[Usage, ...]
    findings: tuple[Finding, ...]


def memory_of(convolution: Convolution, has_bias: bool) -> Memory:
    """What a layer takes."""
    out, into, down, across = convolution.weight.shape
    _, height, width = convolution.output_shape
    return Memory(
        kernel=into << (_bits(down * across) + _bits(out)),
        neuron=out << (_bits(height) + _bits(width)),
        bias=out if has_bias else 0,
    )


def cores_of(profile: ChipProfile) -> list[Memory]:
    """What each core has."""
    kernels, neurons = profile.value("limit.kernel_memory"), profile.value("limit.neuron_memory")
    bias = profile.value("limit.bias_memory")
    return [Memory(kernel, neuron, bias) for kernel, neuron in zip(kernels, neurons, strict=True)]


def place(layers: Mapping[str, Memory], profile: ChipProfile) -> Placement:
    """Give as many layers as possible a core each."""
    cores, names, needs = cores_of(profile), list(layers), list(layers.values())
    graph = nx.Graph()  # layers are 0, 1, ...; cores are -1, -2, ...
    graph.add_nodes_from(range(len(needs)))
    for index, need in enumerate(needs):
        for core in range(len(cores)):
            if need.fits(cores[core]):
                graph.add_edge(index, -1 - core)
    matching = nx.bipartite.hopcroft_karp_matching(graph, range(len(needs)))
    placed = {names[k]: -1 - matching[k] for k in range(len(needs)) if k in matching}
    usage = [Usage("cores", len(layers), len(cores), "cores")]
    for name, core in sorted(placed.items(), key=lambda pair: pair[1]):
        usage += _usage(f"core {core}", layers[name], cores[core])
    findings, crowds = [], set()
    source = profile.constant("limit.kernel_memory").source
    for index, name in enumerate(names):
        if index in matching:
            continue
        if not graph[index]:
            nearest, finding = _too_large(name, needs[index], cores, source)
            usage += _usage(f"{name}, for core {nearest}", needs[index], cores[nearest])
            findings.append(finding)
            continue
        crowd = _crowd(graph, matching, index)
        if crowd not in crowds:
            crowds.add(crowd)
            findings.append(_too_many(crowd, names, graph, source))
    return Placement(placed, tuple(usage), tuple(findings))


def _bits(count: int) -> int:
    """Logarithm to base 2, rounded up."""
    return (count - 1).bit_length()


def _usage(where: str, need: Memory, core: Memory) -> list[Usage]:
    return [
        Usage(f"{where} {resource} memory", used, there, "entries")
        for resource, used, there in need.beside(core)
    ]


def _too_large(
    name: str, need: Memory, cores: Sequence[Memory], source: str
) -> tuple[int, Finding]:
    """The core that comes nearest, and what it lacks."""

    def excess(core: int) -> float:
        return sum(max(0.0, used / there - 1.0) for _, used, there in need.beside(cores[core]))

    nearest = min(range(len(cores)), key=excess)
    lacks = [(r, used, there) for r, used, there in need.beside(cores[nearest]) if used > there]
    found = " and ".join(f"{used:,} entries of {resource} memory" for resource, used, _ in lacks)
    allowed = " and ".join(
        f"{there:,} of {resource} ({used - there:,} fewer)" for resource, used, there in lacks
    )
    fix = {
        "kernel": "fewer channels or smaller kernels, or more pooling in front of a dense layer",
        "neuron": "fewer channels, or a stride or pooling in front",
        "bias": "fewer channels, or no bias",
    }
    return nearest, Finding(
        name,
        f"{found}, too much for every core",
        f"{allowed} on core {nearest}, which comes nearest",
        "; ".join(fix[resource] for resource, _, _ in lacks),
        source,
    )


def _crowd(graph: nx.Graph, matching: Mapping[int, int], index: int) -> frozenset[int]:
    """Layers that have fewer cores between them than they are (a violator of Hall's condition)."""
    crowd, waiting = {index}, [index]
    while waiting:
        for core in graph[waiting.pop()]:
            other = matching.get(core)
            if other is not None and other not in crowd:
                crowd.add(other)
                waiting.append(other)
    return frozenset(crowd)


def _too_many(crowd: Iterable[int], names: Sequence[str], graph: nx.Graph, source: str) -> Finding:
    members = sorted(crowd)
    cores = sorted({-1 - core for member in members for core in graph[member]})
    excess = len(members) - len(cores)
    where = names[members[0]] if len(members) == 1 else "network"
    return Finding(
        where,
        f"{len(members)} layers ({', '.join(names[member] for member in members)}) for the"
        f" {len(cores)} cores that have the memory for any of them"
        f" ({', '.join(map(str, cores))})",
        "one layer per core",
        f"{excess} fewer of these layers, or smaller ones that other cores can hold",
        source,
    )
