"""How a graph is to be run: what its file says, completed by what the user says.

Files of this project carry their own timesteps, dt, encoding, readout and data set; what the user
gives goes before that. For a foreign file nothing is guessed: the numbers "dt" and "timesteps" of
its metadata are taken (`mpo_snn.graph.metadata`), everything else is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpo_snn.encoding import ENCODINGS
from mpo_snn.errors import RecipeError
from mpo_snn.readout import READOUTS

if TYPE_CHECKING:
    from mpo_snn.graph.metadata import GraphMetadata

MOST_TIMESTEPS = 10**9
"""More is a slip of the pen, and in time no whole number that torch can hold."""


@dataclass(frozen=True)
class Inference:
    """How one inference goes.

    Attributes:
        dataset: name of the data set.
        timesteps: T, >= 1.
        dt: length of a timestep in s, > 0.
        encoding: how a sample becomes input over time.
        readout: how outputs over time become one answer.
    """

    dataset: str
    timesteps: int
    dt: float
    encoding: str
    readout: str


def resolve_inference(
    metadata: GraphMetadata | None,
    *,
    dataset: str | None = None,
    timesteps: int | None = None,
    dt: float | None = None,
    encoding: str | None = None,
    readout: str | None = None,
    what: str = "the graph's file",
) -> Inference:
    """Complete what the user gave (None: nothing) by what the file says.

    Args:
        metadata: what the file says.
        dataset: see `Inference`, as all that follow.
        timesteps: likewise.
        dt: likewise.
        encoding: likewise.
        readout: likewise.
        what: what messages call the file.

    Raises:
        RecipeError: if something is neither given nor in the file, or out of range; all findings
            at once.
    """
    if metadata is not None:
        dataset = dataset or metadata.dataset
        timesteps = metadata.timesteps if timesteps is None else timesteps
        dt = metadata.dt if dt is None else dt
        encoding = encoding or metadata.encoding
        readout = readout or metadata.readout
    wanted = {
        "--data NAME": dataset,
        "--timesteps N": timesteps,
        "--dt SECONDS": dt,
        f"--encoding {'|'.join(ENCODINGS)}": encoding,
        f"--readout {'|'.join(READOUTS)}": readout,
    }
    missing = [flag for flag, value in wanted.items() if value is None]
    if missing or (
        dataset is None or timesteps is None or dt is None or encoding is None or readout is None
    ):
        raise RecipeError(f"{what} does not say how to run it; please give {', '.join(missing)}.")
    findings = []
    if timesteps < 1:
        findings.append(f"timesteps is {timesteps}, expected at least 1")
    elif timesteps > MOST_TIMESTEPS:
        findings.append(f"timesteps is {timesteps}, expected at most {MOST_TIMESTEPS}")
    if not (math.isfinite(dt) and dt > 0):
        findings.append(f"dt is {dt} s, expected a finite number above 0")
    if encoding not in ENCODINGS:
        findings.append(f"encoding is '{encoding}', expected one of {', '.join(ENCODINGS)}")
    if readout not in READOUTS:
        findings.append(f"readout is '{readout}', expected one of {', '.join(READOUTS)}")
    if findings:
        raise RecipeError("cannot run the graph", findings)
    return Inference(dataset, timesteps, dt, encoding, readout)
