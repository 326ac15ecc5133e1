"""The page reference/commands.md: `--help` of every command that pyproject.toml installs."""

from __future__ import annotations

import importlib
import io
import os
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mkdocs.structure.files import File, Files

_PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
_COLUMNS = "82"


def on_files(files: Files, config: Any) -> Files:
    """Add the page."""
    scripts = tomllib.loads(_PYPROJECT.read_text())["project"]["scripts"]
    sections = [f"## {name}\n\n```text\n{_help(entry)}\n```\n" for name, entry in scripts.items()]
    text = "# Commands\n\nAs `--help` says it.\n\n" + "\n".join(sections)
    files.append(File.generated(config, "reference/commands.md", content=text))
    return files


def _help(entry: str) -> str:
    module, _, function = entry.partition(":")
    with patch.dict(os.environ, {"COLUMNS": _COLUMNS}), redirect_stdout(io.StringIO()) as out:
        code = getattr(importlib.import_module(module), function)(["--help"])
    assert code == 0, f"{entry} --help ended with {code}"
    return out.getvalue().strip()
