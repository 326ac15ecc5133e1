"""Commands of a page: run in this process, or parsed by the parsers that they have."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from mpo_snn.cli.recipe_options import overridden_recipe
from mpo_snn.training.recipe_file import load_recipe

ROOT = Path(__file__).parents[2]
ENTRIES: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def run(words: list[str]) -> int:
    """Run `mpo-...`; the exit code."""
    name, *argv = words
    return _module(name).main(argv)


def parse(words: list[str]) -> None:
    """Parse `mpo-...` as far as it goes without data.

    Raises:
        MpoError: if the command would refuse these words.
    """
    name, *argv = words
    module = _module(name)
    if "recipe" not in inspect.signature(module._parser).parameters:
        module._parser().parse_args(argv)
        return
    options = module._parser(load_recipe("digits")).parse_args(argv)
    if options.recipe is not None:
        overridden_recipe(load_recipe(options.recipe), module._parser, argv)
    if hasattr(module, "_plan"):
        module._plan(options, argv)


def exists(words: list[str]) -> bool:
    """Whether a target of make, or a module run with `python -m` and its options, are there."""
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return set(words[1:]) <= set(targets)
    if words[:2] != ["python", "-m"] or find_spec(words[2]) is None:
        return False
    known = _help(words[2])
    return all(word in known for word in words[3:] if word.startswith("--"))


def _help(module: str) -> set[str]:
    """The options that a module's help names."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        importlib.import_module(module).main(["--help"])
    return set(re.findall(r"--[\w-]+", told.getvalue()))


def _module(name: str) -> ModuleType:
    assert name in ENTRIES, f"there is no command {name}; there are {', '.join(ENTRIES)}"
    return importlib.import_module(ENTRIES[name].partition(":")[0])
