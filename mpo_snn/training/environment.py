"""What a run was computed with: versions, source, device, threads, kernel, command line."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mpo_snn
from mpo_snn.training.recipe import Recipe

_PACKAGES = ("torch", "snntorch", "nir", "lightning", "numpy", "numba", "mpo-snn")


def describe_environment(recipe: Recipe, device: str) -> dict[str, Any]:
    """What may change the last bits of the weights, beside the recipe; JSON values."""
    import torch

    from mpo_snn.processes import processes

    is_cuda = device.startswith("cuda")
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "device": device,
        "device_name": torch.cuda.get_device_name() if is_cuda else platform.machine(),
        "threads": torch.get_num_threads(),
        "processes": processes(),
        "kernel": _kernel(recipe, device),
        "cuda_graphs": launches_as_one(recipe, is_cuda, processes()),
        "seed": recipe.seed,
        "git": source_commit(),
    }


def launches_as_one(recipe: Recipe, is_cuda: bool, processes: int) -> bool:
    """Whether forward and backward pass are recorded (`mpo_snn.training.step_graph`)."""
    return recipe.cuda_graphs == "auto" and is_cuda and processes == 1


def _kernel(recipe: Recipe, device: str) -> str:
    """The backend that the scans of this recipe run on (`mpo_snn.kernels`)."""
    from mpo_snn.kernels import default_backend

    neuron = recipe.trained_neuron
    if neuron.model == "klif":
        return "none"
    if neuron.backend is not None:
        return neuron.backend
    if not neuron.fires_once:
        return "reference"
    found = default_backend(device.partition(":")[0])
    learns = neuron.learn_beta or neuron.learn_threshold
    return "in_place" if found == "triton" and learns else found


def command_line() -> str:
    """How this process was started, as one could type it again."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def source_commit() -> str | None:
    """Commit of the source that this package runs from, `+changes` if it was edited since.

    None where the package is installed without a repository; a repository that merely lies around
    the installed files does not count.
    """
    source = Path(mpo_snn.__file__)
    if git(source.parent, "ls-files", "--error-unmatch", source.name) is None:
        return None
    commit = git(source.parent, "rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}+changes" if git(source.parent, "status", "--porcelain", "-uno") else commit


def git(folder: Path, *words: str) -> str | None:
    """What git prints in a folder; None where it fails, or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    found["mpo-snn"] = found["mpo-snn"] or mpo_snn.__version__
    return found
