"""Loads a network onto Xylo with rockpool: the integers of xylo.npz, which lies beside this file.

    pip install rockpool xylosim bitstruct packaging samna
    python load_xylo.py                                   # builds and validates the configuration
    python load_xylo.py --simulate events.npy spikes.npy  # without a board, in rockpool's XyloSim

samna is the vendor's driver; rockpool cannot be imported without it. events.npy says how many
events each input channel gets in each timestep: whole numbers, (T, inputs), of which the chip takes
up to 15. spikes.npy gets those of the outputs, (T, outputs): timestep t answers timestep t of the
input, the delay of the chip is taken off.
"""

from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

NETWORK = Path(__file__).parent / "xylo.npz"
PACKAGES = "rockpool xylosim bitstruct packaging samna"


def specification(bias: str) -> dict[str, Any]:
    """The arguments of rockpool's `config_from_specification` and `XyloSim.from_specification`.

    Args:
        bias: the name that the function has for the biases of hidden neurons.
    """
    given = {}
    for name, values in np.load(NETWORK).items():
        if not name.startswith("of."):
            given[name] = values.astype(int) if values.ndim else int(values)
    given[bias] = given.pop("bias")
    return given


def toolchain() -> Any:
    """The part of rockpool that is for this chip."""
    device = str(np.load(NETWORK)["of.device"])
    try:
        return importlib.import_module(f"rockpool.devices.xylo.{device}")
    except ImportError as error:
        raise SystemExit(f"cannot load rockpool: {error}; pip install {PACKAGES}") from error
    except subprocess.CalledProcessError as error:  # samna fetches its driver when it is imported
        raise SystemExit(
            f"cannot load rockpool: samna could not fetch its driver ({shlex.join(error.cmd)});"
            " it needs the network for that, once"
        ) from error


def simulate(events: np.ndarray) -> np.ndarray:
    """Output spikes, (T, outputs), for input events, (T, inputs); from rest."""
    inputs, delay = len(np.load(NETWORK)["weights_in"]), int(np.load(NETWORK)["of.delay"])
    if events.ndim != 2 or events.shape[1] != inputs:
        raise SystemExit(f"cannot simulate events of shape {events.shape}: expected (T, {inputs}).")
    if not np.array_equal(events, np.round(events)) or events.min(initial=0) < 0:
        raise SystemExit("cannot simulate events that are not whole numbers from 0 on.")
    network = toolchain().XyloSim.from_specification(**specification("bias"))
    late = np.concatenate([events, np.zeros((delay, inputs))]).astype(int)
    output, _, _ = network(late)
    return np.asarray(output).astype(int)[delay:]


def configuration() -> Any:
    """What `XyloSamna(board, configuration)` takes, validated by samna."""
    config, is_valid, message = toolchain().config_from_specification(
        **specification("bias_hidden")
    )
    if not is_valid:
        raise SystemExit(f"samna refuses the configuration: {message}")
    return config


def main(arguments: list[str]) -> None:
    """See the top of this file."""
    if not arguments:
        print(configuration())
        print("valid; next: rockpool's XyloSamna(board, configuration()) with your board")
    elif len(arguments) == 3 and arguments[0] == "--simulate":
        try:
            events = np.load(arguments[1])
        except (OSError, ValueError) as error:
            raise SystemExit(f"cannot read events from {arguments[1]}: {error}") from error
        spikes = simulate(events)
        np.save(arguments[2], spikes)
        print(f"spikes of each output: {spikes.sum(0).tolist()}; wrote {arguments[2]}")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
