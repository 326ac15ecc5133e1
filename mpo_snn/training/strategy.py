"""What Lightning and torch are to know where several processes train one network."""

from __future__ import annotations

from typing import Any

from torch import nn

from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.training.checkpoint import AtomicCheckpoints
from mpo_snn.training.ranks import rank

declare_torchvision_operators()

from lightning.fabric.plugins.environments.torchelastic import (  # noqa: E402
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy  # noqa: E402


def processes_of_trainer() -> dict[str, Any]:
    """Arguments of `lightning.pytorch.Trainer`; torchrun has started the processes already.

    Buffers are not broadcast: the method moves its own alike everywhere, and those of batchnorm are
    shared by SyncBatchNorm or `RunningStatistics`.
    """
    me = rank()
    if me.count == 1:
        return {"devices": 1, "plugins": [AtomicCheckpoints()]}
    return {
        "devices": me.local_count,
        "num_nodes": me.machines,
        "strategy": DDPStrategy(broadcast_buffers=False),
        "plugins": [AtomicCheckpoints(), TorchElasticEnvironment()],
    }


def with_shared_batchnorm(network: nn.Module, device: str) -> nn.Module:
    """The network, its batchnorms normalising by the samples of all processes where torch can.

    That is on GPUs (SyncBatchNorm). On a CPU each process normalises by its own samples.
    """
    if rank().count == 1 or device != "cuda":
        return network
    shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return shared
