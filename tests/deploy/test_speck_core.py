"""Speck's step simulation against a loop over pixels."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.speck_core import SpeckLayer, run_speck


def loop(layer, events):
    """Spikes and membranes of one sample, (T, out, h, w), in Python's own integers."""
    out, into, side, _ = layer.weight.shape
    _, _, height, width = events.shape
    rows = (height + 2 * layer.padding - side) // layer.stride + 1
    columns = (width + 2 * layer.padding - side) // layer.stride + 1
    v = [[[0] * columns for _ in range(rows)] for _ in range(out)]
    spikes, membranes = [], []
    for step in events.tolist():
        fired = [[[0] * columns for _ in range(rows)] for _ in range(out)]
        for o in range(out):
            for r in range(rows):
                for c in range(columns):
                    total = v[o][r][c] + int(layer.bias[o])
                    for i in range(into):
                        for a in range(side):
                            for b in range(side):
                                y = r * layer.stride + a - layer.padding
                                x = c * layer.stride + b - layer.padding
                                if 0 <= y < height and 0 <= x < width:
                                    total += int(layer.weight[o, i, a, b]) * step[i][y][x]
                    n = 0
                    if layer.spikes == "multi":
                        n = total // layer.threshold if total > 0 else 0
                    elif total >= layer.threshold:
                        n = 1
                    if layer.reset == "subtract":
                        total -= n * layer.threshold
                    elif n:
                        total = 0
                    v[o][r][c], fired[o][r][c] = max(total, layer.lower), n
        spikes.append(fired)
        membranes.append([[row[:] for row in plane] for plane in v])
    return torch.tensor(spikes), torch.tensor(membranes)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    shape=st.sampled_from(((1, 0, 1), (2, 1, 1), (2, 1, 2))),
    spikes=st.sampled_from(("multi", "single")),
    reset=st.sampled_from(("subtract", "zero")),
)
def test_equals_a_loop_over_pixels(seed, shape, spikes, reset):
    stride, padding, pool = shape
    generator = torch.Generator().manual_seed(seed)

    def integers(low, high, *size):
        return torch.randint(low, high, size, generator=generator)

    def layer(into, out, pool):
        return SpeckLayer(
            integers(-128, 128, out, into, 3, 3), integers(-128, 128, out),
            int(integers(50, 500, 1)), -int(integers(50, 500, 1)), stride, padding, pool,
            spikes, reset,
        )  # fmt: skip

    layers = [layer(2, 3, pool), layer(3, 2, 1)] if stride == 2 else [layer(2, 3, 1)]
    events = integers(0, 3, 4, 2, 2, 9, 9)
    run = run_speck(layers, events)
    for sample in range(2):
        x = events[:, sample]
        for index, one in enumerate(layers):
            fired, v = loop(one, x)
            assert torch.equal(run.spikes[index][:, sample], fired)
            assert torch.equal(run.v[index][:, sample], v)
            h, w = fired.shape[2] // one.pool * one.pool, fired.shape[3] // one.pool * one.pool
            windows = fired[:, :, :h, :w].unfold(2, one.pool, one.pool)
            x = windows.unfold(3, one.pool, one.pool).sum((-1, -2))
        assert torch.equal(run.output[:, sample], x)


def test_membranes_beyond_the_register_are_counted():
    weight = torch.full((1, 1, 1, 1), 127)
    layer = SpeckLayer(weight, torch.zeros(1, dtype=torch.int64), 32_767, -100)
    events = torch.full((3, 1, 1, 1, 1), 200)
    run = run_speck([layer], events)
    assert run.beyond == 2  # 25,400; 50,800; 43,433 after one reset
    assert run.spikes[0].flatten().tolist() == [0, 1, 1]
