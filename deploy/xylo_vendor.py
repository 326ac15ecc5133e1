"""Xylo through rockpool: a script that turns the integers of a deployment into a configuration.

rockpool's configuration is built of objects of `samna`, whose import runs pip and fetches the
vendor's driver. Nothing here imports it: the script does, when the user runs it beside the board.
"""

from __future__ import annotations

import re
from string import Template

from mpo_snn.profiles.chip import ChipProfile

SCRIPT = "load_xylo.py"

_DEVICE = re.compile(r"\bSYNS(\d+)\b")
_TEMPLATE = Template('''\
"""Loads this deployment with rockpool: $title.

    pip install rockpool safetensors samna     # samna is the vendor's driver
    python $script                             # builds and validates the configuration
    python $script --simulate events.npy       # (T, inputs) through XyloSim, prints output spikes
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

BIAS = {"config": "bias_hidden", "simulate": "bias"}  # rockpool has two names for it


def specification(purpose):
    """The arguments of rockpool's config_from_specification and XyloSim.from_specification."""
    tensors = load_file(Path(__file__).parent / "tensors.safetensors")
    found = {name: value.astype(int) for name, value in tensors.items()}
    shift = int(found["weight_shift"])
    return {
        "weights_in": found["weights_in"][:, :$input_reach],
        "weights_rec": found["weights_rec"],
        "weights_out": found["weights_out"][-$output_reach:],
        "dash_mem": found["hidden.dash_mem"],
        "dash_mem_out": found["output.dash_mem"],
        "dash_syn": found["hidden.dash_syn"][:, 0],
        "dash_syn_2": found["hidden.dash_syn"][:, 0],
        "dash_syn_out": found["output.dash_syn"][:, 0],
        "threshold": found["hidden.threshold"],
        "threshold_out": found["output.threshold"],
        BIAS[purpose]: found["hidden.bias"],
        "bias_out": found["output.bias"],
        "weight_shift_in": shift,
        "weight_shift_rec": shift,
        "weight_shift_out": shift,
    }


def simulate(events):
    """Output spikes (T, outputs) of rockpool's XyloSim."""
    from rockpool.devices.xylo.$device import XyloSim

    output, _, _ = XyloSim.from_specification(**specification("simulate"))(events[None])
    return np.asarray(output)[0]


def configuration():
    """A validated configuration for the board."""
    from rockpool.devices.xylo.$device import config_from_specification

    config, is_valid, message = config_from_specification(**specification("config"))
    if not is_valid:
        raise SystemExit(f"samna refuses the configuration: {message}")
    return config


if __name__ == "__main__":
    if sys.argv[1:2] == ["--simulate"]:
        print(simulate(np.load(sys.argv[2])).astype(int))
    else:
        print(configuration())
        print("valid; next: XyloSamna(device, config) with your board")
''')


def xylo_script(profile: ChipProfile) -> dict[str, str]:
    """The script by its name; nothing for a chip that rockpool does not know by its number."""
    found = _DEVICE.search(profile.title)
    if found is None:
        return {}
    text = _TEMPLATE.substitute(
        title=profile.title,
        script=SCRIPT,
        device=f"syns{found[1]}",
        input_reach=profile.value("limit.input_reach"),
        output_reach=profile.value("limit.output_reach"),
    )
    return {SCRIPT: text}
