r"""Error of few timesteps: where membranes end, and how far rates are from those of many steps.

With the membrane v (before reset) of T timesteps, the threshold :math:`\theta` and the firing rate
r (spikes per neuron, step and sample) of a layer, these are the figures of the paper's Table 3:

.. math::
    v_\text{end} = \mathrm{mean}\,\frac{v[T]}{\theta}, \qquad
    \text{near fire} = P\big(\theta - \delta\theta \le v[T] < \theta\big)

.. math::
    \text{rate error} = \frac{|r_T - r_{T_\max}|}{r_{T_\max}}, \qquad
    \text{gradient degradation} = 1 - \frac{\text{coverage}_T}{\text{coverage}_{T_\max}}

The paper gives its membranes in mV without a scale; here they are relative to the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

NEAR = 0.1
"""delta: half-open band below the threshold, as a share of it, that counts as near."""


def v_end(v: Tensor, threshold: Tensor) -> Tensor:
    """Mean final membrane relative to the threshold, 0-d.

    Args:
        v: membrane before reset, (time, batch, *features), volt.
        threshold: in volt, > 0, broadcast against one step of v.
    """
    return (v[-1] / threshold).mean()


def near_fire(v: Tensor, threshold: Tensor, near: float = NEAR) -> Tensor:
    """Share of neurons that end just below the threshold, 0-d; arguments as in `v_end`."""
    final = v[-1]
    below = (final >= (1.0 - near) * threshold) & (final < threshold)
    return below.to(v.dtype).mean()


def rate_errors(
    rates: Mapping[str, float], longest: Mapping[str, float]
) -> tuple[dict[str, float], list[str]]:
    """Rate error of every layer, and the layers that are silent at the largest T.

    Args:
        rates: by layer, spikes per neuron, step and sample at T.
        longest: the same at the largest T of the sweep.

    Returns:
        by layer, its error, without those whose rate at the largest T is 0; and the names of these.
    """
    silent = [name for name, rate in longest.items() if rate == 0.0]
    errors = {name: abs(rates[name] - rate) / rate for name, rate in longest.items() if rate != 0.0}
    return errors, silent


def gradient_degradation(coverage: float, longest: float) -> float | None:
    """Share of the coverage that is lost at T; None where nothing is covered at the largest T."""
    return None if longest == 0.0 else 1.0 - coverage / longest
