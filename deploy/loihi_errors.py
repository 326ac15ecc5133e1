"""What rounding to Loihi's numbers did to a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .loihi_format import alpha_of, beta_of
from .quantized import LayerError

if TYPE_CHECKING:
    from .loihi_network import LoihiLayer


def layer_error(layer: LoihiLayer, hops: int) -> LayerError:
    """Compare a layer with the one that it stands for.

    Args:
        layer: in the chip's numbers.
        hops: from the input.
    """
    real, scale, neurons = layer.real, layer.scale, layer.neurons
    wanted = [scale * projection.weight.flatten() for projection in real.projections]
    w = torch.cat([torch.zeros(0, dtype=torch.float64), *wanted])
    stored = torch.cat([w[:0], *(weight.values.double().flatten() for weight in layer.weights)])
    off = (stored - w).abs()
    thresholds = scale * real.threshold.flatten()
    decay = _largest(beta_of(neurons.decay_v) - real.beta.flatten())
    if real.alpha is not None:
        decay = max(decay, _largest(alpha_of(neurons.decay_u) - real.alpha.flatten()))
    return LayerError(
        layer=real.name,
        scale=scale,
        weight_error=float(off.norm() / w.norm()) if bool(w.any()) else 0.0,
        largest_error=_largest(off),
        dead_weights=int(((w != 0) & (stored == 0)).sum()),
        weights=w.numel(),
        saturated=layer.clipped,
        threshold=_largest((neurons.threshold - thresholds) / thresholds),
        decay=decay,
        note=f"the bias acts {hops} {'step' if hops == 1 else 'steps'} before the first input"
        if bool(neurons.bias.any())
        else "",
    )


def _largest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0
