"""What a layer's membrane did since somebody last asked: means over steps, kept on the device."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from mpo_snn.gradient_scale import HEIGHT_RAILS
from mpo_snn.membrane import Sample


@dataclass
class Totals:
    """Sums of a layer's figures over steps; nothing waits for the device until `means`.

    Attributes:
        sums: by name, 0-d.
        batches: how many steps they are of.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    batches: int = 0

    def add(self, sample: Sample, width: Tensor, height: Tensor) -> None:
        """Add one step.

        Args:
            sample: statistics of the membrane in it.
            width: of the surrogate, in volt; one number or one per channel.
            height: of the surrogate, 0-d.
        """
        low, high = HEIGHT_RAILS
        now = {
            "mu": sample.layer.mean.mean(),
            "sigma": sample.layer.sigma.mean(),
            "width": width.detach().mean(),
            "height": height.clone(),
            "rho": sample.rho,
            "coverage": sample.coverage,
            "density": sample.density,
            "rails": ((height <= low) | (height >= high)).float(),
        }
        old = self.sums
        self.sums = now if self.batches == 0 else {key: old[key] + now[key] for key in now}
        self.batches += 1

    def means(self) -> dict[str, float]:
        """Means over the steps; here the values reach the host."""
        return {key: float(value) / self.batches for key, value in self.sums.items()}
