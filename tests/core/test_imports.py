"""Every module imports, in any order and without a warning, and the light ones are light."""

from __future__ import annotations

import ast
import importlib.util
import json
import pkgutil
import re
import subprocess
import sys
import textwrap
import tomllib
from functools import cache
from pathlib import Path

import networkx
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


@cache
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


def imported_at_once(name: str) -> set[str]:
    """Modules of ours that the text of a module imports while it is being imported itself."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    package = name if spec.submodule_search_locations else name.rpartition(".")[0]
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(Path(spec.origin).read_text(encoding="utf-8"))]
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            waiting += statement.orelse
        elif isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            source = "." * statement.level + (statement.module or "")
            source = importlib.util.resolve_name(source, package)
            parts = {f"{source}.{alias.name}" for alias in statement.names} & set(modules())
            found |= parts or {source}
        else:
            waiting += ast.iter_child_nodes(statement)
    return found & {"mpo_snn", *modules()}


def test_no_module_needs_one_that_needs_it() -> None:
    """Without a circle, a module that can be imported at all can be imported first."""
    uses = networkx.DiGraph()
    uses.add_edges_from((name, used) for name in modules() for used in imported_at_once(name))
    assert uses.has_edge("mpo_snn.leaky", "mpo_snn.neurons")
    circles = [sorted(c) for c in networkx.strongly_connected_components(uses) if len(c) > 1]
    assert not circles


def test_modules_import_without_a_warning() -> None:
    """All one after the other; those that import torchvision or Lightning alone, in a fork each.

    These declare its operators first, which is to be seen while no other module has done so.
    """
    program = """
        import torch._dynamo.symbolic_convert, snntorch, nir, scipy.signal, matplotlib
        first, rest = (names.split(",") for names in sys.argv[1:])
        found = {name: after_import(name, str) for name in first if name}
        for name in rest:
            importlib.import_module(name)
        print(json.dumps(found))
    """
    names = modules()
    assert {"mpo_snn.unroll", "mpo_snn.kernels.in_place", "mpo_snn.networks.convnet"} <= set(names)
    first = [name for name in names if imports_torchvision(name)]
    failures = run_fresh(program, ",".join(first), ",".join(names))
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
