"""Where the runs of a study run: processes of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from mpo_snn.errors import StudyError

Backend = Literal["loky", "dask", "ray"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Engine:
    """Where trials run.

    Attributes:
        jobs: trials at once; -1 takes one for each core.
        backend: joblib's: processes of this machine (`loky`), or a cluster (`dask`, `ray`) that
            sees the same files.
        device: where each of them trains.
    """

    jobs: int = 1
    backend: Backend = "loky"
    device: Device = "auto"


def resolved(device: Device) -> str:
    """The device that `auto` stands for."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def is_local_worker(engine: Engine) -> bool:
    """Whether a trial runs in a process that joblib starts on this machine."""
    return engine.backend == "loky" and engine.jobs != 1


@contextmanager
def connected(engine: Engine) -> Iterator[None]:
    """The library set up for the engine's backend."""
    from joblib import parallel_config

    try:
        if engine.backend == "dask":
            from dask.distributed import Client

            client = Client()  # the scheduler that DASK_SCHEDULER_ADDRESS names, or a local one
            with client, parallel_config(backend="dask"):
                yield
            return
        if engine.backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
    except ImportError as error:
        package = {"dask": "dask[distributed]", "ray": "ray"}[engine.backend]
        raise StudyError(
            f"cannot use the backend {engine.backend}: it is not installed. Use"
            f" `pip install '{package}'`, or the backend loky."
        ) from error
    with parallel_config(backend=engine.backend):
        yield
