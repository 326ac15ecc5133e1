"""rockpool on the files of a deployment, as a user runs them; INPUT.npz, OUTPUT.npz.

python run_rockpool.py INPUT.npz OUTPUT.npz [INPUT.npz OUTPUT.npz ...]
needs numpy, rockpool and what the script names, but for samna, which only opens chips: whatever is
imported from it here is an empty record, so that samna's own validation is not part of this.

Every network runs twice: by the script's `--simulate`, and by rockpool's simulator of the
configuration that the script would hand to samna.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

RECORDED = {"hidden": "Spikes", "v_hidden": "Vmem", "v_output": "Vmem_out"}


class Names(type):
    """A class of samna: its names are classes of records as well."""

    def __getattr__(cls, name: str) -> Any:
        """Any name but those of Python's own."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Record


class Record(metaclass=Names):
    """An object of samna: it keeps what is set, and has empty records for what is not."""

    alias_target = None

    def __init__(self, *_: Any) -> None:
        """Take anything."""

    def __getattr__(self, name: str) -> Any:
        """A record of its own for every name."""
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, Record())
        return getattr(self, name)


class Absent(ModuleType):
    """A module of samna: its names are classes of records."""

    __path__ = ()

    def __getattr__(self, name: str) -> Any:
        """Any name but those of Python's own."""
        if name.startswith("__"):
            raise AttributeError(name)
        return (lambda config: (True, "")) if name == "validate_configuration" else Record


class Samna(MetaPathFinder, Loader):
    """Answers every import of samna and of its modules."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """None for whatever is not samna's."""
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] == "samna" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An absent module."""
        return Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


sys.meta_path.insert(0, Samna())


def run(source: str, target: str) -> None:
    """Run every sample from rest."""
    given = np.load(source)
    events, delay = given["events"], int(given["delay"])  # (T, B, inputs)
    found: dict[str, list[np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("load_xylo.py", "xylo.npz"):
            (folder / file).write_bytes(given[file].tobytes())
        script = runpy.run_path(str(folder / "load_xylo.py"))
        config, tools = script["configuration"](), script["toolchain"]()
        chip = tools.XyloSim.from_config(config)
        late = np.zeros((delay, events.shape[2]), dtype=events.dtype)
        for sample in events.transpose(1, 0, 2):
            np.save(folder / "events.npy", sample)
            script["main"](["--simulate", f"{folder}/events.npy", f"{folder}/spikes.npy"])
            chip.reset_state()
            output, _, recorded = chip(np.concatenate([sample, late]), record=True)
            rows = {key: recorded[theirs] for key, theirs in RECORDED.items()}
            rows |= {"output": output, "simulated": np.load(folder / "spikes.npy")}
            for key, values in rows.items():
                found.setdefault(key, []).append(values)
    arrays = {key: np.stack(values).astype(np.int64) for key, values in found.items()}
    cycles = tools.cycles_model(config, events, arrays["hidden"], arrays["output"])
    cycles = cycles[0] if isinstance(cycles, tuple) else cycles  # Audio 2 adds those of synapse 2
    np.savez(target, cycles=np.round(1e6 * cycles), **arrays)


if __name__ == "__main__":
    for given, found in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        run(given, found)
