"""The cores as docs/cores.md has them, and nothing of the project's own, against test vectors.

What runs is the Python of the page, with the files of a deployment directory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mpo_snn.deploy.layers import INPUT, ChipGraph, Projection
from mpo_snn.profiles.chip import load_chip_profile

from .chips import network
from .fixed_point_designs import dense, layer
from .loihi_graphs import images
from .loihi_graphs import two_layers as two_loihi_layers
from .speck_graphs import convolution
from .speck_graphs import dense as speck_dense
from .speck_graphs import layer as speck_layer
from .speck_graphs import network as speck_network
from .test_xylo_quantize import layer as xylo_layer
from .written import cores_page, own_profile, written

PAGE, READING = cores_page()

K = 3
OTHER = {"leak_order": "before", "rounding": "zero", "overflow": "wrap", "compare": ">=",
         "reset": "subtract", "weight_bits": 6, "state_bits": 9}  # fmt: skip
FACTOR = {"leak": "multiply", "leak_bits": 7, "leak_order": "after", "rounding": "half_up",
          "most_spikes": 3}  # fmt: skip
BARE = {"bias": False, "leak": "none", "state_bits": 10}


def biased(graph: ChipGraph, threshold: float = 1.0, **given: Any) -> ChipGraph:
    """The same with biases, alike in a channel, thresholds by a factor, and other values."""
    generator = torch.Generator().manual_seed(9)
    layers = []
    for one in graph:
        of_channel = torch.randn(one.shape[0], *[1] * (len(one.shape) - 1), generator=generator)
        bias = (0.05 * of_channel.double()).expand(one.shape).clone()
        values = {"bias": bias, "threshold": threshold * one.threshold, **given}
        layers.append(replace(one, **values))
    return replace(graph, layers=tuple(layers))


def assert_the_page_runs_it(profile, graph, most=1):
    """Every spike and state of every step; what was read is handed back."""
    found = written(profile, graph, K, most)
    how, names = found.network["run"], [one["name"] for one in found.network["layers"]]
    for sample in range(K):
        events = found.vectors["input"][:, sample]
        steps = PAGE["run"](found.network, found.tensors, found.design, events)
        for t, (fired, states) in enumerate(steps):
            for name in names:
                wanted = {
                    part: found.vectors[f"{name}.{part}"][t, sample].flatten().tolist()
                    for part in ("spikes", "v", "u", "i")
                    if f"{name}.{part}" in found.vectors
                }
                assert fired[name].tolist() == wanted.pop("spikes"), (t, name)
                assert "v" in wanted
                for part, values in wanted.items():
                    assert [s[part] for s in states[name]] == values, (t, name, part)
            if t >= how["delay_steps"]:
                output = found.vectors["output"][t - how["delay_steps"], sample]
                assert output.tolist() == fired[how["output_layer"]].tolist()
        assert t == how["steps"] - 1 and len(events) == how["timesteps"]
    assert all(found.vectors[f"{name}.spikes"].any() for name in names)
    said = {name for one in found.network["layers"] for name in one["tensors"].values()}
    for one in found.network["layers"]:
        said |= {name for source in one["sources"] for name in source["tensors"].values()}
    assert said == set(found.tensors)
    return found


@pytest.mark.parametrize("values", [{}, OTHER, FACTOR, BARE])
def test_fixed_point_runs_by_the_page(values, tmp_path) -> None:
    given = {key: values[key] for key in ("reset", "most_spikes") if key in values}
    graph = network("fixed_point")
    if "bias" in values:
        layers = tuple(replace(one, beta=torch.ones_like(one.beta)) for one in graph)
        graph = replace(graph, layers=layers)
    else:
        graph = biased(graph, **given)
    found = assert_the_page_runs_it(own_profile(tmp_path, **values), graph)
    assert ("a.bias" in found.tensors) == ("bias" not in values)


def both_ways(seed: int) -> ChipGraph:
    """Maps whose sides windows do not fill, two layers that drive each other, three outputs.

    They run against the alphabet. `maps` is a convolution with stride and padding.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return 0.5 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    kernel = Projection(
        INPUT, "conv", "convolution", normal(3, 2, 3, 2), (2, 7, 9), (3, 3, 2),
        pool=(2, 3), stride=(1, 2), padding=(1, 1),
    )  # fmt: skip
    pooled = Projection("zoom", "fc", "dense", normal(6, 3), (3, 3, 2), (6,), pool=(2, 2))
    how = {"beta": 0.75}
    zoom = layer("zoom", (3, 3, 2), kernel, **how)
    young = layer("young", (6,), pooled, dense("beta", 5, 6, normal(6, 5)), **how)
    beta = layer(
        "beta", (5,), dense("young", 6, 5, normal(5, 6)), dense("beta", 5, 5, normal(5, 5))
    )
    alpha = layer(
        "alpha", (3,), dense("beta", 5, 3, normal(3, 5)), dense("young", 6, 3, normal(3, 6))
    )
    return ChipGraph((zoom, young, beta, alpha), (2, 7, 9), 8, "counts")


@pytest.mark.parametrize("values", [{}, OTHER])
def test_a_loop_of_two_layers_in_fixed_point(values, tmp_path) -> None:
    given = {key: values[key] for key in ("reset",) if key in values}
    graph = biased(both_ways(3), **given)
    found = assert_the_page_runs_it(own_profile(tmp_path, **values), graph, most=3)
    layers = {one["name"]: one for one in found.network["layers"]}
    assert list(layers) == ["zoom", "young", "beta", "alpha"]
    delayed = {
        (name, source["source"])
        for name, one in layers.items()
        for source in one["sources"]
        if source["delayed"]
    }
    assert delayed == {("young", "beta"), ("beta", "beta")}
    (source,) = layers["zoom"]["sources"]
    assert (source["pool"], source["stride"], source["padding"]) == ([2, 3], [1, 2], [1, 1])


@pytest.mark.parametrize(
    "graph",
    [
        biased(network("loihi")),
        biased(two_loihi_layers(5, alpha=0.5, recurrent=True)),
        biased(images(3)),
    ],
    ids=["plain", "recurrent", "maps"],
)
def test_loihi_runs_by_the_page(graph) -> None:
    first, last = graph.layers
    graph = replace(graph, layers=(first, replace(last, name="alpha")))
    found = assert_the_page_runs_it(load_chip_profile("loihi-1"), graph)
    assert found.network["run"]["delay_steps"] == 2
    assert all(x["delayed"] for one in found.network["layers"] for x in one["sources"])


def dotted() -> ChipGraph:
    """Names whose parts could be those of others: 'a.b' takes 'x', 'a' takes 'b.x'; twice 'x'."""
    generator = torch.Generator().manual_seed(1)

    def way(source, inputs, outputs):
        weight = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
        return dense(source, inputs, outputs, weight)

    names = {"x": [way(INPUT, 16, 6)], "b.x": [way(INPUT, 16, 6)], "x.1": [way(INPUT, 16, 6)]}
    names |= {"a.b": [way("x", 6, 5)], "a": [way("b.x", 6, 5)]}
    names["last"] = [way("x", 6, 4), way("x", 6, 4), way("x.1", 6, 4), way("a", 5, 4),
                     way("a.b", 5, 4)]  # fmt: skip
    layers = [layer(name, (len(of[0].weight),), *of, beta=0.75) for name, of in names.items()]
    return ChipGraph(tuple(layers), (16,), 6, "counts")


@pytest.mark.parametrize("chip", ["fpga", "loihi-1"])
def test_names_with_dots_keep_every_weight(chip) -> None:
    """Two weights of one name were one in the file, the last."""
    graph = dotted()
    found = assert_the_page_runs_it(load_chip_profile(chip), graph, most=1)
    weights = [name for name in found.tensors if name.endswith((".weight", ".weight_mantissa"))]
    assert len(weights) == sum(len(one.projections) for one in graph) == 10


def branches() -> ChipGraph:
    """Two ways beside each other from the input to four outputs, against the alphabet.

    The graph has one way behind the other; in the population, layers lie by their distance.
    """
    return ChipGraph(
        (
            xylo_layer("west", 6, {INPUT: 8, "west": 6}, 1),
            xylo_layer("south", 5, {"west": 6}, 2),
            xylo_layer("north", 7, {INPUT: 8}, 3),
            xylo_layer("east", 4, {"north": 7}, 4),
            xylo_layer("alpha", 4, {"east": 4, "south": 5}, 5, most_spikes=1),
        ),
        (8,),
        10,
        "counts",
    )


def test_xylo_runs_by_the_page() -> None:
    """Of 17 events a step in a channel the chip sees 15."""
    found = assert_the_page_runs_it(load_chip_profile("xylo-audio3"), biased(branches()), most=17)
    layers = found.network["layers"]
    assert [(one["name"], one["neurons"]) for one in layers] == [
        ("west", [0, 6]), ("north", [6, 13]), ("south", [13, 18]), ("east", [18, 22]),
        ("alpha", [0, 4]),
    ]  # fmt: skip
    assert [(one["source"], one["rows"]) for one in layers[-1]["sources"]] == [
        ("south", [13, 18]), ("east", [18, 22]),
    ]  # fmt: skip


def test_the_page_reads_a_folder(tmp_path, monkeypatch) -> None:
    """The last block as it stands; it tells a spike that is not the test vector's."""
    found = written(load_chip_profile("xylo-audio3"), biased(branches()), K, 2)
    (tmp_path / "deployment").mkdir()
    for name, content in found.files.items():
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / "deployment" / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    exec(READING, dict(PAGE))
    vectors = {**found.vectors, "alpha.spikes": 1 - found.vectors["alpha.spikes"]}
    np.savez(tmp_path / "deployment" / "vectors.npz", **vectors)
    with pytest.raises(AssertionError, match="alpha"):
        exec(READING, dict(PAGE))


def two_kernels() -> ChipGraph:
    """A layer with a 3x3 and a 5x5 kernel, one with two sources of one kernel, then a dense one."""
    shared = convolution("wide", (2, 4, 4), 3, seed=3)
    return speck_network(
        speck_layer("wide", convolution(INPUT, (1, 8, 8), 2, stride=2, seed=1)),
        speck_layer("near", convolution("wide", (2, 4, 4), 2, seed=2)),
        speck_layer(
            "both",
            convolution("wide", (2, 4, 4), 3, kernel=3, padding=1, seed=3),
            convolution("near", (2, 4, 4), 3, kernel=5, padding=2, seed=4),
        ),
        speck_layer("again", shared, replace(shared, source="near")),
        speck_layer("alpha", speck_dense("both", (3, 4, 4), 5, pool=2),
                    speck_dense("again", (3, 4, 4), 5, pool=2, seed=2)),
    )  # fmt: skip


@pytest.mark.parametrize("given", [{}, {"reset": "zero", "most_spikes": 1}])
def test_speck_runs_by_the_page(given) -> None:
    graph = biased(two_kernels(), threshold=0.5, **given)
    found = assert_the_page_runs_it(load_chip_profile("speck-2e"), graph, most=2)
    layers = {one["name"]: one for one in found.network["layers"]}

    def channels(name):
        return [(x["source"], x["channels"]) for x in layers[name]["sources"]]

    assert channels("both") == [("wide", [0, 2]), ("near", [2, 4])]
    assert channels("again") == [("wide", [0, 2]), ("near", [0, 2])]
    assert channels("alpha") == [("both", [0, 3]), ("again", [3, 6])]
    assert [x["padding"] for x in layers["both"]["sources"]] == [[2, 2], [2, 2]]
    assert found.tensors["both.weight"].shape == (3, 4, 5, 5)
    assert not found.tensors["both.weight"][:, :2, [0, 4]].any()  # the smaller kernel's rim
