"""A recipe: everything that decides what a training run computes, as plain values.

The dataclasses are frozen and check themselves; `mpo_snn.training.recipe_values` builds a recipe
from nested plain values.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mpo_snn.data.settings import DataSettings
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.rivals import Method, findings_of, neuron_for
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.settings import MPOSettings, NeuronSettings, refuse

Precision = Literal["float32", "bfloat16"]

MOST_THREADS = 1024
MOST = 1e30
"""Of the constants of an optimiser, which computes with them in the precision of the weights."""


@dataclass(frozen=True)
class OptimizerSettings:
    """The optimiser, its schedule and the batches.

    Attributes:
        name: which optimiser.
        lr: learning rate at its highest, > 0.
        weight_decay: decay of weight matrices and kernels, >= 0; no other parameter decays.
        momentum: of sgd, in [0, 1).
        schedule: `cosine` anneals the learning rate to 0 over the run, `constant` keeps it.
        warmup_epochs: epochs over which the learning rate rises to lr by the same amount in every
            step, that of the first step too, >= 0; less than epochs.
        batch_size: samples in a step at most, >= 1; an epoch is split into equal batches.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        found = []
        if not 0.0 < self.lr <= MOST:
            found.append(f"optimizer.lr is {self.lr:g}, allowed is above 0 to {MOST:g}.")
        for name in ("weight_decay", "warmup_epochs"):
            if not 0.0 <= getattr(self, name) <= MOST:
                found.append(
                    f"optimizer.{name} is {getattr(self, name):g}, allowed is 0 to {MOST:g}."
                )
        if not 0.0 <= self.momentum < 1.0:
            found.append(f"optimizer.momentum is {self.momentum:g}, allowed is 0 to below 1.")
        if self.batch_size < 1:
            found.append(f"optimizer.batch_size is {self.batch_size}, allowed is 1 or more.")
        refuse("optimizer settings", found)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a run computes; with the machine, it fixes the weights.

    Attributes:
        name: what the run is called: letters, digits, dot, dash and underscore.
        seed: decides weights at the start, order of samples and dropout, >= 0.
        epochs: passes over the training data, >= 1.
        timesteps: T, steps that the network sees a sample, >= 1.
        early_timesteps: T of the first `early_epochs` epochs, >= 1 (time inheritance training, Deng
            et al., ICLR 2022): a step costs in proportion to T. It is measured with `timesteps`.
        early_epochs: how many these are, >= 0 and less than epochs.
        encoding: how a sample becomes the input of every timestep.
        readout: how the outputs of all timesteps become one score per class; for `spike_count`
            the network ends in a layer of neurons.
        batchnorm: how batchnorm sees time in training (`mpo_snn.unroll`).
        loss: `ce` is the cross entropy of the scores, `tet` the mean of that of every timestep
            (`mpo_snn.training.loss`).
        tet_lambda: weight of TET's pull towards the threshold, in [0, 1).
        label_smoothing: share of every target that is spread over all classes, in [0, 1).
        method: `mpo` steers the surrogates, `fixed` leaves them as they are at the start; the
            others are other people's (`mpo_snn.rivals`).
        threads: CPU threads of the training, >= 1; the order of sums and so the last digits of
            the weights depend on it. null takes as many as torch finds cores.
        precision: of the arithmetic in training; `bfloat16` is torch's autocast, for devices that
            have it (`mpo_snn.training.precision`).
        events: `auto`: convolutions of float32 go over to events while their input is sparse, on a
            CPU with numba (`mpo_snn.spiking_convolution`); `never`.
        cuda_graphs: `auto`: on a GPU, in a single process, forward and backward pass of a step are
            launched as one (`mpo_snn.training.step_graph`); `never`.
        data: which data.
        network: which network, and its size.
        neuron: settings of every neuron.
        mpo: parts and constants of the method.
        rival: constants of the other methods.
        optimizer: optimiser, schedule and batches.
    """

    name: str
    seed: int = 0
    epochs: int
    timesteps: int = 4
    early_timesteps: int | None = None
    early_epochs: int = 0
    encoding: Literal["direct", "rate", "latency", "frames", "counts", "rows"] = "direct"
    readout: Literal["mean", "sum", "last", "spike_count"] = "mean"
    batchnorm: Literal["folded", "per_step"] = "folded"
    loss: Literal["ce", "tet"] = "ce"
    tet_lambda: float = 0.0
    label_smoothing: float = 0.0
    method: Method = "mpo"
    threads: int | None = None
    precision: Precision = "float32"
    events: Literal["auto", "never"] = "auto"
    cuda_graphs: Literal["auto", "never"] = "auto"
    data: DataSettings
    network: NetworkSettings
    neuron: NeuronSettings = field(default_factory=NeuronSettings)
    mpo: MPOSettings = field(default_factory=MPOSettings)
    rival: RivalSettings = field(default_factory=RivalSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        found = []
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", self.name):
            found.append(
                f"name is '{self.name}', allowed are letters, digits, dot, dash and underscore."
            )
        for key, least in (("seed", 0), ("epochs", 1), ("timesteps", 1)):
            if getattr(self, key) < least:
                found.append(f"{key} is {getattr(self, key)}, allowed is {least} or more.")
        found += self._early_findings()
        if (self.encoding == "frames") != self.data.is_framed:
            kind = "frames, one for every timestep" if self.data.is_framed else "images"
            found.append(
                f"encoding is {self.encoding}, but the samples of {self.data.name} are {kind}."
            )
        if self.encoding in ("rate", "latency", "counts", "rows") and self.data.normalize:
            found.append(
                f"encoding is {self.encoding}, which takes values from 0 to 1; leave out"
                " data.normalize."
            )
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            found.append(f"threads is {self.threads}, allowed is 1 to {MOST_THREADS}, or null.")
        if not 0.0 <= self.tet_lambda < 1.0:
            found.append(f"tet_lambda is {self.tet_lambda:g}, allowed is 0 to below 1.")
        elif self.tet_lambda and self.loss == "ce":
            found.append(
                f"tet_lambda is {self.tet_lambda:g} with loss ce, which has no such term: use"
                " loss tet."
            )
        if not 0.0 <= self.label_smoothing < 1.0:
            found.append(
                f"label_smoothing is {self.label_smoothing:g}, allowed is 0 to below 1: a share."
            )
        if 1 <= self.epochs <= self.optimizer.warmup_epochs:
            found.append(
                f"optimizer.warmup_epochs is {self.optimizer.warmup_epochs:g},"
                f" allowed is less than epochs, {self.epochs}."
            )
        if self.neuron.output_spikes is not None and not self.output_neuron:
            found.append(
                f"neuron.output_spikes is {self.neuron.output_spikes} with readout {self.readout},"
                " whose output has no neurons: use readout spike_count, or leave it out."
            )
        found += findings_of(self.method, self.neuron)
        refuse("recipe settings", found)

    def _early_findings(self) -> list[str]:
        """What is wrong with the first epochs' own T."""
        early, epochs = self.early_timesteps, self.early_epochs
        if early is None:
            absent = f"early_epochs is {epochs}, but there is no early_timesteps: give both."
            return [absent] if epochs else []
        found = []
        if early < 1:
            found.append(f"early_timesteps is {early}, allowed is 1 or more.")
        if not 1 <= epochs < self.epochs:
            found.append(
                f"early_epochs is {epochs} with early_timesteps, allowed is 1 to less than epochs,"
                f" {self.epochs}."
            )
        if self.encoding in ("frames", "rows"):
            found.append(
                f"early_timesteps is {early} with encoding {self.encoding}, whose samples have"
                " their own timesteps: leave it out."
            )
        return found

    def timesteps_in(self, epoch: int) -> int:
        """T of an epoch of the training, counted from 0."""
        if self.early_timesteps is None or epoch >= self.early_epochs:
            return self.timesteps
        return self.early_timesteps

    @property
    def trained_neuron(self) -> NeuronSettings:
        """Settings of the neurons as the method trains them."""
        return neuron_for(self.method, self.neuron, self.rival.dspike_temperature)

    @property
    def set_by_method(self) -> dict[str, Any]:
        """What the method trains otherwise than the recipe says: `neuron.slope`, 2.0."""
        said, trained = asdict(self.neuron), asdict(self.trained_neuron)
        return {f"neuron.{key}": trained[key] for key in said if trained[key] != said[key]}

    @property
    def output_neuron(self) -> bool:
        """Whether the network ends in a layer of neurons."""
        return self.readout == "spike_count"

    def values(self) -> dict[str, Any]:
        """The recipe as nested plain values: dicts, lists, numbers, strings, None."""
        values = asdict(self)
        for key in ("channels", "hidden"):
            values["network"][key] = list(values["network"][key])
        return values
