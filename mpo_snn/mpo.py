r"""MPO: the surrogate follows the membrane's distribution (the method, Eq. 11 and 17-23).

The joint objective is

.. math::
    L = L_\text{task} + \lambda_d L_\text{Dist} + \lambda_w L_\text{width}

.. math::
    L_\text{Dist} = \mathrm{KL}\big(N(\mu_V, \sigma_V^2)\,\|\,N(m, s^2)\big), \qquad
    L_\text{width} = |\text{width} - c\,\sigma_V|

each the mean over layers; with `width_follows="reach"`, `reach` stands in the place of
:math:`\sigma_V` there. Beside the loss, `step` moves three things that only the backward pass
sees: the width (towards :math:`c\,\sigma_V`), the height of each layer (DAS, Eq. 22) and the gain
of each neuron (SFH, Algorithm 1 line 13).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mpo_snn.errors import MpoError
from mpo_snn.gradient_growth import growth_of
from mpo_snn.gradient_scale import adjust_heights, neuron_gain
from mpo_snn.joint_layers import JointLayers, joint_layers
from mpo_snn.membrane import Sample
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.membrane_totals import Totals
from mpo_snn.mpo_state import check_state
from mpo_snn.neurons import MPONeuron, neurons_of
from mpo_snn.objective import kl_normal, reach
from mpo_snn.processes import Group
from mpo_snn.reduction import merged_samples
from mpo_snn.settings import MPOSettings
from mpo_snn.width_scale import WidthScale, at_depth


@dataclass
class _Layer:
    """What MPO keeps of one layer between steps."""

    neuron: MPONeuron
    sigma_of_neurons: Tensor | None = None


class MPO:
    """The method, for any network with MPO neurons and anybody's own training loop.

    Three lines: `mpo = MPO(network)`, `loss = task_loss + mpo.regularizer()`, and
    `mpo.step(progress=...)` after the optimiser. With `width_update="gradient"` the widths become
    parameters, so build the optimiser after this.

    Args:
        network: a module with at least one MPO neuron; `mpo_snn.adapt` makes them from snnTorch's.
        settings: parts and constants of the method.
        phi: gain of every neuron from the standard deviation of its membrane over the batch
            (Algorithm 1 line 13), (*features) in volt to the same shape; `neuron_gain` as a rule.
        group: the processes over which statistics are taken (`mpo_snn.processes`); None are all
            that `torch.distributed` knows, which is this one where it was not initialised.

    Attributes:
        totals: what the membranes did since `statistics` was last asked for.

    Raises:
        MpoError: if the network has no MPO neuron; if the width of a surrogate is to be adapted
            that has none (`spike_grad`); if widths per channel are to be parameters and a layer
            does not know its channels.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: MPOSettings | None = None,
        phi: Callable[[Tensor], Tensor] = neuron_gain,
        group: Group | None = None,
    ) -> None:
        """Attach a record to every neuron."""
        neurons = neurons_of(network)
        self.settings = settings = at_depth(settings or MPOSettings(), len(neurons))
        self.phi, self.group = phi, group
        self._width_scale = WidthScale(settings)
        if not neurons:
            raise MpoError(
                "cannot start MPO: the network has no MPO neuron. Build it with MPOLeaky or"
                " MPOSynaptic, or turn snnTorch's neurons into them with mpo_snn.adapt(network)."
            )
        learn_width = settings.adapt_width and settings.width_update == "gradient"
        per_channel = settings.granularity == "channel"
        _refuse_what_cannot_be_adapted(neurons, settings.adapt_width, learn_width and per_channel)
        self.layers = {name: _Layer(neuron) for name, neuron in neurons.items()}
        self.totals = Totals()
        self._joint: list[JointLayers] | None = None
        for neuron in neurons.values():
            neuron.height_norm = settings.height_norm
            neuron.record = MembraneRecord(
                settings.statistic,
                settings.height_gamma,
                settings.granularity,
                settings.height_norm == "rms",
                settings.neuron_gain,
                group,
            )
            if learn_width and not isinstance(neuron.width, nn.Parameter):
                width = neuron.width
                if per_channel and width.dim() == 0 and neuron.channels is not None:
                    width = width.expand(neuron.channels).clone()
                del neuron.width
                neuron.width = nn.Parameter(width)

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1; read where `width_scale_end` is set."""
        return self._width_scale.progress

    @progress.setter
    def progress(self, share: float) -> None:
        self._width_scale.progress = share

    def regularizer(self) -> Tensor:
        """lambda_dist * L_Dist + lambda_width * L_width of the forward since the last call.

        A number without a gradient where nothing of it pulls on a parameter.

        Raises:
            MpoError: if a layer has not run in training mode since then.
        """
        settings, parts = self.settings, self._open_parts()
        width = settings.lambda_width * self._width_loss(parts)
        if settings.lambda_dist == 0.0:
            return width
        return settings.lambda_dist * self._dist_loss(parts, pulls=True) + width

    def losses(self, dist_pulls: bool = True) -> tuple[Tensor, Tensor]:
        """L_Dist and L_width apart, unweighted; reads the statistics as `regularizer` does.

        Args:
            dist_pulls: whether L_Dist has a gradient; without one, none is computed for it.
        """
        parts = self._open_parts()
        return self._dist_loss(parts, dist_pulls), self._width_loss(parts)

    def _open_parts(self) -> list[JointLayers]:
        is_first = not any(_record(layer).read for layer in self.layers.values())
        self._joint = None  # whatever was found before, should a layer be absent now
        parts = self._parts(self._complete("regularizer", self._take_open()))
        # What `step` would find again, unless something moves before.
        is_all = is_first and not any(part.threshold_moves for part in parts)
        if is_all:
            self._joint = [part.detached for part in parts]
        return parts

    def _dist_loss(self, parts: list[JointLayers], pulls: bool) -> Tensor:
        found = []
        for part in parts:
            layer = part.layer if pulls else part.detached.layer
            found.append(kl_normal(layer, self._target_mean(part), self.settings.target_std))
        return self._mean_of_layers(parts, found)

    def _width_loss(self, parts: list[JointLayers]) -> Tensor:
        found = []
        for part in parts:
            extent = self._extent(part if self.settings.width_pull else part.detached)
            c = self._width_scale.beside(part.width)
            found.append((part.width - c * extent).abs())
        return self._mean_of_layers(parts, found)

    def _mean_of_layers(self, parts: list[JointLayers], values: list[Tensor]) -> Tensor:
        shares = [
            len(part.neurons) / len(self.layers) * value.mean()
            for part, value in zip(parts, values, strict=True)
        ]
        return sum(shares[1:], shares[0])

    @torch.no_grad()
    def step(self, progress: float | None = None) -> None:
        """Move widths, heights and gains by the statistics since the last step, and clear them.

        Args:
            progress: share of the training that is done, 0 to 1; None leaves it as it was.

        Raises:
            MpoError: if a layer has not run in training mode since then, or progress is no share.
        """
        if progress is not None:
            self.progress = progress
        if any(_record(layer).has_open for layer in self.layers.values()):
            self._take_open()
            self._joint = None
        everything = {name: _record(layer).take_all() for name, layer in self.layers.items()}
        samples = self._complete("step", everything)
        parts, self._joint = self._joint or self._parts(samples), None
        for part in parts:
            self._follow_width(part)
        for name, sample in samples.items():
            layer = self.layers[name]
            self._follow_gain(layer, sample)
            self._follow_rms(layer.neuron, sample)
        self._follow_heights(samples)
        neurons = [self.layers[name].neuron for name in samples]
        self.totals.add(
            list(samples.values()),
            [n.width for n in neurons],
            [n.height for n in neurons],
            parts[0] if len(parts) == 1 and len(samples) > 1 else None,
        )

    def statistics(self, clear: bool = True) -> dict[str, dict[str, float]]:
        """Per layer, the mean over the steps since the last clearing call.

        Keys: mu, sigma (volt), width (volt), height, rho, coverage, density, rails (share of
        steps that left the height on a rail), gradient_growth (`mpo_snn.gradient_growth`). Where
        mu, sigma and width are per channel, the mean over the channels; coverage and
        gradient_growth are NaN where the surrogate is a function (`spike_grad`). A layer whose
        membrane never moved is named in a warning. Values reach the host here, never in `step`.
        """
        table = {}
        for name, means in zip(self.layers, self.totals.means(), strict=False):
            growth = growth_of(self.layers[name].neuron, means)
            table[name] = {**means, "gradient_growth": growth}
            if means["sigma"] == 0.0:
                warnings.warn(
                    f"the membrane of layer '{name}' does not move (sigma = 0): its input is"
                    " constant or absent, so its surrogate cannot follow it.",
                    stacklevel=2,
                )
        if clear:
            self.totals = Totals()
        return table

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs beside the network's own state: per-neuron sigmas, gains, rms."""
        return {
            name: {
                "sigma_of_neurons": layer.sigma_of_neurons,
                "gain": layer.neuron.gain.clone(),
                "rms": layer.neuron.rms.clone(),
            }
            for name, layer in self.layers.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave, in the precision of the widths.

        Raises:
            MpoError: if the layers differ, or a layer's values are not what such a layer keeps.
        """
        if set(state) != set(self.layers):
            raise MpoError(
                f"cannot load MPO state: it has layers {sorted(state)},"
                f" the network has {sorted(self.layers)}."
            )
        check_state(state)
        for name, layer in self.layers.items():
            width, sigma = layer.neuron.width, state[name]["sigma_of_neurons"]
            dtype = torch.promote_types(width.dtype, torch.float32)
            layer.sigma_of_neurons = None if sigma is None else sigma.to(width.device, dtype)
            for key in ("gain", "rms"):
                layer.neuron.put(key, state[name][key].to(width.device, width.dtype))

    def _take_open(self) -> dict[str, Sample | None]:
        """The samples that nobody has read yet, over all processes; they stay for `step`."""
        taken = {name: _record(layer).take_sequences() for name, layer in self.layers.items()}
        joint = iter(
            merged_samples(
                [sample for samples in taken.values() for sample in samples],
                self.settings.height_gamma,
                self.group,
            )
        )
        return {
            name: _record(self.layers[name]).note([next(joint) for _ in samples])
            for name, samples in taken.items()
        }

    def _complete(self, purpose: str, found: dict[str, Sample | None]) -> dict[str, Sample]:
        absent = [name for name, sample in found.items() if sample is None]
        if absent:
            raise MpoError(
                f"MPO.{purpose}() has no membrane statistics of layer"
                f" {', '.join(repr(name) for name in absent)}: run the network forward in training"
                " mode, with gradients on, before it, and call it once a forward."
            )
        return {name: sample for name, sample in found.items() if sample is not None}

    def _parts(self, samples: dict[str, Sample]) -> list[JointLayers]:
        return joint_layers([(self.layers[n].neuron, s.layer) for n, s in samples.items()])

    def _target_mean(self, part: JointLayers) -> float | Tensor:
        """M of the layers: a number, or the threshold of each, which is not pulled in turn."""
        if self.settings.target_mean != "threshold":
            return self.settings.target_mean
        return part.threshold

    def _extent(self, part: JointLayers) -> Tensor:
        """What the width follows c times of, in volt."""
        if self.settings.width_follows == "spread":
            return part.sigma
        return reach(part.layer.mean, part.sigma, part.threshold)

    def _follow_width(self, part: JointLayers) -> None:
        settings = self.settings
        if not settings.adapt_width or settings.width_update != "ema":
            return
        targets = part.of_each(self._width_scale.value * self._extent(part))
        for neuron, target in zip(part.neurons, targets, strict=True):
            if neuron.width.dim() < target.dim():
                neuron.put("width", neuron.width.expand(target.shape))
        widths = [neuron.width for neuron in part.neurons]
        own = [target.to(width.dtype) for target, width in zip(targets, widths, strict=True)]
        torch._foreach_lerp_(widths, own, 1.0 - settings.width_momentum)

    def _follow_rms(self, neuron: MPONeuron, sample: Sample) -> None:
        if self.settings.height_norm == "rms":
            rms = sample.power.sqrt().to(neuron.rms.dtype)
            neuron.put("rms", torch.where(rms > 0, rms, neuron.rms))

    def _follow_gain(self, layer: _Layer, sample: Sample) -> None:
        if sample.neurons is None:
            return
        sigma = sample.neurons.sigma
        old = layer.sigma_of_neurons
        if old is not None and old.shape == sigma.shape:
            sigma = torch.lerp(sigma, old, self.settings.gain_momentum)
        layer.sigma_of_neurons = sigma
        gain = self.phi(sigma)
        if gain.shape != sigma.shape:
            raise MpoError(
                f"phi gave gains of shape {tuple(gain.shape)} for neurons of shape"
                f" {tuple(sigma.shape)}: it must give one gain per neuron."
            )
        layer.neuron.put("gain", gain.to(layer.neuron.width.dtype))

    def _follow_heights(self, samples: dict[str, Sample]) -> None:
        if self.settings.height == "off":
            return
        neurons = [self.layers[name].neuron for name in samples]
        heights = torch.stack([neuron.height for neuron in neurons])
        rho = torch.stack([sample.rho for sample in samples.values()]).to(heights.dtype)
        adjusted = adjust_heights(heights, rho, self.settings)
        for neuron, height in zip(neurons, adjusted, strict=True):
            neuron.height.copy_(height)


def _record(layer: _Layer) -> MembraneRecord:
    record = layer.neuron.record
    assert record is not None, "MPO gives every neuron a record"
    return record


def _refuse_what_cannot_be_adapted(
    neurons: dict[str, MPONeuron], adapt_width: bool, needs_channels: bool
) -> None:
    findings = []
    for name, neuron in neurons.items():
        if adapt_width and callable(neuron.surrogate):
            findings.append(
                f"layer '{name}' has a surrogate given as a function (spike_grad), which has no"
                " width to adapt: use one of the shapes, or MPOSettings(adapt_width=False)."
            )
        if needs_channels and neuron.channels is None and neuron.width.dim() == 0:
            findings.append(
                f"layer '{name}' does not know its channels, so its widths cannot become"
                " parameters before it has run: build it with a width per channel,"
                " MPOLeaky(..., width=torch.full((channels,), 0.5)), or use width_update='ema'."
            )
    if findings:
        raise MpoError("cannot start MPO", findings)
