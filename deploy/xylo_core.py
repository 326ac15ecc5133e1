r"""The integer core of Xylo (SynSense Xylo Audio 2, Audio 3, IMU), bit for bit.

`docs/cores.md` has the equations of a step (``xylosim`` 0.1.3, C++). Those are of `version` 2. The
older core, `version` 1, has no bias, and its membrane decays first, in a sum that is clamped once:
:math:`v \leftarrow \text{sat}_{16}(v - \text{decay}(v) + \sum i)`, i having decayed as well.

The current decays before it is integrated: with `dash_syn` 0 an input is gone before it acts, so a
neuron without a synaptic filter does not exist on this chip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from .fixed_point import limits, matmul_exact, saturate, shift_floor, wrap

STATE_BITS = 16
MOST_INPUT_EVENTS = 15
MOST_HIDDEN_SPIKES = 31
MOST_OUTPUT_SPIKES = 1


@dataclass(frozen=True)
class XyloNeurons:
    """The neurons of one population; all int64.

    Attributes:
        dash_mem: bit shift of the membrane, (N,), 0 to 15.
        dash_syn: bit shift of each synapse, (N, synapses), 0 to 15.
        threshold: (N,), 1 to 32767.
        bias: (N,), 16 bits; version 2 alone adds it.
    """

    dash_mem: Tensor
    dash_syn: Tensor
    threshold: Tensor
    bias: Tensor


@dataclass(frozen=True)
class XyloNetwork:
    """What is loaded into the chip; weights int8 in int64 tensors.

    Attributes:
        weights_in: (inputs, hidden, synapses).
        weights_rec: (hidden, hidden, synapses), from the first to the second.
        weights_out: (hidden, outputs).
        hidden: hidden neurons.
        output: output neurons, with one synapse each.
        shift_in: left shift of `weights_in`.
        shift_rec: of `weights_rec`.
        shift_out: of `weights_out`.
        version: of the core.
    """

    weights_in: Tensor
    weights_rec: Tensor
    weights_out: Tensor
    hidden: XyloNeurons
    output: XyloNeurons
    shift_in: int = 0
    shift_rec: int = 0
    shift_out: int = 0
    version: Literal[1, 2] = 2


@dataclass
class XyloRun:
    """What a run gave.

    Attributes:
        output: spikes of the output neurons, (T, B, outputs).
        hidden: spikes of the hidden neurons, (T, B, hidden).
        v_hidden: their membranes after the reset, (T, B, hidden).
        v_output: those of the output neurons, (T, B, outputs).
        i_hidden: currents of the synapses of hidden neurons behind the step, (T, B, hidden,
            synapses), where they were asked for.
        i_output: those of the output neurons, (T, B, outputs, 1), likewise.
        saturated: how many synapses and membranes were clamped, counted once a step each.
        dropped_events: input events beyond 15 in a channel and step, which the chip never sees.
    """

    output: Tensor
    hidden: Tensor
    v_hidden: Tensor
    v_output: Tensor
    i_hidden: Tensor | None = None
    i_output: Tensor | None = None
    saturated: int = 0
    dropped_events: int = 0


@dataclass
class _Population:
    neurons: XyloNeurons
    version: int
    cap: int
    i: Tensor  # (B, N, synapses)
    v: Tensor  # (B, N)
    saturated: int = field(default=0)

    def advance(self) -> Tensor:
        """Decays, sums and spikes of this timestep, (B, N)."""
        neurons, v = self.neurons, self.v
        if self.version == 1:
            v = v - decay(v, neurons.dash_mem)
            self.i = self.i - decay(self.i, neurons.dash_syn)
            v = self._clamped(v + self.i.sum(2))
        else:
            self.i = self.i - decay(self.i, neurons.dash_syn)
            leak = wrap(-decay(v, neurons.dash_mem), STATE_BITS)
            change = self._clamped(self.i.sum(2) + leak)
            change = self._clamped(change + neurons.bias)
            v = self._clamped(v + change)
        spikes = (v.clamp(min=0) // neurons.threshold).clamp(max=self.cap)
        self.v = v - spikes * neurons.threshold
        return spikes

    def _clamped(self, x: Tensor) -> Tensor:
        clamped = saturate(x, STATE_BITS)
        self.saturated += int((clamped != x).sum())
        return clamped

    def receive(self, events: Tensor, weights: Tensor) -> None:
        """Saturating additions, source by source and event by event.

        Args:
            events: how many each source sends, (B, sources).
            weights: shifted, (sources, N, synapses).
        """
        flat = weights.flatten(1)
        low, high = limits(STATE_BITS)
        current = self.i.flatten(1)
        ups = matmul_exact(events, flat.clamp(min=0))
        downs = matmul_exact(events, flat.clamp(max=0))
        total = current + ups + downs
        # Whatever the order, no partial sum leaves [current + downs, current + ups].
        unsafe = (current + ups > high) | (current + downs < low)
        for sample, place in unsafe.nonzero().tolist():
            value, clamped = int(current[sample, place]), False
            for source in events[sample].nonzero().flatten().tolist():
                weight = int(flat[source, place])
                for _ in range(int(events[sample, source])):
                    wanted = value + weight
                    value = min(max(wanted, low), high)
                    clamped |= value != wanted
            total[sample, place] = value
            self.saturated += clamped
        self.i = total.reshape(self.i.shape)


def decay(x: Tensor, dash: Tensor) -> Tensor:
    """The chip's decay: x >> dash, and towards zero by one where that is 0."""
    step = shift_floor(x, dash)
    return torch.where(step == 0, x.sign(), step)


def run_xylo(network: XyloNetwork, events: Tensor, *, keep_i: bool = False) -> XyloRun:
    """Run the chip from rest.

    Args:
        network: what is loaded into it.
        events: input events, (T, B, inputs), whole numbers >= 0.
        keep_i: whether to hand out the currents.
    """
    timesteps, batch, _ = events.shape
    outputs, hidden = network.weights_out.shape[1], network.weights_in.shape[1]
    synapses = network.weights_in.shape[2]
    inner = _Population(
        network.hidden,
        network.version,
        MOST_HIDDEN_SPIKES,
        events.new_zeros(batch, hidden, synapses),
        events.new_zeros(batch, hidden),
    )
    outer = _Population(
        network.output,
        network.version,
        MOST_OUTPUT_SPIKES,
        events.new_zeros(batch, outputs, 1),
        events.new_zeros(batch, outputs),
    )
    weights_in = network.weights_in << network.shift_in
    weights_rec = network.weights_rec << network.shift_rec
    weights_out = (network.weights_out << network.shift_out)[:, :, None]
    run = XyloRun(
        output=events.new_zeros(timesteps, batch, outputs),
        hidden=events.new_zeros(timesteps, batch, hidden),
        v_hidden=events.new_zeros(timesteps, batch, hidden),
        v_output=events.new_zeros(timesteps, batch, outputs),
        dropped_events=int((events - MOST_INPUT_EVENTS).clamp(min=0).sum()),
    )
    if keep_i:
        run.i_hidden = events.new_zeros(timesteps, batch, hidden, synapses)
        run.i_output = events.new_zeros(timesteps, batch, outputs, 1)
    fired = events.new_zeros(batch, hidden)
    for t in range(timesteps):
        inner.receive(events[t].clamp(max=MOST_INPUT_EVENTS), weights_in)
        inner.receive(fired, weights_rec)
        outer.receive(fired, weights_out)
        fired = inner.advance()
        run.hidden[t], run.output[t] = fired, outer.advance()
        run.v_hidden[t], run.v_output[t] = inner.v, outer.v
        if run.i_hidden is not None and run.i_output is not None:
            run.i_hidden[t], run.i_output[t] = inner.i, outer.i
    run.saturated = inner.saturated + outer.saturated
    return run
