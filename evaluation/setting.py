"""Setting: how a graph is to be run and counted (`mpo_snn.inference`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from mpo_snn.errors import RecipeError
from mpo_snn.inference import Inference, resolve_inference

if TYPE_CHECKING:
    from mpo_snn.data import Dataset
    from mpo_snn.graph.metadata import GraphMetadata

Events = Literal["auto", "never"]


@dataclass(frozen=True)
class Setting(Inference):
    """How a graph is run and counted.

    Attributes:
        batch_size: samples handled at once at most; changes memory, not results.
        device: where the graph runs, in torch's words.
        recompute_input: charge what is constant in time at every timestep instead of once.
        events: `auto`: convolutions run on events while their input is sparse, on a CPU with numba
            (`mpo_snn.graph.by_density`); `never`. Changes time, not results.
    """

    batch_size: int = 256
    device: str = "cpu"
    recompute_input: bool = False
    events: Events = "auto"


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
    events: Events = "auto",
    what: str = "the graph's file",
) -> Setting:
    """Complete what the user gave (None: nothing) by what the file says.

    The device `auto` becomes `cuda` where torch finds a GPU, else `cpu`.

    Raises:
        RecipeError: if something is neither given nor in the file, or out of range; all findings
            at once.
    """
    findings = [] if batch_size >= 1 else [f"batch_size is {batch_size}, expected at least 1"]
    try:
        inference = resolve_inference(
            metadata,
            dataset=dataset,
            timesteps=timesteps,
            dt=dt,
            encoding=encoding,
            readout=readout,
            what=what,
        )
    except RecipeError as error:
        if findings and error.findings:
            raise RecipeError("cannot run the graph", [*error.findings, *findings]) from error
        raise
    if findings:
        raise RecipeError("cannot run the graph", findings)
    return Setting(
        **asdict(inference),
        batch_size=batch_size,
        device=_best_device() if device == "auto" else device,
        recompute_input=recompute_input,
        events=events,
    )


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


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
        f"{name}: {used or 'none'} here, {stated or 'none'} in the file."
        for name, (used, stated) in pairs.items()
        if used != stated
    )
