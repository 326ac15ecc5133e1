"""Sums, moments and MPO over several processes, against the whole batch in a single one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from mpo_snn import MPO, MPOLeaky, MPOSettings, Unrolled
from mpo_snn.membrane import Granularity, take_sample
from mpo_snn.moments import Moments, moments
from mpo_snn.processes import processes, summed, weighted_mean
from mpo_snn.reduction import merged, merged_samples
from tests.several import exit_codes, start

SIZES = (3, 1, 5)
"""Samples of each process."""


def meet() -> tuple[int, list[int]]:
    dist.init_process_group("gloo")
    return dist.get_rank(), list(SIZES)


def part(whole: Tensor, rank: int) -> Tensor:
    return whole.split(SIZES)[rank].detach().clone().requires_grad_()


def in_rank_merge() -> None:
    rank, sizes = meet()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        scale, shift = 10.0 ** (seed % 5 - 3), float(seed % 3) * 100.0
        whole = torch.randn(sum(sizes), 4, 6, generator=generator) * scale + shift
        u = part(whole, rank)
        for axes in (None, (0,), (0, 2)):
            whole = whole.detach().requires_grad_()
            for kind in (torch.float32, torch.float64):
                expected = moments(whole.to(kind), axes)
                (found,) = merged([moments(u.to(kind), axes)])
                assert float(found.count) == expected.count and found.mean.dtype == kind
                # float32 holds the values themselves no better than this.
                noise = 4e-7 * (shift + scale)
                torch.testing.assert_close(found.mean, expected.mean, rtol=1e-6, atol=noise)
                torch.testing.assert_close(found.sigma, expected.sigma, rtol=1e-5, atol=noise)
            value(found).backward()
            value(expected).backward()
            assert u.grad is not None and whole.grad is not None
            torch.testing.assert_close(
                u.grad / processes(), whole.grad.split(SIZES)[rank], rtol=1e-4, atol=1e-6
            )
            u.grad = None
    constant = torch.full((sizes[rank], 3), 0.1)
    (still,) = merged([moments(constant)])
    assert float(still.sigma) == 0.0 and float(still.mean) == pytest.approx(0.1)


def value(found: Moments) -> Tensor:
    """Something of the mean and of the variance."""
    return (found.mean.square() + 3.0 * torch.log(found.variance + 1e-3)).sum()


def in_rank_samples() -> None:
    rank, _ = meet()
    whole = torch.randn(sum(SIZES), 4, 6, generator=torch.Generator().manual_seed(5)) + 0.3
    shares = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
    mean = (torch.tensor(SIZES)[:, None] * shares).sum(0) / sum(SIZES)
    kinds: tuple[Granularity, ...] = ("layer", "channel")
    for granularity in kinds:
        expected = take_sample(whole, mean, 0.8, granularity)
        own = part(whole, rank)
        local = take_sample(own, shares[rank], 0.8, granularity)
        found, _ = merged_samples([replace(local, u=own.detach())] * 2, 0.8)
        assert float(found.rho) == pytest.approx(float(expected.rho), abs=1e-6)
        torch.testing.assert_close(found.shares[:3], mean)
        assert found.neurons is not None and expected.neurons is not None
        torch.testing.assert_close(found.neurons.sigma, expected.neurons.sigma)


def in_rank_sum() -> None:
    rank, _ = meet()
    x = torch.tensor([1.0 + rank, 2.0], requires_grad=True)
    total = summed(x)
    assert total.tolist() == [6.0, 6.0]
    (total * torch.tensor([1.0, 5.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [3.0, 15.0]
    assert float(weighted_mean(torch.tensor(float(rank)), SIZES[rank])) == pytest.approx(11 / 9)
    alone = dist.new_group([rank], use_local_synchronization=True)
    assert processes(alone) == 1 and summed(x, alone) is x
    dist.barrier()  # the first process, which the others ask, must not end before them


def in_rank_own_loop(folder: Path) -> None:
    rank, _ = meet()
    torch.save(own_loop(rank), folder / f"{rank}.pt")


def own_loop(rank: int | None) -> dict[str, Tensor]:
    """What anybody would write around MPO and DistributedDataParallel; None is a single process."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 8), neuron(), nn.Linear(8, 7), neuron(), nn.Linear(7, 3))
    network = Unrolled(layers, 4)
    settings = MPOSettings(
        lambda_dist=0.1, height="stabilised", height_rate=0.2, neuron_gain=True, width_pull=True
    )
    mpo = MPO(network, settings)
    model = network if rank is None else DistributedDataParallel(network)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.3)
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        x = 2.0 * torch.rand(sum(SIZES), 6, generator=generator)
        y = torch.randint(3, (sum(SIZES),), generator=generator)
        if rank is not None:
            x, y = x.split(SIZES)[rank], y.split(SIZES)[rank]
        logits = model(x.expand(4, *x.shape)).mean(0)
        loss = weighted_mean(functional.cross_entropy(logits, y), len(y)) + mpo.regularizer()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mpo.step(progress=step / 6)
    gains = {f"gain{i}": layers[i].gain for i in (1, 3)}
    return {name: value.detach() for name, value in (network.state_dict() | gains).items()}


def neuron() -> MPOLeaky:
    return MPOLeaky(beta=0.8, threshold=0.3, init_hidden=True)


@pytest.mark.parametrize("work", [in_rank_sum, in_rank_merge, in_rank_samples])
def test_sums_and_moments(work: Callable[[], None]) -> None:
    assert exit_codes(start(3, work)) == [0, 0, 0]


def test_own_loop_trains_as_one_process(tmp_path: Path) -> None:
    started = start(3, in_rank_own_loop, tmp_path)
    expected = own_loop(None)
    assert exit_codes(started) == [0, 0, 0]
    for rank in range(3):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)
    heights = {float(t) for name, t in expected.items() if name.endswith("height")}
    assert heights != {1.0}


def test_micro_batches_add_up_to_the_step() -> None:
    """Accumulated gradients: the task loss is that of the batch, and so are widths and gains."""
    steps = {}
    for sizes in ([sum(SIZES)], list(SIZES)):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(6, 8), neuron(), nn.Linear(8, 3))
        network = Unrolled(layers, 4)
        mpo = MPO(network, MPOSettings(neuron_gain=True))
        x, y = torch.rand(sum(SIZES), 6), torch.arange(sum(SIZES)) % 3
        task = 0.0
        for own_x, own_y in zip(x.split(sizes), y.split(sizes), strict=True):
            logits = network(own_x.expand(4, *own_x.shape)).mean(0)
            share = len(own_y) / len(y)
            loss = share * functional.cross_entropy(logits, own_y)
            (loss + share * mpo.regularizer()).backward()
            task += float(loss.detach())
        mpo.step()
        steps[len(sizes)] = task, layers[0].weight.grad, layers[1].width, layers[1].gain
    for one, other in zip(steps[1], steps[3], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)
