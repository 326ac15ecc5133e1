"""Every module imports alone and without a warning, and the light ones are light."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import mpo_snn

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "lightning", "torchvision", "torchmetrics", "matplotlib", "nir", "h5py", "numpy")
LIGHT = ("mpo_snn", "mpo_snn.errors", "mpo_snn.files", "mpo_snn.settings", "mpo_snn.kernels")

FORK = """
import importlib, json, os, sys, traceback, warnings

def after_import(name, tell):
    "What `tell()` says in a fork that has imported `name`, or the traceback."
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside torch's threads
        child = os.fork()
    if child == 0:
        os.close(read)
        try:
            importlib.import_module(name)
            text = tell()
        except BaseException:
            text = traceback.format_exc()[-2000:]
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return text or (f"ended with status {status}" if status else "")
"""


def modules() -> list[str]:
    """All modules of the package, the stages included."""
    return sorted(m.name for m in pkgutil.walk_packages(mpo_snn.__path__, "mpo_snn."))


def imports_torchvision(name: str) -> bool:
    """Whether the module's own text imports one of those that need the operators declared."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    return bool(re.search(r"(import|from) (lightning|torchmetrics|torchvision)\b", text))


def run_fresh(program: str, *arguments: str) -> dict[str, str]:
    """Run FORK and `program`, with warnings as errors; it prints its findings by module."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK + textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return {name: text for name, text in found.items() if text}


@pytest.mark.slow
def test_every_module_imports_alone_without_a_warning() -> None:
    """A fork each of a process that holds third parties only, and none of ours.

    Those that import torchvision or Lightning themselves come first, while these are absent.
    """
    program = """
        import torch._dynamo.symbolic_convert, snntorch, nir, sklearn, scipy.signal, matplotlib
        first, rest = (names.split(",") for names in sys.argv[1:])
        found = {name: after_import(name, str) for name in first if name}
        import mpo_snn.operators
        mpo_snn.operators.declare_torchvision_operators()
        import lightning
        for name in [name for name in sys.modules if name.partition(".")[0] == "mpo_snn"]:
            del sys.modules[name]
        del mpo_snn
        found |= {name: after_import(name, str) for name in rest}
        print(json.dumps(found))
    """
    names = modules()
    assert {"mpo_snn.unroll", "mpo_snn.kernels.in_place", "mpo_snn.networks.convnet"} <= set(names)
    first = [name for name in names if imports_torchvision(name)]
    rest = [name for name in names if name not in first]
    failures = run_fresh(program, ",".join(first), ",".join(rest))
    assert not failures, "\n".join(f"{name}:\n{text}" for name, text in failures.items())


def heavy_imports(*names: str) -> dict[str, str]:
    """For each module alone, which heavy packages it loads."""
    program = """
        heavy = sys.argv[1].split(",")
        told = lambda: ", ".join(name for name in heavy if name in sys.modules)
        print(json.dumps({name: after_import(name, told) for name in sys.argv[2:]}))
    """
    return run_fresh(program, ",".join(HEAVY), *names)


def test_light_modules_and_packages_load_nothing_heavy() -> None:
    packages = [m.name for m in pkgutil.walk_packages(mpo_snn.__path__, "mpo_snn.") if m.ispkg]
    assert not heavy_imports(*LIGHT, *packages)
    assert "torch" in heavy_imports("mpo_snn.lif")["mpo_snn.lif"]


def test_commands_and_the_recipe_load_nothing_heavy() -> None:
    """So that --help and --list answer at once."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commands = [script.partition(":")[0] for script in project["scripts"].values()]
    assert "mpo_snn.cli.train" in commands
    assert not heavy_imports(*commands, "mpo_snn.cli.command", "mpo_snn.training.recipe")


def test_no_public_name_is_hidden_by_a_module_of_that_name() -> None:
    """`from mpo_snn import name` would give the module once it has been imported."""
    assert not set(mpo_snn._HOME) & {name.removeprefix("mpo_snn.") for name in modules()}


def test_public_names_are_there_and_listed() -> None:
    for name in mpo_snn.__all__:
        assert getattr(mpo_snn, name) is not None
    assert mpo_snn.MPOLeaky.__module__ == "mpo_snn.leaky"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mpo_snn.nothing  # noqa: B018
