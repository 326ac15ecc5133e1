r"""Quantization-aware training: the network learns with the values that the chip will have.

Straight through, as in BinaryConnect (Courbariaux et al., NeurIPS 2015): the forward and backward
pass of a step run with the rounded weights, and the step moves the real ones,

.. math::
    \tilde w = Q(w), \qquad w \leftarrow w - \eta\, \frac{\partial L}{\partial \tilde w}.

Q is the quantizer of the deployment itself, not a model of it. What export folds into a weight (a
batchnorm, the average of a pooling) is a factor per output channel; it is read off anew whenever
`refresh` is called, and divided out of what Q gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mpo_snn.errors import DeployError
from mpo_snn.profiles.chip import ChipProfile

from .families import family_of
from .layers import ChipGraph, Projection


@dataclass(frozen=True)
class _Site:
    """A weight of the network and where it stands among the layers.

    Attributes:
        name: of its module.
        parameter: of the network.
        layer: name of the layer that it drives.
        index: of the projection in that layer.
        factor: what export multiplied it by, per output channel, (out, 1, ...).
    """

    name: str
    parameter: nn.Parameter
    layer: str
    index: int
    factor: Tensor


class GridWeights:
    """The rounded weights of a network, swapped in for the real ones and back.

    Args:
        network: plain torch.nn and MPO neurons.
        profile: of the chip.
        read: gives the layers of the network as it is now, as a deployment would read them.

    Raises:
        DeployError: if the chip has no quantizer, or holds a weight in another form than the
            network does.
    """

    def __init__(
        self, network: nn.Module, profile: ChipProfile, read: Callable[[], ChipGraph]
    ) -> None:
        """Find every weight among the layers."""
        quantize = family_of(profile).quantize
        if quantize is None:
            raise DeployError(
                f"cannot train for the values of {profile.name}: no arithmetic of it is known."
            )
        self._network, self._profile, self._read = network, profile, read
        self._quantize = quantize
        self.refresh()

    def refresh(self) -> None:
        """Read the layers again: batchnorm has other statistics after an epoch."""
        self._graph = self._read()
        modules = dict(self._network.named_modules())
        self._sites = []
        for layer in self._graph:
            for index, projection in enumerate(layer.projections):
                module = modules.get(projection.node)
                weight = getattr(module, "weight", None)
                if isinstance(weight, nn.Parameter):
                    factor = _factor(projection, weight)
                    self._sites.append(_Site(projection.node, weight, layer.name, index, factor))

    @torch.no_grad()
    def swap_in(self) -> None:
        """Put rounded weights into the place of the real ones.

        Raises:
            DeployError: if the chip holds a weight in another form than the network does.
        """
        real = [site.parameter.detach().clone() for site in self._sites]
        values = self._quantize(self._with(real), self._profile, None).on_grid()
        self._kept = real
        for site in self._sites:
            rounded = values[site.layer].weights[site.index]
            if rounded.shape != site.parameter.shape:
                raise _other_form(site.name, rounded, site.parameter)
            site.parameter.copy_((rounded / site.factor).reshape(site.parameter.shape))

    @torch.no_grad()
    def restore(self) -> None:
        """Put the real weights back."""
        for site, real in zip(self._sites, self._kept, strict=True):
            site.parameter.copy_(real)

    def _with(self, real: list[Tensor]) -> ChipGraph:
        """The layers with the weights of now."""
        weights: Mapping[tuple[str, int], Tensor] = {
            (site.layer, site.index): weight.cpu().double().reshape((*site.factor.shape[:1], -1))
            * site.factor.reshape(-1, 1)
            for site, weight in zip(self._sites, real, strict=True)
        }
        layers = []
        for layer in self._graph:
            projections = tuple(
                replace(p, weight=weights[layer.name, index].reshape(p.weight.shape))
                if (layer.name, index) in weights
                else p
                for index, p in enumerate(layer.projections)
            )
            layers.append(replace(layer, projections=projections))
        return replace(self._graph, layers=tuple(layers))


def _factor(projection: Projection, weight: Tensor) -> Tensor:
    """What export multiplied each output channel of a weight by."""
    if projection.weight.shape != weight.shape:
        raise _other_form(projection.node, projection.weight, weight)
    ours = weight.detach().cpu().double().flatten(1)
    folded = projection.weight.reshape(ours.shape)
    size = ours.square().sum(1)
    factor = torch.where(size > 0, (ours * folded).sum(1) / size.clamp(min=1e-300), 1.0)
    return factor.reshape(-1, *[1] * (projection.weight.dim() - 1))


def _other_form(name: str, chip: Tensor, network: Tensor) -> DeployError:
    return DeployError(
        f"cannot train '{name}' with rounded weights: the chip holds {tuple(chip.shape)} for"
        f" {tuple(network.shape)}, a convolution as single weights; use dense layers."
    )
