"""Speck's step simulation against a loop over pixels, sources that branch and meet included."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.speck_core import SpeckLayer, SpeckSource, run_speck


def pooled(x, pool, shift, channels):
    """Events of one step behind windows and a shift of channels, nested lists."""
    rows, columns = len(x[0]) // pool[0], len(x[0][0]) // pool[1]
    found = [[[0] * columns for _ in range(rows)] for _ in range(channels)]
    for c, plane in enumerate(x):
        for y in range(rows * pool[0]):
            for z in range(columns * pool[1]):
                found[c + shift][y // pool[0]][z // pool[1]] += plane[y][z]
    return found


def loop(layer, x, v):
    """Spikes and membranes of one step, in Python's own integers."""
    out, into, height, width = layer.weight.shape
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    rows = (len(x[0]) + 2 * layer.padding[0] - height) // layer.stride[0] + 1
    columns = (len(x[0][0]) + 2 * layer.padding[1] - width) // layer.stride[1] + 1
    v = v or [[[0] * columns for _ in range(rows)] for _ in range(out)]
    fired = [[[0] * columns for _ in range(rows)] for _ in range(out)]
    for o in range(out):
        for r in range(rows):
            for c in range(columns):
                total = v[o][r][c] + bias[o]
                for i in range(into):
                    for a in range(height):
                        for b in range(width):
                            y = r * layer.stride[0] + a - layer.padding[0]
                            z = c * layer.stride[1] + b - layer.padding[1]
                            if 0 <= y < len(x[0]) and 0 <= z < len(x[0][0]):
                                total += weight[o][i][a][b] * x[i][y][z]
                n = total // layer.threshold if total > 0 else 0
                n = n if layer.most_spikes is None else min(n, layer.most_spikes)
                if layer.reset == "subtract":
                    total -= n * layer.threshold
                elif n:
                    total = 0
                v[o][r][c], fired[o][r][c] = max(total, layer.lower), n
    return fired, v


def added(one, other):
    return [
        [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(*planes, strict=True)]
        for planes in zip(one, other, strict=True)
    ]


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    stride=st.sampled_from(((1, 1), (2, 1))),
    side_by_side=st.booleans(),
    most_spikes=st.sampled_from((None, 1, 2)),
    reset=st.sampled_from(("subtract", "zero")),
)
def test_equals_a_loop_over_pixels(seed, stride, side_by_side, most_spikes, reset):
    generator = torch.Generator().manual_seed(seed)

    def integers(low, high, *size):
        return torch.randint(low, high, size, generator=generator)

    def layer(name, sources, into, out, kernel, stride=(1, 1), padding=(0, 0)):
        return SpeckLayer(
            name, sources, integers(-128, 128, out, into, *kernel), integers(-128, 128, out),
            int(integers(50, 500, 1)), -int(integers(50, 500, 1)), stride, padding,
            most_spikes, reset,
        )  # fmt: skip

    layers = [
        layer("a", (SpeckSource("input"),), 2, 3, (3, 3), stride, (1, 1)),
        layer("b", (SpeckSource("a"),), 3, 3, (3, 3), (1, 1), (1, 1)),
        layer(
            "c", (SpeckSource("a", (2, 1)), SpeckSource("b", (2, 1), 3 if side_by_side else 0)),
            6 if side_by_side else 3, 2, (2, 6),
        ),
    ]  # fmt: skip
    events = integers(0, 3, 4, 2, 2, 8, 6)
    run = run_speck(layers, events, keep_v=True)
    for sample in range(2):
        v = {}
        for t in range(4):
            fired = {"input": events[t, sample].tolist()}
            for one in layers:
                arriving = None
                for source in one.sources:
                    part = pooled(
                        fired[source.name], source.pool, source.shift, one.weight.shape[1]
                    )
                    arriving = part if arriving is None else added(arriving, part)
                fired[one.name], v[one.name] = loop(one, arriving, v.get(one.name))
                assert run.spikes[one.name][t, sample].tolist() == fired[one.name]
                assert run.v[one.name][t, sample].tolist() == v[one.name]


def test_membranes_beyond_the_register_are_counted():
    weight = torch.full((1, 1, 1, 1), 127)
    bias = torch.zeros(1, dtype=torch.int64)
    layer = SpeckLayer("a", (SpeckSource("input"),), weight, bias, 32_767, -100)
    run = run_speck([layer], torch.full((3, 1, 1, 1, 1), 200))
    assert run.beyond == 2  # 25,400; 50,800; 43,433 after one reset
    assert run.spikes["a"].flatten().tolist() == [0, 1, 1]
