"""Settings that the advice of `mpo-deploy` names are options of the commands that it is for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mpo_snn.cli import deploy, train
from mpo_snn.training.recipe_file import load_recipe

ROOT = Path(__file__).parents[2]
FILES = (
    *sorted((ROOT / "deploy").glob("*.py")),
    *sorted((ROOT / "mpo_snn/cli").glob("deploy*.py")),
    ROOT / "mpo_snn/cli/target_recipe.py",
    ROOT / "mpo_snn/cli/fine_tune.py",
)
OF_OTHERS = {"--simulate"}
"""An option of `load_xylo.py`, which a deployment of Xylo brings along."""
NAME = re.compile(r"--[a-z][\w.-]*")
GIVEN = re.compile(r"(--[a-z]+\.[a-z_]+) '?(\[[^]]*\]|[\w.]+)'?")


def texts() -> dict[str, set[str]]:
    """Every text in the files by file; X stands for what is filled in later."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                text = "".join(x.value if isinstance(x, ast.Constant) else "X" for x in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.replace("{:g}", "X")
            else:
                continue
            found.setdefault(path.name, set()).add(text)
    return found


def test_every_option_that_is_named_is_one() -> None:
    parsers = train._parser(load_recipe("digits")), deploy._parser()
    known = OF_OTHERS.union(*(parser._option_string_actions for parser in parsers))
    named = {
        (name, option)
        for name, found in texts().items()
        for text in found
        for option in NAME.findall(text)
    }
    assert {option for _, option in named} >= {"--network.hidden", "--network.name", "--target"}
    assert {pair for pair in named if pair[1].rstrip(".-") not in known} == set()


def test_every_value_that_is_named_is_taken() -> None:
    given = {pair for found in texts().values() for text in found for pair in GIVEN.findall(text)}
    given = {pair for pair in given if pair[1] not in ("and", "or", "in") and "X" not in pair[1]}
    assert ("--network.name", "mlp") in given
    parser = train._parser(load_recipe("digits"))
    for option, value in sorted(given):
        parser.parse_args([option, value])
