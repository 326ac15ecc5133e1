"""`make deploy-proof`: random networks in our cores and in simulators that others wrote.

Each network runs 200 steps; every spike and every membrane of every neuron has to be the same
integer. The table goes to docs/chips.md.

    python -m chip_proof.compare FOLDER_OF_ENVIRONMENTS [RUN]

RUN is a run of the recipe digits-xylo; without one, a network is trained for some epochs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mpo_snn.files import write_file

from . import loihi_kinds, speck_kinds, xylo_kinds
from .kind import BATCH, STEPS, Kind
from .xylo_graphs import EPOCHS

RUNNERS = Path(__file__).parent / "runners"
PAGE = Path(__file__).parent.parent / "docs" / "chips.md"


@dataclass
class Tally:
    """What came of one kind of network.

    Attributes:
        networks: how many ran.
        integers: how many integers were compared.
        different: how many of them differ.
        rails: how often our core saturated, wrapped or clamped.
    """

    networks: int = 0
    integers: int = 0
    different: int = 0
    rails: int = 0

    def add(self, ours: torch.Tensor, theirs: np.ndarray) -> None:
        """Compare one array."""
        if tuple(ours.shape) != theirs.shape:
            raise AssertionError(f"shapes {tuple(ours.shape)} and {theirs.shape}")
        self.integers += ours.numel()
        self.different += int((ours.numpy() != theirs).sum())


def main() -> int:
    """Compare everything; 1 if an integer differs."""
    environments = Path(sys.argv[1] if len(sys.argv) > 1 else ".interop")
    run = sys.argv[2] if len(sys.argv) > 2 else None
    rows = []
    for kind in (*xylo_kinds.kinds(run), *speck_kinds.KINDS, *loihi_kinds.KINDS):
        tally = _compare(kind, environments)
        rows.append((kind, tally))
        print(
            f"{kind.name:37} {kind.simulator:18} {tally.networks:3} networks"
            f"  {tally.integers:10,} integers  {tally.different:6,} different"
            f"  {tally.rails:9,} at a rail",
            flush=True,
        )
    write_file(PAGE, _page(rows))
    return int(any(tally.different for _, tally in rows))


def _compare(kind: Kind, environments: Path) -> Tally:
    """All networks of a kind in both."""
    tally = Tally()
    made = [kind.make(seed) for seed in range(kind.networks)]
    python = environments / kind.environment / "bin" / "python"
    theirs = _run(python, kind.runner, [arrays for arrays, _, _ in made])
    for (_, ours, rails), found in zip(made, theirs, strict=True):
        for key, values in ours.items():
            tally.add(values, found[key])
        tally.networks += 1
        tally.rails += rails
    return tally


def _run(python: Path, runner: str, networks: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    """What a simulator makes of all networks, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        files = [(f"{folder}/{k}.npz", f"{folder}/{k}.found.npz") for k in range(len(networks))]
        for (given, _), arrays in zip(files, networks, strict=True):
            np.savez(given, **arrays)
        command = [python, RUNNERS / runner, *(name for pair in files for name in pair)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{runner} does not run: {done.stderr.strip().splitlines()[-1:]}")
        return [dict(np.load(found)) for _, found in files]


def _page(rows: list[tuple[Kind, Tally]]) -> str:
    lines = [
        "# Integer cores of chips",
        "",
        "`mpo_snn.deploy` has the arithmetic of Xylo, Speck and Loihi in whole numbers, as their",
        "simulators have it. `make deploy-proof` runs random networks in both and compares every",
        f"spike and every membrane of every neuron, {STEPS} steps of {BATCH} samples each.",
        "",
        "| core | simulator | networks | integers | different | at a rail |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {kind.name} | {kind.simulator} | {tally.networks} | {tally.integers:,} |"
            f" {tally.different:,} | {tally.rails:,} |"
            for kind, tally in rows
        ),
        "",
        "At a rail: saturated, wrapped, clamped or dropped to the lower limit in our core, so the",
        "rails are compared too. Core 2 of Xylo negates its decay in 16 bits: at -32768 with",
        "`dash_mem` 0 that wraps and the membrane stays where it is, in xylosim as here. The two",
        "emulators of Loihi differ from each other once a current reaches 2^23; this core is two's",
        "complement, as nengo-loihi's, and counts every overflow.",
        "",
        "Xylo's float networks are random ones in real numbers, every neuron with leaks, a bias",
        "and a threshold of its own, as `quantize_xylo` rounds and lays them out. The trained",
        f"network is the recipe digits-xylo after {EPOCHS} epochs, on 64 test samples.",
        "`load_xylo.py` is the script of a deployment directory, run as a user runs it: first its",
        "`--simulate`, then the configuration that it builds for the chip's driver, back in",
        "rockpool's simulator. The cycles of the chip's clock are compared with rockpool's model,",
        "to a millionth of a cycle. The driver is not there, so its validation is no part of this.",
        "",
        "Speck's float networks are rounded twice, by `quantize_speck` and by sinabs'",
        "DynapcnnNetwork: weights, biases, thresholds, lowest membranes and memory are compared as",
        "well, and how many layers find a core, before the same events run in both.",
        "",
        "The silicon was not at hand. Speck has no timesteps: its step simulation is what can be",
        "checked.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
