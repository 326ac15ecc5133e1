"""What the membranes did since somebody last asked: means over steps, kept on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.gradient_scale import HEIGHT_RAILS
from mpo_snn.joint_layers import JointLayers
from mpo_snn.membrane import Sample

KEYS = ("mu", "sigma", "rho", "coverage", "density", "width", "height", "rails")


@dataclass
class Totals:
    """Sums of the figures of all layers over steps; nothing waits for the device until `means`.

    Attributes:
        sums: (KEYS, layers).
        batches: how many steps they are of.
    """

    sums: Tensor | None = None
    batches: int = 0

    @torch.no_grad()
    def add(
        self,
        samples: Sequence[Sample],
        widths: Sequence[Tensor],
        heights: Sequence[Tensor],
        joint: JointLayers | None = None,
    ) -> None:
        """Add one step.

        Args:
            samples: statistics of the membrane of every layer in it.
            widths: of the surrogates, in volt; one number or one per channel.
            heights: of the surrogates, 0-d.
            joint: all layers together, where somebody has them so.
        """
        low, high = HEIGHT_RAILS
        if joint is None:
            mu = _means([sample.layer.mean for sample in samples])
            sigma = _means([sample.layer.sigma for sample in samples])
        else:
            mu, sigma = joint.layer.mean.float(), joint.sigma.float()
        shares = torch.stack([sample.shares for sample in samples]).float()
        height = torch.stack(tuple(heights)).float()
        now = torch.stack(
            (
                mu,
                sigma,
                shares[:, 3],
                shares[:, 0],
                shares[:, 1],
                _means(widths),
                height,
                ((height <= low) | (height >= high)).float(),
            )
        )
        self.sums = now if self.sums is None else self.sums + now
        self.batches += 1

    def of_layers(self, key: str) -> Sequence[Tensor]:
        """The sums of one figure, 0-d, of each layer."""
        assert self.sums is not None, "no step has been added"
        return self.sums[KEYS.index(key)].unbind()

    def means(self) -> list[dict[str, float]]:
        """Means over the steps, of each layer; here the values reach the host."""
        if self.sums is None:
            return []
        rows = (self.sums / self.batches).T.tolist()
        return [dict(zip(KEYS, row, strict=True)) for row in rows]


def _means(values: Sequence[Tensor]) -> Tensor:
    """One number of each, (layers,), in float32."""
    return torch.stack([v.mean() if v.dim() else v for v in values]).float()
