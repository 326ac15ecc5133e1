"""FSDP around one's own loop: weights in parts, the method of a single process with them whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn import functional

from mpo_snn import MPO, MPOLeaky, MPOSettings, Unrolled
from mpo_snn.membrane import Granularity
from mpo_snn.neurons import neurons_of
from mpo_snn.processes import weighted_mean
from tests.several import exit_codes, start

SIZES = (3, 5)
"""Samples of each process."""


def neuron(channels: int, granularity: Granularity) -> MPOLeaky:
    """With all that a neuron can learn: 0-d, or one value a channel."""
    shape = () if granularity == "layer" else (channels,)
    beta, threshold, width = (torch.full(shape, value) for value in (0.8, 0.3, 0.5))
    return MPOLeaky(
        beta, threshold, width=width, learn_beta=True, learn_threshold=True, init_hidden=True
    )


def train(rank: int | None, granularity: Granularity) -> dict[str, Tensor]:
    """State and gains after six steps; None is a single process."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3), neuron(4, granularity), nn.Conv2d(4, 3, 3), neuron(3, granularity),
        nn.Flatten(), nn.Linear(3 * 4 * 4, 3),
    )  # fmt: skip
    network = Unrolled(layers, 4)
    settings = MPOSettings(
        width_update="gradient", width_pull=True, lambda_dist=0.1, lambda_width=0.1,
        height="stabilised", height_rate=0.2, neuron_gain=True, granularity=granularity,
    )  # fmt: skip
    mpo = MPO(network, settings)
    own = [p for n in neurons_of(network).values() for p in n.parameters()]
    assert len(own) == 6
    if rank is not None:
        for module in (layers[0], layers[2], layers[5], network):
            fully_shard(module, ignored_params=set(own))
        sharded = {p for p in network.parameters() if isinstance(p, DTensor)}
        assert sharded == set(network.parameters()) - set(own)
    rest = [p for p in network.parameters() if p not in set(own)]
    groups = [{"params": rest}, {"params": own}]
    # As by default on a GPU, where one group of both kinds is an error of torch's.
    optimiser = torch.optim.SGD(groups, lr=0.3, foreach=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        x = 2.0 * torch.rand(sum(SIZES), 2, 8, 8, generator=generator)
        y = torch.randint(3, (sum(SIZES),), generator=generator)
        if rank is not None:
            x, y = x.split(SIZES)[rank], y.split(SIZES)[rank]
        logits = network(x.expand(4, *x.shape)).mean(0)
        loss = weighted_mean(functional.cross_entropy(logits, y), len(y)) + mpo.regularizer()
        optimiser.zero_grad()
        loss.backward()
        for p in own:
            assert p.grad is not None
            p.grad = weighted_mean(p.grad, 1)
        optimiser.step()
        mpo.step(progress=step / 6)
    state = get_model_state_dict(network, options=StateDictOptions(full_state_dict=True))
    return state | {f"gain{i}": layers[i].gain for i in (1, 3)}


def in_rank(granularity: Granularity, folder: Path) -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.save(train(rank, granularity), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("granularity", ["layer", "channel"])
def test_weights_in_parts_train_as_one_process(granularity: Granularity, tmp_path: Path) -> None:
    started = start(2, in_rank, granularity, tmp_path)
    expected = train(None, granularity)
    assert exit_codes(started) == [0, 0]
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)
    for name, before in (("height", 1.0), ("width", 0.5), ("beta", 0.8), ("threshold", 0.3)):
        moved = [value for key, value in expected.items() if key.endswith(name)]
        assert len(moved) == 2 and all(bool((value != before).all()) for value in moved)
