"""The optimiser of a recipe and how its learning rate moves over the run."""

from __future__ import annotations

import math

from torch import nn, optim
from torch.optim.lr_scheduler import LambdaLR

from mpo_snn.training.recipe import OptimizerSettings


def learning_rate_factor(step: int, steps: int, warmup_steps: int, schedule: str) -> float:
    """Share of the highest learning rate at a step, counted from 0.

    Rises linearly over the warm-up, (step + 1) / warmup_steps, then stays (`constant`) or falls as
    (1 + cos(pi * t)) / 2 with t from 0 to 1 over the rest of the run (`cosine`).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def build_optimizer(network: nn.Module, settings: OptimizerSettings) -> optim.Optimizer:
    """The optimiser; weight decay acts on matrices and kernels, not on biases, norms or neurons."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.name == "sgd":
        return optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)
    if settings.name == "adamw":
        return optim.AdamW(groups, lr=settings.lr)
    return optim.Adam(groups, lr=settings.lr)


def build_schedule(
    optimizer: optim.Optimizer, settings: OptimizerSettings, epochs: int, steps_per_epoch: int
) -> LambdaLR:
    """The schedule, moved once per step."""
    steps, warmup = epochs * steps_per_epoch, round(settings.warmup_epochs * steps_per_epoch)
    return LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, steps, warmup, settings.schedule)
    )
