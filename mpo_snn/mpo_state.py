"""What `MPO.state_dict` holds of each layer, and whether what somebody gives is that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mpo_snn.errors import MpoError

KEYS = ("sigma_of_neurons", "gain", "rms")


def check_state(state: Mapping[str, Any]) -> None:
    """Refuse values that no layer keeps.

    Args:
        state: by name of the layer, `KEYS`: sigma of each neuron or None, its gain or one for all,
            and the root mean square of the surrogate.

    Raises:
        MpoError: with all findings.
    """
    findings = [line for name, values in state.items() for line in _faults(name, values)]
    if findings:
        raise MpoError("cannot load MPO state", findings)


def _faults(name: str, values: Any) -> list[str]:
    """What is wrong with the state of a layer, one line each."""
    if not isinstance(values, Mapping) or set(values) != set(KEYS):
        return [f"layer '{name}' has not {', '.join(KEYS)}, which state_dict gives."]
    sigma, gain, rms = (values[key] for key in KEYS)
    found = [
        f"{key} of layer '{name}' is no tensor of floating point."
        for key, value in (("gain", gain), ("rms", rms))
        if not isinstance(value, Tensor) or not value.is_floating_point()
    ]
    if found:
        return found
    if rms.dim():
        found.append(f"rms of layer '{name}' has shape {tuple(rms.shape)}, expected one number.")
    if sigma is not None and (not isinstance(sigma, Tensor) or sigma.shape != gain.shape):
        found.append(
            f"sigma_of_neurons of layer '{name}' is not of the shape of its gain,"
            f" {tuple(gain.shape)}."
        )
    return found
