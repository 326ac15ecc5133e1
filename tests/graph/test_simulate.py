"""What a run takes, records and gives back."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
import torch

from mpo_snn.errors import GraphError, ShapeError
from mpo_snn.graph.simulate import CHUNK_BYTES, Simulator
from tests.graph.graphs import DT, affine, chain, full, graph, identity, li, lif, ports

T, B = 11, 4


def small_cnn() -> nir.NIRGraph:
    """Weights are eighths, so that every sum is exact in any order."""
    rng = np.random.default_rng(0)
    eighths = lambda *shape: rng.integers(-4, 7, shape) / 8  # noqa: E731
    conv = nir.Conv2d((6, 6), eighths(3, 1, 3, 3), 1, 1, 1, 1, eighths(3))
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    return chain(
        (1, 6, 6),
        (5,),
        conv=conv,
        lif1=lif((3, 6, 6), v_reset=-0.125),
        pool=pool,
        flat=nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1),
        fc=affine(eighths(5, 27)),
        lif2=lif((5,), leak=0.25),
    )


def eighths(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 9, shape, generator=generator) / 8


def test_the_parts_of_a_simulation() -> None:
    simulator = Simulator(small_cnn(), DT)
    assert (simulator.input_shape, simulator.output_shape) == ((1, 6, 6), (5,))
    assert simulator.spiking == ["lif1", "lif2"]
    assert simulator.node_shapes == {
        "input": (1, 6, 6),
        "conv": (3, 6, 6),
        "lif1": (3, 6, 6),
        "pool": (3, 3, 3),
        "flat": (27,),
        "fc": (5,),
        "lif2": (5,),
        "output": (5,),
    }
    result = simulator.run(eighths(T, B, 1, 6, 6), record="membrane")
    assert (result.timesteps, result.samples) == (T, B)
    assert result.output.shape == (T, B, 5)
    assert result.output.dtype == torch.float32
    assert 0 < result.output.mean() < 1
    assert torch.equal(result.spikes["lif2"].float(), result.output)
    for name in simulator.spiking:
        assert result.spikes[name].shape == (T, B, *simulator.node_shapes[name])
        assert result.spikes[name].dtype == torch.bool
        assert torch.equal(result.v[name] > 0.7, result.spikes[name])
        assert result.counts[name].dtype == torch.float64
        assert torch.equal(result.counts[name], result.spikes[name].double().sum((0, 1)))


def test_each_record_holds_what_it_promises() -> None:
    simulator = Simulator(small_cnn(), DT)
    x = eighths(T, B, 1, 6, 6)
    full_record = simulator.run(x, record="membrane")
    for record, parts in {"none": "", "counts": "c", "spikes": "cs", "membrane": "csv"}.items():
        result = simulator.run(x, record=record)
        assert torch.equal(result.output, full_record.output)
        for part, letter in (("counts", "c"), ("spikes", "s"), ("v", "v")):
            found = getattr(result, part)
            assert set(found) == (set(simulator.spiking) if letter in parts else set())
            for name, value in found.items():
                assert torch.equal(value, getattr(full_record, part)[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("chunk", [1, 2, 3, T, 100])
def test_any_chunk_gives_the_same(dtype: torch.dtype, chunk: int) -> None:
    simulator = Simulator(small_cnn(), DT, dtype)
    x = eighths(T, B, 1, 6, 6)
    whole = simulator.run(x, record="membrane")
    parts = simulator.run(x, record="membrane", chunk=chunk)
    assert torch.equal(whole.output, parts.output)
    for name in simulator.spiking:
        assert torch.equal(whole.v[name], parts.v[name])
        assert torch.equal(whole.counts[name], parts.counts[name])


def test_samples_do_not_mix() -> None:
    simulator = Simulator(small_cnn(), DT)
    x = eighths(T, B, 1, 6, 6)
    together = simulator.run(x).output
    for b in range(B):
        assert torch.equal(simulator.run(x[:, b : b + 1]).output, together[:, b : b + 1])


def test_two_runs_begin_in_silence() -> None:
    simulator = Simulator(small_cnn(), DT)
    x = eighths(T, B, 1, 6, 6)
    assert torch.equal(simulator.run(x).output, simulator.run(x).output)


def test_a_constant_input_is_processed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    convolve = torch.nn.functional.conv2d

    def counting(x: torch.Tensor, *rest: object) -> torch.Tensor:
        calls.append(len(x))
        return convolve(x, *rest)

    monkeypatch.setattr(torch.nn.functional, "conv2d", counting)
    simulator = Simulator(small_cnn(), DT)
    sample = eighths(1, B, 1, 6, 6)
    fast = simulator.run(sample.expand(T, *sample.shape[1:]), chunk=2).output
    assert calls == [B]
    calls.clear()
    slow = simulator.run(sample.repeat(T, 1, 1, 1, 1), chunk=T).output
    assert calls == [T * B]
    assert torch.equal(fast, slow)


def test_memory_of_counts_does_not_grow_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor but the output has all timesteps."""
    size = 50
    simulator = Simulator(chain((size,), (1,), n=lif((size,)), fc=affine(np.ones((1, size)))), DT)
    monkeypatch.setattr("mpo_snn.graph.simulate.CHUNK_BYTES", 10 * 4 * (2 * size + 2))
    largest = 0
    fold = type(simulator._program).fold

    def watching(self: object, step: object, x: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, len(x))
        return fold(self, step, x)

    monkeypatch.setattr(type(simulator._program), "fold", watching)
    simulator.run(torch.ones(300, 1, size), record="counts")
    assert 1 <= largest <= 10
    assert CHUNK_BYTES >= 2**20


def test_several_edges_into_a_node_add_up() -> None:
    candidate = graph(
        {**ports((2,)), "a": nir.Scale(full((2,), 2)), "b": nir.Scale(full((2,), 3)), "s": li()},
        [
            ("input", "a"),
            ("input", "b"),
            ("a", "s"),
            ("b", "s"),
            ("input", "s"),
            ("s", "output"),
            ("a", "output"),
        ],
    )
    x = eighths(1, B, 2)
    assert torch.equal(Simulator(candidate, DT).run(x).output, (2 + 3 + 1 + 2) * x)


def test_forced_spikes_reach_what_is_downstream_only() -> None:
    simulator = Simulator(small_cnn(), DT)
    x = eighths(T, B, 1, 6, 6)
    free = simulator.run(x, record="membrane")
    forced = torch.rand(T, B, 3, 6, 6, generator=torch.Generator().manual_seed(5)) < 0.3
    for chunk in (None, 1, 4):
        replay = simulator.run(x, record="membrane", forced={"lif1": forced}, chunk=chunk)
        assert torch.equal(replay.v["lif1"], free.v["lif1"])
        assert torch.equal(replay.spikes["lif1"], free.spikes["lif1"])
        assert torch.equal(replay.counts["lif1"], free.counts["lif1"])
        rest = small_cnn()
        tail = graph(
            {
                **{name: rest.nodes[name] for name in ("pool", "flat", "fc", "lif2", "output")},
                "input": nir.Input(np.array([3, 6, 6])),
            },
            [
                ("input", "pool"),
                ("pool", "flat"),
                ("flat", "fc"),
                ("fc", "lif2"),
                ("lif2", "output"),
            ],
        )
        assert torch.equal(replay.output, Simulator(tail, DT).run(forced).output)


def test_forced_spikes_of_the_last_layer_are_the_output() -> None:
    forced = eighths(T, B, 5) > 0.5
    result = Simulator(small_cnn(), DT).run(eighths(T, B, 1, 6, 6), forced={"lif2": forced})
    assert torch.equal(result.output, forced.float())


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_feedback_uses_forced_spikes(chunk: int | None) -> None:
    """Soft reset in its composite form: the subtraction follows the forced spikes."""
    beta, threshold = 0.5, 0.7
    candidate = graph(
        {
            **ports((2,)),
            "v": li(leak=1 - beta),
            "s": nir.Threshold(full((2,), threshold)),
            "back": nir.Scale(full((2,), -threshold)),
        },
        [("input", "v"), ("v", "s"), ("s", "output"), ("s", "back"), ("back", "v")],
    )
    x = eighths(T, B, 2).double()
    forced = torch.rand(T, B, 2, generator=torch.Generator().manual_seed(5)) < 0.3
    result = Simulator(candidate, DT, torch.float64).run(
        x, record="membrane", forced={"s": forced}, chunk=chunk
    )
    v = torch.zeros(B, 2, dtype=torch.float64)
    previous = torch.zeros(B, 2, dtype=torch.float64)
    for t in range(T):
        v = beta * v + x[t] - threshold * previous
        torch.testing.assert_close(result.v["s"][t], v)
        assert torch.equal(result.spikes["s"][t], v > threshold)
        previous = forced[t].double()
    assert torch.equal(result.output, forced.double())


def test_a_recurrent_layer_resets_by_its_own_spikes() -> None:
    candidate = graph(
        {**ports((1,)), "lif": lif((1,), leak=0.5), "w": nir.Scale(full((1,), 0.25))},
        [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")],
    )
    forced = torch.tensor([0.0, 1, 1]).reshape(3, 1, 1)
    x = torch.full((3, 1, 1), 1.0)
    result = Simulator(candidate, DT).run(x, record="membrane", forced={"lif": forced})
    # spikes at once and starts from 0 each time; sees only forced feedback
    assert result.v["lif"].flatten().tolist() == [1.0, 1.0, 1.25]
    assert result.spikes["lif"].flatten().tolist() == [True, True, True]
    assert result.output.flatten().tolist() == [0, 1, 1]


def test_a_node_that_is_evaluated_twice_cannot_be_forced() -> None:
    candidate = graph(
        {**ports((2,)), "lif": lif(), "gate": nir.Threshold(full((2,), 0.5))},
        [("input", "lif"), ("lif", "gate"), ("input", "gate"), ("gate", "lif"), ("gate", "output")],
    )
    simulator = Simulator(candidate, DT)
    assert simulator.spiking == ["lif", "gate"]
    with pytest.raises(GraphError, match="cannot force 'gate': a loop evaluates it a second time"):
        simulator.run(torch.zeros(T, B, 2), forced={"gate": torch.zeros(T, B, 2)})


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_any_real_input_is_converted(dtype: torch.dtype) -> None:
    simulator = Simulator(small_cnn(), DT)
    x = (eighths(T, B, 1, 6, 6) > 0).to(dtype)
    result = simulator.run(x).output
    assert result.dtype == torch.float32
    assert torch.equal(result, simulator.run(x.float()).output)


def test_output_of_a_graph_without_state() -> None:
    x = eighths(1, B, 2).expand(T, B, 2)
    output = Simulator(chain((2,), a=identity(bias=0.5)), DT).run(x, chunk=3).output
    assert torch.equal(output, x + 0.5)
    straight = Simulator(graph(ports((2,)), [("input", "output")]), DT).run(x, chunk=3).output
    assert torch.equal(straight, x)


def test_the_callers_settings_neither_count_nor_change() -> None:
    weight = np.random.default_rng(0).normal(size=(20, 20))
    simulator = Simulator(chain((20,), fc=affine(weight)), DT)
    x = torch.randn(T, B, 20, generator=torch.Generator().manual_seed(0))
    expected = simulator.run(x).output
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(simulator.run(x).output, expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_no_gradients() -> None:
    x = eighths(T, B, 2).requires_grad_()
    assert not Simulator(chain((2,), n=li()), DT).run(x).output.requires_grad


@pytest.mark.parametrize("shape", [(T, B, 3), (T, B), (B, 2), (T,), (T, B, 2, 1), (0, B, 2)])
def test_wrong_input_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError) as caught:
        Simulator(chain((2,), n=li()), DT).run(torch.zeros(shape))
    assert str(tuple(shape)) in str(caught.value)
    assert "[T >= 1, B >= 1, 2]" in str(caught.value)


@pytest.mark.parametrize("record", ["none", "counts", "membrane"])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e36), (torch.float64, 1e306)])
def test_what_overflows_is_refused(dtype: torch.dtype, most: float, record: Any) -> None:
    simulator = Simulator(chain((2,), fc=affine(-np.eye(2) * most), n=li()), DT, dtype)
    assert simulator.run(torch.ones(T, B, 2), record=record).output.isfinite().all()
    with pytest.raises(GraphError, match="values of 'n', 'output' are infinite or NaN"):
        simulator.run(1e3 * torch.ones(T, B, 2), record=record)


def test_large_values_are_not_refused_where_only_their_sum_overflows() -> None:
    simulator = Simulator(chain((2,), fc=affine(np.eye(2))), DT)
    x = torch.full((T, B, 2), 3e38)
    assert not x.sum().isfinite()
    assert simulator.run(x).output.equal(x)


def test_wrong_settings() -> None:
    candidate = chain((2,), n=lif(), k=li())
    simulator = Simulator(candidate, DT)
    x = torch.zeros(T, B, 2)
    with pytest.raises(GraphError, match=r"cannot force 'k'.*\['n'\]"):
        simulator.run(x, forced={"k": x})
    with pytest.raises(ShapeError, match=r"\(11, 4, 3\), expected \(11, 4, 2\)"):
        simulator.run(x, forced={"n": torch.zeros(T, B, 3)})
    with pytest.raises(GraphError, match="cannot record 'all', expected one of 'none', 'counts'"):
        simulator.run(x, record="all")
    with pytest.raises(GraphError, match="cannot run 0 timesteps at once"):
        simulator.run(x, chunk=0)
    with pytest.raises(GraphError, match=r"cannot simulate in torch\.int64"):
        Simulator(candidate, DT, torch.int64)
    for dt in (0.0, -1e-4, float("nan"), float("inf")):
        with pytest.raises(GraphError, match="expected a positive number of seconds"):
            Simulator(candidate, dt)
    with pytest.raises(GraphError, match=r"tau of 'n' \(LIF\).*shorter than dt"):
        Simulator(candidate, DT * 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu() -> None:
    x = eighths(T, B, 1, 6, 6)
    for dtype in (torch.float32, torch.float64):
        on_cpu = Simulator(small_cnn(), DT, dtype).run(x, record="membrane")
        on_gpu = Simulator(small_cnn(), DT, dtype, "cuda").run(x, record="membrane")
        assert on_gpu.output.is_cuda
        for name, v in on_cpu.v.items():
            assert torch.equal(on_gpu.v[name].cpu(), v)
