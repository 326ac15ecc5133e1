"""Event by event: by hand, and beside the step simulation where order plays no role."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.deploy.layers import INPUT, Projection
from mpo_snn.deploy.speck_events import run_speck_events
from mpo_snn.deploy.speck_quantize import quantize_speck

from .speck_graphs import PROFILE, convolution, dense, layer, network


def units(weights, **other):
    """One layer of one neuron, in units of the chip: the scale is 1 by a weight of 127."""
    weight = torch.tensor([weights], dtype=torch.float64)
    way = Projection(INPUT, "weight", "dense", weight, (len(weights),), (1,))
    return quantize_speck(network(layer("a", way, **other)), PROFILE)


def test_by_hand():
    chip = units([127.0, -100.0, 60.0], threshold=50.0, lower=-80.0)
    given = torch.tensor([[[1, 1, 1]], [[0, 0, 0]], [[0, 0, 3]]])
    # 127 fires once: 77. -100: -23. 60: 37.  |  nothing.  |  97, 47; 107, 57; 117, 67.
    assert run_speck_events(chip, given).output.flatten().tolist() == [1, 0, 3]
    # in steps: 87 fires once: 37.  |  nothing.  |  217 fires 4 times.
    assert chip.run(given).output.flatten().tolist() == [1, 0, 4]


def test_by_hand_with_a_clamp_and_reset_to_zero():
    chip = units([127.0, -100.0, 60.0], threshold=150.0, lower=-30.0, reset="zero")
    given = torch.tensor([[[0, 2, 4]]])
    # -30 (of -100), -30 (of -130), 30, 90, 150 fires: 0, 60
    run = run_speck_events(chip, given)
    assert run.output.flatten().tolist() == [1] and run.synaptic_events == 6
    assert chip.run(given).output.flatten().tolist() == [0]  # 40 in one go


def test_a_bias_ticks_without_a_spike():
    chip = units([127.0], threshold=100.0, lower=-10.0, bias=60.0)
    given = torch.tensor([[[0]], [[0]], [[1]]])
    # 60; 120, silent; 180 + 127 fires once
    assert run_speck_events(chip, given).output.flatten().tolist() == [0, 0, 1]
    assert chip.run(given).output.flatten().tolist() == [0, 1, 2]


def positive(*layers):
    """The same with weights between 0 and the threshold."""
    return network(
        *(
            replace(
                one,
                projections=tuple(
                    replace(way, weight=way.weight.abs().clamp(max=1.0)) for way in one.projections
                ),
            )
            for one in layers
        )
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_steps_where_order_plays_no_role(seed):
    """Positive weights up to the threshold: every neuron fires for each threshold that it takes."""
    graph = positive(
        layer("a", convolution(INPUT, (2, 7, 7), 3, stride=2, seed=seed)),
        layer("b", convolution("a", (3, 4, 4), 3, seed=seed + 10)),
        layer(
            "c",
            convolution("a", (3, 4, 4), 4, kernel=1, padding=0, pool=2, seed=seed + 20),
            convolution("b", (3, 4, 4), 4, kernel=3, padding=1, pool=2, seed=seed + 30),
        ),
        layer("d", dense("c", (4, 2, 2), 5)),
    )
    chip = quantize_speck(graph, PROFILE)
    given = torch.randint(0, 2, (3, 2, 2, 7, 7), generator=torch.Generator().manual_seed(seed))
    one_by_one, in_steps = run_speck_events(chip, given), chip.run(given)
    assert in_steps.output.sum() > 20
    assert torch.equal(one_by_one.output, in_steps.output)
    assert one_by_one.spikes == in_steps.spikes
    assert one_by_one.synaptic_events == in_steps.synaptic_events


def test_events_run_depth_first():
    """The first event inhibits through a second layer before the second event comes."""
    first = torch.tensor([[127.0, 0.0], [0.0, 127.0]], dtype=torch.float64)
    way = Projection(INPUT, "w", "dense", first, (2,), (2,))
    last = torch.tensor([[127.0, -127.0], [-127.0, 127.0]], dtype=torch.float64)
    behind = Projection("a", "w", "dense", last, (2,), (2,))
    given = dict(threshold=127.0, lower=-127.0, reset="zero")
    chip = quantize_speck(network(layer("a", way, **given), layer("b", behind, **given)), PROFILE)
    both = torch.tensor([[[1, 1]]])
    assert run_speck_events(chip, both).output.flatten().tolist() == [1, 0]
    assert chip.run(both).output.flatten().tolist() == [0, 0]
