"""Files: round trips, old ones, and every way in which one can be wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch

from mpo_snn.errors import GraphError
from mpo_snn.graph.kinds import SUPPORTED
from mpo_snn.graph.read import read_graph
from mpo_snn.graph.simulate import Simulator
from tests.graph.foreign_files import INPUT, OUTPUT, write_file
from tests.graph.graphs import DT, affine, chain, full, li, lif


def image_graph() -> nir.NIRGraph:
    rng = np.random.default_rng(0)
    pair = lambda *values: np.array(values)  # noqa: E731
    return chain(
        (2, 8, 8),
        (3,),
        conv=nir.Conv2d((8, 8), rng.normal(size=(4, 1, 3, 1)), 1, "same", 1, 2, rng.normal(size=4)),
        lif=lif((4, 8, 8), v_leak=0.125, v_reset=-0.25),
        sum=nir.SumPool2d(pair(2, 2), pair(2, 2), pair(0, 0)),
        mean=nir.AvgPool2d(pair(2, 2), pair(1, 1), pair(1, 1)),
        flat=nir.Flatten({"input": np.array([4, 5, 5])}, 0, -1),
        linear=nir.Linear(rng.normal(size=(6, 100))),
        **{"if": nir.IF(full((6,), 1 / DT), full((6,), 0.5), full((6,), 0.125))},
        affine=affine(rng.normal(size=(3, 6)), rng.normal(size=3)),
        cubalif=nir.CubaLIF(
            full((3,), 2 * DT),
            full((3,), 4 * DT),
            full((3,), 2),
            full((3,), 0.125),
            full((3,), 0.25),
            full((3,), 0),
            full((3,), 1.5),
        ),
        sub=chain((3,), inner=lif((3,))),
        scale=nir.Scale(rng.normal(size=3)),
        i=nir.I(full((3,), 1 / DT)),
        threshold=nir.Threshold(full((3,), 0.25)),
        delay=nir.Delay(np.array([0, 1, 2]) * DT),
        cubali=nir.CubaLI(
            full((3,), 2 * DT), full((3,), 4 * DT), full((3,), 2), full((3,), 0), full((3,), 3)
        ),
        li=li((3,)),
    )


def sequence_graph() -> nir.NIRGraph:
    weight = np.random.default_rng(0).normal(size=(2, 3, 3))
    return chain((3, 9), (2, 4), conv=nir.Conv1d(9, weight, 2, 0, 1, 1, np.zeros(2)))


def test_the_example_has_every_kind() -> None:
    kinds = {
        type(node).__name__
        for example in (image_graph(), sequence_graph())
        for node in (*example.nodes.values(), example)
    }
    assert kinds == set(SUPPORTED)


@pytest.mark.parametrize("example", [image_graph, sequence_graph])
def test_round_trip(example: Callable[[], nir.NIRGraph], tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", example())
    loaded = read_graph(str(tmp_path / "a.nir"))
    before = Simulator(example(), DT, torch.float64)
    after = Simulator(loaded, DT, torch.float64)
    x = torch.randn(20, 2, *before.input_shape, generator=torch.Generator().manual_seed(1))
    assert before.run(x).output.any()
    assert torch.equal(before.run(x).output, after.run(x).output)
    assert loaded.edges == example().edges


def edited(
    path: Path, edit: Callable[[h5py.File], None], example: nir.NIRGraph | None = None
) -> Path:
    nir.write(path, example or chain((2,), n=lif(), fc=affine(np.eye(2))))
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def test_files_without_v_reset_reset_to_zero(tmp_path: Path) -> None:
    def strip(file: h5py.File) -> None:
        for name in ("lif", "if", "cubalif"):
            del file[f"node/nodes/{name}/v_reset"]

    loaded = read_graph(edited(tmp_path / "old.nir", strip, image_graph()))
    for name, shape in (("lif", (4, 8, 8)), ("if", (6,)), ("cubalif", (3,))):
        np.testing.assert_array_equal(loaded.nodes[name].v_reset, np.zeros(shape))


def test_scalar_parameters_load(tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", chain((2, 3), n=lif(()), k=li((1,))), compression=None)
    assert Simulator(read_graph(tmp_path / "a.nir"), DT).node_shapes["k"] == (2, 3)


def message(path: Path) -> str:
    with pytest.raises(GraphError) as caught:
        read_graph(path)
    text = str(caught.value)
    assert text.startswith(f"cannot read '{path}'")
    assert len(text.splitlines()) == (
        1 if len(caught.value.findings) < 2 else 1 + len(caught.value.findings)
    )
    return text


def test_not_a_file(tmp_path: Path) -> None:
    assert "there is no such file" in message(tmp_path / "none.nir")
    assert "it is not a file" in message(tmp_path)
    assert "there is no such file" in message(tmp_path / "a" / "b.nir")


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"hello world" * 100, b"\0" * 4096])
def test_not_hdf5(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.nir").write_bytes(content)
    assert "it is not an HDF5 file" in message(tmp_path / "a.nir")


def test_onnx_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"\x08\x08" * 100)
    text = message(tmp_path / "a.onnx")
    assert "it is an ONNX model" in text and "mpo-verify" in text and ".nir" in text


def test_batch_axes_in_front_are_named(tmp_path: Path) -> None:
    batched = {"input": {**INPUT, "shape": [1, 2]}, "output": {**OUTPUT, "shape": [1, 1, 2]}}
    text = message(write_file(tmp_path / "a.nir", batched))
    assert "'input' (Input) is (1, 2), with a batch axis of length 1 in front" in text
    assert "'output' (Output) is (1, 1, 2), with batch and time axes of length 1" in text
    assert "so write (2,)" in text and "takes" not in text
    text = message(write_file(tmp_path / "a.nir", {"input": {**INPUT, "shape": [1, 3]}}))
    assert "gives (1, 3), but 'fc' (Affine) takes (2,)" in text and "in front" not in text


def test_truncated_anywhere(tmp_path: Path) -> None:
    nir.write(tmp_path / "whole.nir", chain((2,), n=lif()))
    content = (tmp_path / "whole.nir").read_bytes()
    for size in [0, 7, 8, 100, *range(500, len(content), len(content) // 40), len(content) - 1]:
        (tmp_path / "part.nir").write_bytes(content[:size])
        text = message(tmp_path / "part.nir")
        assert "not an HDF5 file" in text or "truncated or damaged" in text


def test_single_damaged_bytes_never_escape(tmp_path: Path) -> None:
    """Each either does not matter or is told in a GraphError."""
    nir.write(tmp_path / "whole.nir", chain((2,), n=lif(), g=chain((2,), fc=affine(np.eye(2)))))
    content = (tmp_path / "whole.nir").read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / "a.nir").write_bytes(damaged)
        try:
            read_graph(tmp_path / "a.nir")
        except GraphError:
            refused += 1
    assert refused > 0


def test_damage_that_would_hang_libhdf5(tmp_path: Path) -> None:
    """A text that claims to be longer makes the heap's chain of objects end in free space of 0."""
    nir.write(tmp_path / "a.nir", chain((2,), n=lif()))
    content = bytearray((tmp_path / "a.nir").read_bytes())
    first = content.index(b"GCOL") + 16
    assert content[first : first + 2] == b"\x01\0"
    content[first + 9] = 4
    (tmp_path / "a.nir").write_bytes(content)
    assert "truncated or damaged (its texts are)" in message(tmp_path / "a.nir")


def put(path: str, value: Any) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        if path in file:
            del file[path]
        if value is not None:
            file[path] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (put("node", None), "it is an HDF5 file without the group 'node'"),
        (put("node", 3), "it is an HDF5 file without the group 'node'"),
        (put("node/type", None), "the graph has no type"),
        (put("node/type", 7), "the graph has the type np.int64(7), expected text"),
        (put("node/type", "Tree"), "the graph is of the unknown kind Tree; supported: Input,"),
        (put("node/nodes", None), "the graph (NIRGraph) has no nodes"),
        (put("node/nodes", 1), "nodes of the graph (NIRGraph) is no group"),
        (put("node/nodes/x", 1), "node 'x' is no group"),
        (put("node/metadata", 1), "metadata of the graph (NIRGraph) is no group"),
        (put("node/edges", None), "the graph (NIRGraph) has no edges"),
        (put("node/edges", [1, 2]), "edges of the graph (NIRGraph) are no list of pairs"),
        (put("node/edges", np.array([[b"a", b"b", b"c"]])), "are no list of pairs of node names"),
        (put("node/edges", np.array([[b"n", b"\xff"]])), "are no list of pairs of node names"),
        (put("node/edges", np.array([[b"n", b"ghost"]])), "names 'ghost', which is not in the"),
        (put("node/nodes/n/type", None), "node 'n' has no type"),
        (put("node/nodes/n/type", "Izhikevich"), "node 'n' is of the unknown kind Izhikevich"),
        (put("node/nodes/n/type", [1, 2]), "node 'n' has the type an array of shape (2,)"),
        (put("node/nodes/n/tau", None), "node 'n' (LIF) has no tau"),
        (put("node/nodes/n/speed", 1.0), "node 'n' (LIF) has the unknown field 'speed'"),
        (put("node/nodes/n/tau", "fast"), "tau of node 'n' (LIF) is 'fast', expected numbers"),
        (put("node/nodes/n/tau/x", 1), "tau of node 'n' (LIF) is a group, expected numbers"),
        (
            put("node/nodes/n/tau", [1.0, 2, 3]),
            "node 'n' (LIF) is malformed: its parameters differ in shape: tau (3,), r (2,), v_leak",
        ),
        (put("node/nodes/n/tau", [1.0, -1]), "tau of 'n' (LIF) is -1 s in 1 of 2 values"),
        (put("node/nodes/fc/weight", np.full((2, 2), np.nan)), "weight of 'fc' (Affine) has 4 NaN"),
        (put("node/nodes/fc/weight", np.ones((2, 3))), "'n' (LIF) gives (2,), but 'fc' (Affine)"),
        (put("node/nodes/input/shape", "wide"), "shape of node 'input' (Input) is 'wide'"),
    ],
)
def test_wrong_content(edit: Callable[[h5py.File], None], expected: str, tmp_path: Path) -> None:
    def clean(file: h5py.File) -> None:
        if expected.startswith("tau of node 'n' (LIF) is a group"):
            del file["node/nodes/n/tau"]
        edit(file)

    assert expected in message(edited(tmp_path / "a.nir", clean))


def test_a_file_with_a_single_node(tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", lif())
    assert "it holds a single LIF node, expected a NIRGraph" in message(tmp_path / "a.nir")


def test_a_wrong_node_in_a_subgraph_has_its_full_name(tmp_path: Path) -> None:
    nested = chain((2,), g=chain((2,), n=lif()))
    edit = put("node/nodes/g/nodes/n/type", "What")
    assert "node 'g.n' is of the unknown kind What" in message(edited(tmp_path / "a", edit, nested))


def test_links_are_not_followed(tmp_path: Path) -> None:
    def round_trip(file: h5py.File) -> None:
        file["node/nodes/n/metadata"] = file["node"]

    def soft(file: h5py.File) -> None:
        file["node/nodes/n/x"] = h5py.SoftLink("/node")

    def external(file: h5py.File) -> None:
        file["node/nodes/n/x"] = h5py.ExternalLink("/etc/passwd", "/")

    def elsewhere(file: h5py.File) -> None:
        del file["node/nodes/n/tau"]
        file["node/nodes/n"].create_dataset("tau", (2,), "f8", external=[("/dev/zero", 0, 16)])

    assert "is linked more than once" in message(edited(tmp_path / "a", round_trip))
    assert "is a link to elsewhere" in message(edited(tmp_path / "b", soft))
    assert "is a link to elsewhere" in message(edited(tmp_path / "c", external))
    assert "lies in another file" in message(edited(tmp_path / "d", elsewhere))


def test_groups_without_end(tmp_path: Path) -> None:
    deep = put("node/nodes/n/metadata/" + "/".join(["x"] * 300), 1)
    assert "nested more than 200 deep" in message(edited(tmp_path / "a", deep))


def test_more_data_than_memory(tmp_path: Path) -> None:
    def swell(file: h5py.File) -> None:
        del file["node/nodes/n/tau"]
        file["node/nodes/n"].create_dataset("tau", (2**30, 2**30), "f8", chunks=(1024, 1024))

    assert "truncated or damaged" in message(edited(tmp_path / "a", swell))


def test_timestep_of_the_metadata(tmp_path: Path) -> None:
    candidate = chain((2,), n=lif(leak=0.5, dt=1e-4))
    candidate.metadata["dt"] = 1e-4
    nir.write(tmp_path / "a.nir", candidate)
    assert read_graph(tmp_path / "a.nir").metadata["dt"] == 1e-4
    candidate.metadata["dt"] = 3e-4
    nir.write(tmp_path / "a.nir", candidate)
    assert "tau of 'n' (LIF) is 0.0002 s, shorter than dt = 0.0003 s" in message(tmp_path / "a.nir")


def test_all_findings_of_a_file(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        del file["node/nodes/n/tau"], file["node/nodes/fc/type"]
        file["node/nodes/input/color"] = 1

    text = message(edited(tmp_path / "a", edit))
    assert text.splitlines()[0].endswith("3 findings")
