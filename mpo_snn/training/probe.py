"""Watches a run while it trains: membranes of a fixed batch, and gradients, epoch by epoch.

Neither draws a random number nor changes a value, so that a watched run ends with the weights of
one that is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpo_snn.encoding import encode
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.training.callbacks import EpochTable
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.rundir import Run

declare_torchvision_operators()

from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402

HISTOGRAM, GRADIENTS = "histogram.csv", "gradients.csv"
BINS_PER_THRESHOLD, FARTHEST = 10, 6
"""Bins of a tenth of the threshold, from -6 to 6 thresholds; beyond is counted in two more."""


def probes(run: Run) -> list[Callback]:
    """The two callbacks, which write their tables into the run directory."""
    return [MembraneHistogram(run.path / HISTOGRAM), GradientNorms(run.path / GRADIENTS)]


def bin_edges() -> list[float]:
    """Left edges of the bins from -6 to 6 thresholds."""
    far = FARTHEST * BINS_PER_THRESHOLD
    return [place / BINS_PER_THRESHOLD for place in range(-far, far)]


def histogram(v: Tensor, threshold: Tensor) -> list[tuple[float, float]]:
    """Left edge of every bin that is not empty, in thresholds, and the share of v in it.

    Args:
        v: membrane, (time, batch, *features), volt.
        threshold: in volt, broadcast against one step of v.

    Returns:
        edges from -6 in steps of 0.1; -inf stands for all below -6, 6 for all from 6 on.
    """
    edges = [-float("inf"), *bin_edges(), float(FARTHEST)]
    last = len(edges) - 1
    place = torch.floor((v / threshold + FARTHEST) * BINS_PER_THRESHOLD) + 1
    counts = torch.bincount(place.clamp_(0, last).to(torch.int64).flatten(), minlength=last + 1)
    shares = (counts.double() / v.numel()).tolist()
    return [(edge, share) for edge, share in zip(edges, shares, strict=True) if share]


class MembraneHistogram(EpochTable):
    """histogram.csv: share of the membrane in each bin, per epoch and layer.

    The membrane is that of the first batch of the split on which the run is measured, in eval mode.
    """

    columns = ("epoch", "layer", "threshold_multiple", "share")

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's rows."""
        assert isinstance(pl_module, TrainingModule), "this callback belongs to TrainingModule"
        rows: list[list[str]] = []
        unrolled, recipe = pl_module.unrolled, pl_module.recipe
        epoch = str(trainer.current_epoch + 1)

        def look(name: str, spk: Tensor, v: Tensor) -> None:
            threshold = unrolled.neurons[name].parameters_for(v.shape[1:]).threshold
            for edge, share in histogram(v, threshold):
                rows.append([epoch, name, f"{edge:g}", f"{share:.8f}"])

        modes = {module: module.training for module in pl_module.modules()}
        pl_module.eval()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            loader: Any = trainer.val_dataloaders
            x = pl_module.shown(next(iter(loader))[0].to(pl_module.device))
            unrolled(encode(x, recipe.timesteps, recipe.encoding), observe=look)
        for module, training in modes.items():
            module.training = training
        self.add(rows)


class GradientNorms(EpochTable):
    """gradients.csv: L2 norm of the gradient of each weight, mean over the steps of an epoch."""

    columns = ("epoch", "weight", "gradient_norm")

    def __init__(self, path: Path) -> None:
        """Write to this path."""
        super().__init__(path)
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from 0."""
        self.sums, self.steps = {}, 0

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Any
    ) -> None:
        """Add the norms of this step; matrices and kernels count, biases and norms do not."""
        assert isinstance(pl_module, TrainingModule), "this callback belongs to TrainingModule"
        for name, parameter in pl_module.unrolled.network.named_parameters():
            if parameter.dim() > 1 and parameter.grad is not None:
                norm = parameter.grad.norm()
                self.sums[name] = self.sums[name] + norm if name in self.sums else norm
        self.steps += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's rows."""
        epoch = str(trainer.current_epoch + 1)
        self.add(
            [[epoch, name, f"{float(norm) / self.steps:.8g}"] for name, norm in self.sums.items()]
        )
