"""Single nodes of NIR as ONNX operators, in both runtimes, against the simulator."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import onnx
import pytest
import torch

from mpo_snn.export.to_onnx.build import build_onnx
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, chain, full
from tests.to_onnx.run import all_steps, in_onnxruntime, in_reference


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape)


def conv2d(kernel: Any, **rest: Any) -> nir.Conv2d:
    fields = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **rest}
    weight = values(4, 4 // fields["groups"], *kernel)
    return nir.Conv2d(input_shape=None, weight=weight, bias=values(4), **fields)


def pool(kind: Any, kernel: Any, stride: Any, padding: Any) -> Any:
    return kind(np.array(kernel), np.array(stride), np.array(padding))


CASES = {
    "linear": (nir.Linear(values(5, 3)), (3,)),
    "affine": (nir.Affine(values(5, 3), values(5)), (3,)),
    "affine of one bias": (nir.Affine(values(5, 3), np.array(0.5)), (3,)),
    "linear per element": (nir.Linear(values(4, 5, 3)), (4, 3)),
    "affine per element": (nir.Affine(values(4, 5, 3), values(4, 5)), (4, 3)),
    "conv1d": (nir.Conv1d(9, values(4, 2, 3), 2, 1, 2, 1, values(4)), (2, 9)),
    "conv2d": (conv2d((3, 3), stride=2, padding=1), (4, 7, 8)),
    "conv2d, oblong": (conv2d((1, 3), padding=(0, 2), dilation=(1, 2)), (4, 6, 7)),
    "conv2d, groups": (conv2d((3, 2), groups=2), (4, 6, 7)),
    "conv2d, same": (conv2d((2, 4), padding="same"), (4, 6, 7)),
    "conv2d, without bias": (
        nir.Conv2d(None, values(3, 4, 2, 2), 1, 0, 1, 1, np.zeros(3)),
        (4, 5, 5),
    ),
    "average": (pool(nir.AvgPool2d, (2, 3), (2, 1), (0, 0)), (2, 6, 7)),
    "average, wide padding": (pool(nir.AvgPool2d, (2, 2), (1, 2), (2, 3)), (2, 5, 5)),
    "average, rest left": (pool(nir.AvgPool2d, (2, 2), (2, 2), (0, 0)), (3, 5, 7)),
    "sum": (pool(nir.SumPool2d, (3, 3), (2, 2), (1, 1)), (2, 6, 7)),
    "flatten": (nir.Flatten({"input": np.array([2, 3, 4])}, 0, -1), (2, 3, 4)),
    "flatten a part": (nir.Flatten({"input": np.array([2, 3, 4])}, 1, -1), (2, 3, 4)),
    "scale": (nir.Scale(values(2, 3)), (2, 3)),
    "scale by one number": (nir.Scale(np.array(3.0)), (2, 3)),
    "threshold": (nir.Threshold(values(2, 3)), (2, 3)),
    "delay": (nir.Delay(np.full((2, 3), 2 * DT)), (2, 3)),
    "delays": (nir.Delay(np.arange(6.0).reshape(2, 3) % 4 * DT), (2, 3)),
    "delay of one number": (nir.Delay(np.array(3 * DT)), (2,)),
    "no delay": (nir.Delay(np.zeros(2)), (2,)),
    "leaky integrator": (
        nir.LI(full((2, 3), 3 * DT), values(2, 3), values(2, 3)),
        (2, 3),
    ),
    "lif": (
        nir.LIF(full((4,), 3 * DT), full((4,), 2.0), values(4), full((4,), 0.3), values(4)),
        (4,),
    ),
    "synapse per neuron": (
        nir.CubaLIF(
            tau_syn=DT * np.array([1.0, 2.0, 3.0, 4.0]),
            tau_mem=DT * np.array([2.0, 1.0, 8.0, 4.0]),
            r=values(4),
            v_leak=values(4),
            v_threshold=np.array([0.3, 0.2, 0.1, 0.4]),
            v_reset=np.array([0.0, 0.1, -0.1, 0.0]),
            w_in=full((4,), 2.0),
        ),
        (4,),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_node_equals_the_simulator(case: str) -> None:
    node, shape = CASES[case]
    x = np.random.default_rng(1).normal(size=(6, 3, *shape))
    output = tuple(Simulator(chain(shape, _shape(node, shape), n=node), DT).output_shape)
    graph = chain(shape, output, n=node)
    exact = Simulator(graph, DT, torch.float64).run(torch.from_numpy(x)).output.numpy()
    double = build_onnx(graph, DT, {}, precision="float64")
    onnx.checker.check_model(double, full_check=True)
    np.testing.assert_allclose(all_steps(double, in_reference(double), x), exact, atol=1e-12)
    single, x32 = build_onnx(graph, DT, {}), x.astype(np.float32)
    found = all_steps(single, in_onnxruntime(single), x32)
    expected = Simulator(graph, DT).run(torch.from_numpy(x32)).output.numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_sums_of_spikes_stay_whole() -> None:
    """A mean times its window would give 7 / 9 * 9, which float32 rounds away from 7."""
    graph = chain((1, 3, 3), (1, 1, 1), n=pool(nir.SumPool2d, 3, 1, 0))
    model = build_onnx(graph, DT, {})
    for count in range(10):
        x = (np.arange(9) < count).astype(np.float32).reshape(1, 1, 1, 3, 3)
        assert all_steps(model, in_onnxruntime(model), x).item() == count


def _shape(node: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The output shape, by asking for a wrong one."""
    from mpo_snn.graph.inline import inline
    from mpo_snn.graph.shapes import infer_shapes

    return infer_shapes(inline(chain(shape, None, n=node))).outputs["n"]
