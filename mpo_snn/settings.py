"""Settings of a neuron and of the method, as plain values; nothing heavy is imported here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mpo_snn.errors import RecipeError

LEAST_GAMMA = 1e-3
"""The share of a normal distribution within gamma sigmas divides in Eq. 22: it must not vanish."""
SMALLEST, LARGEST = 1e-30, 1e30
MOST_SPIKES = 1000
"""Of one neuron in one step, beyond which a number is a slip of the pen."""
HeightNorm = Literal["none", "peak", "rms"]


@dataclass(frozen=True)
class NeuronSettings:
    """One kind of LIF neuron for a whole network (`mpo_snn.lif` has the equations).

    Attributes:
        model: `leaky` has a membrane alone, `synaptic` a leaky synapse in front of it (CubaLIF),
            `klif` a learnable factor on a rectified membrane (`mpo_snn.rivals.klif`).
        alpha: leak of the synapse per step (`synaptic`), dimensionless, in [0, 1].
        beta: membrane leak per step, dimensionless, in [0, 1]; 1 is IF and needs `unit` gain.
        threshold: firing threshold, in volt, > 0.
        reset: what a spike does to the membrane.
        reset_timing: in the step of the spike, or one step later.
        input_gain: `decay` multiplies the input by 1 - leak, `unit` leaves it.
        learn_alpha: train the leak of the synapse (`synaptic`).
        learn_beta: train the leak of the membrane.
        learn_threshold: train the threshold.
        granularity: what is trained has one value per `layer` or per `channel`.
        surrogate: shape of the surrogate (`mpo_snn.surrogate` has the formulas).
        width: width of the surrogate at the start, in volt, > 0.
        width_form: how the slope follows from the width.
        slope: slope of the surrogate at the start, in 1/volt, > 0; null takes that of the width,
            any other value stands in its place.
        most_spikes: spikes of one neuron in one step, >= 1 (`mpo_snn.multi_spike`); more than 1 is
            for chips, and needs a reset in the step.
        output_spikes: the same for the neurons of the output (read-out `spike_count`); null takes
            most_spikes.
        lower: lowest membrane in volt, <= 0, likewise; null for none.
        backend: LIF kernel; null takes the fastest there is.
    """

    model: Literal["leaky", "synaptic", "klif"] = "leaky"
    alpha: float = 0.5
    beta: float = 0.5
    threshold: float = 0.5
    reset: Literal["zero", "subtract", "none"] = "zero"
    reset_timing: Literal["step", "next"] = "step"
    input_gain: Literal["decay", "unit"] = "decay"
    learn_alpha: bool = False
    learn_beta: bool = False
    learn_threshold: bool = False
    granularity: Literal["layer", "channel"] = "layer"
    surrogate: Literal["sigmoid", "arctan", "piecewise_linear", "triangle", "tanh"] = "sigmoid"
    width: float = 0.5
    width_form: Literal["paper", "scale", "matched"] = "matched"
    slope: float | None = None
    most_spikes: int = 1
    output_spikes: int | None = None
    lower: float | None = None
    backend: Literal["numba", "in_place", "triton", "reference"] | None = None

    def findings(self) -> list[str]:
        """What is out of range, one line each."""
        found = []
        for name in ("alpha", "beta") if self.model == "synaptic" else ("beta",):
            leak = getattr(self, name)
            if not 0.0 <= leak <= 1.0:
                found.append(f"neuron.{name} is {leak:g}, allowed is 0 to 1.")
            elif leak == 1.0 and self.input_gain == "decay":
                found.append(
                    f"neuron.{name} is 1 with neuron.input_gain decay, which deletes the input:"
                    " an integrator needs input_gain unit."
                )
        if self.model != "synaptic":
            given = {"learn_alpha": self.learn_alpha, "alpha": self.alpha != NeuronSettings.alpha}
            found += [
                f"neuron.{name} needs neuron.model synaptic: {self.model} has no synapse."
                for name, is_given in given.items()
                if is_given
            ]
        if self.model == "klif" and self.reset_timing != "step":
            found.append(
                f"neuron.reset_timing is {self.reset_timing} with neuron.model klif, which resets"
                " in the step of the spike: use step."
            )
        if self.granularity == "channel" and not (
            self.learn_alpha or self.learn_beta or self.learn_threshold
        ):
            found.append(
                "neuron.granularity is channel, but nothing is trained per channel: set"
                " learn_alpha, learn_beta or learn_threshold."
            )
        found += self._firing_findings()
        slope = () if self.slope is None else ("slope",)
        found += _positive(self, "neuron", "threshold", "width", *slope)
        return found

    @property
    def fires_once(self) -> bool:
        """Whether every neuron fires once a step at most and has no lowest membrane."""
        return self.most_spikes == 1 and self.output_spikes in (None, 1) and self.lower is None

    def of_output(self) -> NeuronSettings:
        """The settings of the neurons of the output."""
        return replace(self, most_spikes=self.output_spikes or self.most_spikes, output_spikes=None)

    def _firing_findings(self) -> list[str]:
        if self.fires_once:
            return []
        found, most, output = [], self.most_spikes, self.output_spikes
        if output is not None and not 1 <= output <= MOST_SPIKES:
            found.append(
                f"neuron.output_spikes is {output}, allowed is 1 to {MOST_SPIKES}, or null."
            )
        elif output is not None and most == 1:
            most = output
        found += firing_findings("neuron.", self.reset, self.reset_timing, most, self.lower)
        if self.model == "klif":
            found.append(
                "neuron.most_spikes and neuron.lower are not for neuron.model klif, whose equation"
                " has neither: use leaky or synaptic."
            )
        if self.backend not in (None, "reference"):
            found.append(
                f"neuron.backend is {self.backend} with neuron.most_spikes or neuron.lower, allowed"
                " is reference: leave it out."
            )
        return found

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        refuse("neuron settings", self.findings())


@dataclass(frozen=True)
class MPOSettings:
    """Membrane-potential-guided surrogate optimisation; each part can be left out.

    By default the width alone moves, as docs/mpo.md says why; the paper's whole method is
    ``MPOSettings(width_follows="spread", width_scale=1.0, width_scale_end=None, lambda_dist=0.01,
    height="stabilised", neuron_gain=True)``.

    Attributes:
        granularity: statistics and width for a whole `layer` or for every `channel` of it.
        adapt_width: let the width follow the membrane (L_width, Eq. 11 and 20); off: frozen.
        width_update: `ema` follows the minimiser of Eq. 20 directly, `gradient` by the optimiser.
        width_momentum: share of the old width kept at a step of `ema`, in [0, 1).
        width_follows: what the width follows: sigma (`spread`, the paper), or the larger of sigma
            and |mu - threshold| (`reach`), so that a silent layer keeps its gradients.
        width_scale: c; the width follows c times that, > 0, or `depth`. The paper: 1.
        width_scale_end: c at the end of the training, > 0, reached along a half cosine; `depth`
            takes 0.2, or more where the network has more than six layers of neurons
            (`mpo_snn.width_scale.scale_at_depth`); null keeps c where it is.
        width_pull: let L_width send gradients into the network (the joint loss to the letter).
        statistic: U is the time mean of the membrane (Eq. 17) or its `final` value.
        lambda_width: weight of L_width in the joint loss, >= 0.
        lambda_dist: weight of L_Dist in the joint loss, >= 0.
        target_mean: mean m of the target distribution of U, in volt (Eq. 21: 0), or `threshold`,
            that of each layer (Prop. 1, Eq. 12).
        target_std: standard deviation s of it, in volt, > 0 (Eq. 21: 1).
        height: dynamic adjustment of the height (DAS, Eq. 22): `stabilised`, `literal` or `off`.
        height_rate: eta of Eq. 22, in (0, 1).
        height_gamma: half-width of the band around the mean, in sigmas, >= 0.001.
        height_dead_band: |rho - rho*| that is left alone (`stabilised`), >= 0.
        height_norm: scale the surrogate so that its `peak` is 1, or that its root mean square
            over the membranes of the layer is (`rms`, as measured in the step before).
        neuron_gain: neuron-wise gradient scaling (SFH, Algorithm 1 line 13).
        gain_momentum: share of the old per-neuron sigma kept at a step, in [0, 1).
    """

    granularity: Literal["layer", "channel"] = "layer"
    adapt_width: bool = True
    width_update: Literal["ema", "gradient"] = "ema"
    width_momentum: float = 0.9
    width_follows: Literal["spread", "reach"] = "reach"
    width_scale: float | Literal["depth"] = 0.7
    width_scale_end: float | Literal["depth"] | None = "depth"
    width_pull: bool = False
    statistic: Literal["mean", "final"] = "mean"
    lambda_width: float = 0.1
    lambda_dist: float = 0.0
    target_mean: float | Literal["threshold"] = 0.0
    target_std: float = 1.0
    height: Literal["stabilised", "literal", "off"] = "off"
    height_rate: float = 0.01
    height_gamma: float = 1.0
    height_dead_band: float = 0.02
    height_norm: HeightNorm = "none"
    neuron_gain: bool = False
    gain_momentum: float = 0.9

    def findings(self) -> list[str]:
        """What is out of range, one line each."""
        scales = ("width_scale", "width_scale_end")
        given = [name for name in scales if getattr(self, name) not in ("depth", None)]
        found = _positive(self, "mpo", *given, "target_std")
        if not LEAST_GAMMA <= self.height_gamma < math.inf:
            found.append(
                f"mpo.height_gamma is {self.height_gamma:g}, allowed is {LEAST_GAMMA:g} or more."
            )
        if isinstance(self.target_mean, float) and not math.isfinite(self.target_mean):
            found.append(f"mpo.target_mean is {self.target_mean:g}, allowed is any finite number.")
        if not 0.0 < self.height_rate < 1.0:
            found.append(f"mpo.height_rate is {self.height_rate:g}, allowed is above 0, below 1.")
        for name in ("lambda_width", "lambda_dist", "height_dead_band"):
            if not 0.0 <= getattr(self, name) < math.inf:
                found.append(f"mpo.{name} is {getattr(self, name):g}, allowed is 0 or more.")
        for name in ("width_momentum", "gain_momentum"):
            if not 0.0 <= getattr(self, name) < 1.0:
                found.append(f"mpo.{name} is {getattr(self, name):g}, allowed is 0 to below 1.")
        return found

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        refuse("MPO settings", self.findings())


def firing_findings(
    prefix: str, reset: str, reset_timing: str, most_spikes: int, lower: float | None
) -> list[str]:
    """Why neurons cannot fire so many times in a step or have this lowest membrane.

    Args:
        prefix: stands before the names, e.g. `neuron.`.
        reset: what a spike does.
        reset_timing: when.
        most_spikes: of one neuron in one step.
        lower: lowest membrane in volt; None for none.
    """
    found = []
    if not 1 <= most_spikes <= MOST_SPIKES:
        found.append(f"{prefix}most_spikes is {most_spikes}, allowed is 1 to {MOST_SPIKES}.")
    if lower is not None and not -LARGEST <= lower <= 0.0:
        found.append(f"{prefix}lower is {lower:g}, allowed is {-LARGEST:g} to 0, in volt.")
    is_plain = most_spikes == 1 and lower is None
    if not is_plain and (reset == "none" or reset_timing != "step"):
        found.append(
            f"{prefix}reset is {reset}/{reset_timing} with {prefix}most_spikes or {prefix}lower,"
            " which need a reset in the step of the spike: zero or subtract, and step."
        )
    return found


def refuse(what: str, findings: Sequence[str]) -> None:
    """Raise RecipeError with all findings, if there are any."""
    if findings:
        raise RecipeError(f"cannot use these {what}", findings)


def _positive(settings: object, group: str, *names: str) -> list[str]:
    """What is not above 0, or so small or large that float32 takes it for 0 or infinity."""
    found = []
    for name in names:
        value = getattr(settings, name)
        if not 0.0 < value:
            found.append(f"{group}.{name} is {value:g}, allowed is above 0.")
        elif not SMALLEST <= value <= LARGEST:
            found.append(f"{group}.{name} is {value:g}, allowed is {SMALLEST:g} to {LARGEST:g}.")
    return found
