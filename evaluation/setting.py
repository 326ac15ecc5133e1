"""Setting: how a graph is to be run, from what its file says and what the user says.

Files of this project carry their own timesteps, dt, encoding, readout and data set; what the user
gives goes before that. For a foreign file nothing is guessed: what is missing is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpo_snn.encoding import ENCODINGS
from mpo_snn.errors import RecipeError
from mpo_snn.readout import READOUTS

if TYPE_CHECKING:
    from mpo_snn.data import Dataset
    from mpo_snn.graph.metadata import GraphMetadata


@dataclass(frozen=True)
class Setting:
    """How a graph is run and counted.

    Attributes:
        dataset: name of the data set.
        timesteps: T of one inference, >= 1.
        dt: length of a timestep in s, > 0.
        encoding: how a sample becomes input over time.
        readout: how outputs over time become one answer.
        batch_size: samples handled at once; changes memory, not results.
        device: where the graph runs, in torch's words.
        recompute_input: charge what is constant in time at every timestep instead of once.
    """

    dataset: str
    timesteps: int
    dt: float
    encoding: str
    readout: str
    batch_size: int = 256
    device: str = "cpu"
    recompute_input: bool = False


def resolve_setting(
    metadata: GraphMetadata | None,
    *,
    dataset: str | None = None,
    timesteps: int | None = None,
    dt: float | None = None,
    encoding: str | None = None,
    readout: str | None = None,
    batch_size: int = 256,
    device: str = "cpu",
    recompute_input: bool = False,
) -> Setting:
    """Complete what the user gave (None: nothing) by what the file says.

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
        raise RecipeError(
            f"the graph's file does not say how to run it; please give {', '.join(missing)}."
        )
    findings = []
    if timesteps < 1:
        findings.append(f"timesteps is {timesteps}, expected at least 1")
    if not (math.isfinite(dt) and dt > 0):
        findings.append(f"dt is {dt} s, expected a finite number above 0")
    if encoding not in ENCODINGS:
        findings.append(f"encoding is '{encoding}', expected one of {', '.join(ENCODINGS)}")
    if readout not in READOUTS:
        findings.append(f"readout is '{readout}', expected one of {', '.join(READOUTS)}")
    if batch_size < 1:
        findings.append(f"batch_size is {batch_size}, expected at least 1")
    if findings:
        raise RecipeError("cannot run the graph", findings)
    return Setting(
        dataset=dataset,
        timesteps=timesteps,
        dt=dt,
        encoding=encoding,
        readout=readout,
        batch_size=batch_size,
        device=device,
        recompute_input=recompute_input,
    )


def departures(
    setting: Setting, dataset: Dataset, metadata: GraphMetadata | None
) -> tuple[str, ...]:
    """What differs between how the graph is run and what its file says, one line each."""
    if metadata is None:
        return (
            "The file carries no metadata of this project: it is run as the command says, and the "
            "input is taken to be what it was made for: "
            f"{dataset.input_scaling}.",
        )
    pairs = {
        "Data set": (setting.dataset, metadata.dataset or setting.dataset),
        "Timesteps": (setting.timesteps, metadata.timesteps),
        "dt in s": (setting.dt, metadata.dt),
        "Encoding": (setting.encoding, metadata.encoding),
        "Readout": (setting.readout, metadata.readout),
        "Input scaling": (dataset.input_scaling, metadata.input_scaling),
        "Class names": (", ".join(dataset.class_names), ", ".join(metadata.class_names)),
    }
    return tuple(
        f"{name}: {used} here, {stated} in the file."
        for name, (used, stated) in pairs.items()
        if used != stated
    )
