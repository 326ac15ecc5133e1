"""Every kind of wrong graph, by what is said about it."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest

from mpo_snn.errors import GraphError
from mpo_snn.graph.check import check_graph, check_timestep, find_faults
from mpo_snn.graph.kinds import SUPPORTED
from tests.graph.graphs import DT, affine, chain, full, graph, identity, li, lif, ports


def conv(**changes: Any) -> nir.Conv2d:
    fields = {
        "input_shape": None,
        "weight": np.ones((4, 2, 3, 3)),
        "stride": 1,
        "padding": 1,
        "dilation": 1,
        "groups": 1,
        "bias": np.zeros(4),
    }
    return changed(nir.Conv2d(**fields), **changes)


def pool(kernel: int = 2, stride: int = 2, padding: int = 0) -> nir.AvgPool2d:
    return nir.AvgPool2d(*(np.array([value] * 2) for value in (kernel, stride, padding)))


def changed(node: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        setattr(node, name, value)
    return node


def test_a_sound_graph_has_no_faults() -> None:
    sound = chain(
        (2, 6, 6),
        (3,),
        conv=conv(groups=1, input_shape=(6, 6)),
        lif=lif((4, 6, 6)),
        scalar=lif(()),
        pool=pool(),
        flat=nir.Flatten({"input": np.array([4, 3, 3])}, 0, -1),
        fc=affine(np.ones((3, 36))),
        sub=chain((3,), inner=lif((3,))),
    )
    assert find_faults(sound, DT) == []
    check_graph(sound, DT)
    check_timestep(sound, DT)


def one(faults: list[str]) -> str:
    assert len(faults) == 1, faults
    return faults[0]


def test_unknown_kind() -> None:
    class Sigmoid(nir.ir.node.NIRNode):
        def __init__(self) -> None:
            pass

    fault = one(find_faults(chain((2,), x=Sigmoid())))
    assert fault.startswith("node 'x' is of the unknown kind Sigmoid; supported: Input, Output")
    assert all(kind in fault for kind in SUPPORTED)


def test_edge_to_a_missing_node() -> None:
    broken = graph({**ports((2,)), "a": li()}, [("input", "a"), ("a", "b"), ("a", "output")])
    assert one(find_faults(broken)) == "edge ('a', 'b') names 'b', which is not in the graph"
    nested = chain((2,), g=graph({**ports((2,))}, [("input", "no"), ("input", "output")]))
    assert "edge ('g.input', 'g.no') names 'g.no'" in one(find_faults(nested))


def test_repeated_edge() -> None:
    broken = graph({**ports((2,)), "a": li()}, [("input", "a"), ("a", "output"), ("input", "a")])
    assert one(find_faults(broken)) == "edge ('input', 'a') stands 2 times, expected once"


def test_malformed_edge() -> None:
    broken = graph({**ports((2,)), "a": li()}, [("input", "a"), ("a", "output"), ("a", 1)])  # type: ignore[list-item]
    assert one(find_faults(broken)) == "edge ('a', 1) is no pair of node names"


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (
            [("a", "output")],
            [
                "missing edge: 'input' (Input) does not lead to the Output 'output'",
                "missing edge: 'output' (Output) is not reached from the Input 'input'",
                "missing edge: 'a' (LI) is not reached from the Input 'input'",
            ],
        ),
        (
            [("input", "output"), ("input", "a")],
            ["missing edge: 'a' (LI) does not lead to the Output 'output'"],
        ),
        (
            [("input", "output")],
            [
                "missing edge: 'a' (LI) is not reached from the Input 'input' "
                "and does not lead to the Output 'output'"
            ],
        ),
    ],
)
def test_missing_edge(edges: list[tuple[str, str]], expected: list[str]) -> None:
    assert find_faults(graph({**ports((2,)), "a": li()}, edges)) == expected


def test_inputs_and_outputs() -> None:
    nodes = {"a": li(), "b": nir.Output(np.array([2])), "c": nir.Output(np.array([2]))}
    assert find_faults(graph(nodes, [("a", "b"), ("a", "c")])) == [
        "the graph must have exactly one Input, found none",
        "the graph must have exactly one Output, found 2 ('b', 'c')",
    ]
    backwards = graph({**ports((2,)), "a": li()}, [("input", "a"), ("a", "input"), ("output", "a")])
    assert find_faults(backwards) == [
        "edge ('a', 'input') leads into an Input",
        "edge ('output', 'a') leads out of an Output",
    ]
    assert find_faults(graph({}, [])) == [
        "the graph must have exactly one Input, found none",
        "the graph must have exactly one Output, found none",
    ]


def test_numbers_that_are_none() -> None:
    weight = np.ones((3, 2))
    weight[0, 0] = weight[1, 1] = np.nan
    bias = np.array([np.inf, 0, 0])
    faults = find_faults(chain((2,), (3,), fc=nir.Affine(weight, bias)))
    assert faults == [
        "weight of 'fc' (Affine) has 2 NaN of 6 values, expected finite numbers",
        "bias of 'fc' (Affine) has 1 infinite of 3 values, expected finite numbers",
    ]
    nested = chain((2,), g=chain((2,), n=lif(threshold=float("nan"))))
    assert "v_threshold of 'g.n' (LIF) has 2 NaN of 2 values" in one(find_faults(nested))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "tau of 'n' (LIF) is missing"),
        (np.array(["a", "b"]), "tau of 'n' (LIF) has the type <U1, expected real numbers"),
        (np.zeros((0,)), "tau of 'n' (LIF) is empty, its shape is (0,)"),
        (np.array([1e-3, -2e-3]), "tau of 'n' (LIF) is -0.002 s in 1 of 2 values, expected > 0 s"),
        (np.zeros(2), "tau of 'n' (LIF) is 0 s in 2 of 2 values, expected > 0 s"),
        (
            np.ones(3),
            "'n' (LIF) is malformed: its parameters differ in shape: tau (3,), r (2,), "
            "v_leak (2,), v_threshold (2,), v_reset (2,)",
        ),
    ],
)
def test_neuron_parameters(value: Any, expected: str) -> None:
    assert one(find_faults(chain((2,), n=changed(lif(), tau=value)), DT)) == expected


def test_each_time_constant_is_checked() -> None:
    cuba = nir.CubaLI(full((2,), -1), full((2,), 0), full((2,), 1), full((2,), 0))
    assert [fault.split()[0] for fault in find_faults(chain((2,), n=cuba))] == [
        "tau_syn",
        "tau_mem",
    ]
    delay = nir.Delay(np.array([1e-3, -1e-3]))
    assert one(find_faults(chain((2,), n=delay), 1e-3)) == (
        "delay of 'n' (Delay) is -0.001 s in 1 of 2 values, expected >= 0 s"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stride": 0}, "stride is 0, expected 1 or 2 integers >= 1"),
        ({"stride": np.array([1, 2, 3])}, "stride is array([1, 2, 3]), expected 1 or 2"),
        ({"padding": -1}, "padding is -1, expected 1 or 2 integers >= 0"),
        ({"padding": 0.5}, "padding is 0.5, expected 1 or 2 integers >= 0"),
        ({"padding": "full"}, "padding is 'full', expected 'same', 'valid' or integers"),
        ({"padding": "same", "stride": 2}, "padding 'same' is undefined for stride (2, 2)"),
        ({"groups": 3}, "4 output channels do not divide into 3 groups"),
        ({"groups": 0}, "groups is 0, expected an integer >= 1"),
        ({"bias": np.zeros(3)}, "bias has shape (3,), expected (4,)"),
        ({"weight": np.ones((4, 2, 3))}, "weight has shape (4, 2, 3), expected 4 axes"),
    ],
)
def test_convolution_parameters(changes: dict[str, Any], expected: str) -> None:
    fault = one(find_faults(chain((2, 6, 6), (4, 6, 6), c=conv(**changes))))
    assert fault.startswith(f"'c' (Conv2d) is malformed: {expected}")


def test_matrix_parameters() -> None:
    fault = one(find_faults(chain((2,), (3,), a=nir.Affine(np.ones((3, 2)), np.ones(2)))))
    assert fault == "'a' (Affine) is malformed: bias has shape (2,), expected (3,)"
    flat = changed(identity(), weight=np.ones(2))
    fault = one(find_faults(chain((2,), a=flat)))
    assert "weight has shape (2,), expected at least 2 axes" in fault


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (
            chain((2,), (3,), a=identity(), b=lif((3,))),
            "'a' (Affine) gives (2,), but 'b' (LIF) takes (3,)",
        ),
        (
            chain((3,), (2,), a=identity()),
            "'input' (Input) gives (3,), but 'a' (Affine) takes (2,)",
        ),
        (chain((2,), (3,), a=li()), "'a' (LI) gives (2,), but 'output' (Output) takes (3,)"),
        (
            chain((3, 6, 6), (4, 6, 6), c=conv()),
            "'input' (Input) gives (3, 6, 6), but 'c' (Conv2d) takes (2, height, width)",
        ),
        (
            chain((2, 6, 6), (4, 6, 6), c=conv(input_shape=(5, 6))),
            "'input' (Input) gives (2, 6, 6), but 'c' (Conv2d) takes (2, 5, 6)",
        ),
        (
            chain((2, 36), (4, 6, 6), c=conv()),
            "'input' (Input) gives (2, 36), but 'c' (Conv2d) takes (2, height, width)",
        ),
        (
            chain((2, 2, 6), (4, 1, 4), c=conv(padding=0)),
            "'input' (Input) gives (2, 2, 6), but 'c' (Conv2d) takes (2, height, width) "
            "with room for its kernel (3, 3)",
        ),
        (
            chain((4,), (2,), p=pool()),
            "'input' (Input) gives (4,), but 'p' (AvgPool2d) takes (channels, height, width)",
        ),
        (
            chain((4,), (2,), f=nir.Flatten({"input": None}, 1, -1)),
            "'input' (Input) gives (4,), but 'f' (Flatten) takes another number of axes: "
            "start_dim is 1, but the input has 1 axes",
        ),
        (
            chain((4,), (4,), f=nir.Flatten({"input": np.array([2, 2])}, 0, -1)),
            "'input' (Input) gives (4,), but 'f' (Flatten) takes (2, 2)",
        ),
        (
            chain((4,), (4,), s=chain((5,), i=lif((4,)))),
            "'input' (Input) gives (4,), but 's.input' (Input) takes (5,)",
        ),
    ],
)
def test_shapes_at_the_two_ends_of_an_edge(candidate: nir.NIRGraph, expected: str) -> None:
    assert expected in find_faults(candidate)
    with pytest.raises(GraphError, match="cannot be used"):
        check_graph(candidate)


def test_shapes_that_meet_in_a_sum() -> None:
    wide = nir.Linear(np.ones((3, 2)))
    nodes = {**ports((2,), (2,)), "a": li(), "b": wide, "sum": nir.Scale(np.array(2.0))}
    edges = [("input", "a"), ("a", "sum"), ("input", "b"), ("b", "sum"), ("sum", "output")]
    assert one(find_faults(graph(nodes, edges))) == (
        "'sum' (Scale) adds up (2,) from 'a' (LI) and (3,) from 'b' (Linear)"
    )


def test_shapes_around_a_loop() -> None:
    nodes = {**ports((2,)), "a": lif(), "w": nir.Linear(np.ones((3, 2)))}
    edges = [("input", "a"), ("a", "w"), ("w", "a"), ("a", "output")]
    assert one(find_faults(graph(nodes, edges))) == (
        "'w' (Linear) gives (3,), but 'a' (LIF) takes (2,)"
    )


def test_per_channel_parameters_are_no_per_neuron_ones() -> None:
    faults = find_faults(chain((3, 4, 4), (3,), n=lif((3,))))
    assert one(faults) == "'input' (Input) gives (3, 4, 4), but 'n' (LIF) takes (3,)"


def test_declared_shapes() -> None:
    faults = find_faults(chain((2, 0), (2,), n=li()))
    assert "shape [2, 0], which is no list of sizes >= 1, of 'input' (Input)" in faults
    nothing = chain((2,), n=li())
    nothing.nodes["input"].input_type = {"input": None}
    assert "Input 'input' has no shape" in find_faults(nothing)


def test_loop_without_state() -> None:
    nodes = {**ports((2,)), "a": identity(), "b": nir.Scale(full((2,), 1))}
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    fault = one(find_faults(graph(nodes, edges)))
    assert fault.startswith("the loop 'a' -> 'b' -> 'a' has no node with state")


def test_timestep() -> None:
    candidate = chain(
        (2,), n=changed(lif(), tau=np.array([1e-3, 2e-5])), d=nir.Delay(full((2,), 1e-4))
    )
    assert find_faults(candidate) == []
    assert one(find_faults(candidate, 1e-4)) == (
        "tau of 'n' (LIF) is 2e-05 s, shorter than dt = 0.0001 s (1 of 2 values); "
        "an Euler step needs tau >= dt: give the dt that the file was made for, of 2e-05 s or less,"
        " or raise tau; with another dt the same file leaks another share in a step"
    )
    with pytest.raises(GraphError, match="does not fit the timestep: tau of 'n'"):
        check_timestep(candidate, 1e-4)
    assert len(find_faults(candidate, 3e-4)) == 2
    assert find_faults(chain((2,), n=changed(lif(), tau=full((2,), np.float32(1e-4)))), 1e-4) == []
    assert "dt is 'soon'" in one(find_faults(candidate, "soon"))  # type: ignore[arg-type]


def test_everything_is_told_at_once() -> None:
    nodes = {
        **ports((2,)),
        "a": changed(lif(), tau=np.array([np.nan, 1])),
        "b": nir.Linear(np.ones((3, 2))),
        "c": li(),
        "d": nir.Scale(full((2,), np.inf)),
    }
    edges = [
        ("input", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "output"),
        ("c", "output"),
        ("input", "d"),
    ]
    with pytest.raises(GraphError) as caught:
        check_graph(graph(nodes, edges))
    assert len(caught.value.findings) == 5
    text = str(caught.value)
    assert text.splitlines()[0] == "the graph cannot be used: 5 findings"
    for words in (
        "stands 2 times",
        "1 NaN",
        "2 infinite",
        "'d' (Scale) does not lead",
        "gives (3,)",
    ):
        assert words in text


def test_names_stay_on_one_line() -> None:
    odd = graph({**ports((2,)), "a\nb": li(())}, [("input", "output")])
    assert "\n" not in one(find_faults(odd))
