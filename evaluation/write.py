"""Writing reports and comparisons: JSON for machines, a page for people; NeuroBench's form."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpo_snn.errors import OutputError
from mpo_snn.files import make_folder, replace_file, write_file

from .comparison_page import render_comparison
from .page import render_page

_JSON: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False}


def write_report(report: dict[str, Any], folder: str | Path, prefix: str = "") -> tuple[Path, Path]:
    """Write both files into `folder`, which is made if it is not there.

    Both are drawn before the first is written.

    Args:
        report: what `build_report` gave.
        folder: where they go.
        prefix: what their names begin with, e.g. `own.` for `own.report.json`.

    Returns:
        the paths of `report.json` and `report.html`.

    Raises:
        OutputError: if the folder or a file cannot be written.
    """
    content = json.dumps(report, indent=2, **_JSON)
    return _write_both(folder, f"{prefix}report", content, render_page(report))


def write_comparison(comparison: dict[str, Any], folder: str | Path) -> tuple[Path, Path]:
    """Write `comparison.json` and `comparison.html` into `folder`, made if it is not there.

    Returns:
        the paths of both.

    Raises:
        OutputError: if the folder or a file cannot be written.
    """
    content = json.dumps(comparison, indent=1, **_JSON)
    return _write_both(folder, "comparison", content, render_comparison(comparison))


def _write_both(folder: str | Path, name: str, content: str, page: str) -> tuple[Path, Path]:
    folder = make_folder(folder)
    json_path, html_path = folder / f"{name}.json", folder / f"{name}.html"
    with replace_file(html_path) as scratch:  # a page that cannot be written leaves no JSON either
        scratch.write_text(page, encoding="utf-8")
        write_file(json_path, content + "\n")
    return json_path, html_path


def check_output(folder: str | Path, files: Sequence[str]) -> None:
    """Refuse, before anything is computed, an output that is known not to be writable.

    Args:
        folder: may be absent; then the folder that it would be made in counts.
        files: names of what is going to be written into it.

    Raises:
        OutputError: if a file stands where a folder is needed or the reverse, or writing is not
            allowed.
    """
    folder = Path(folder)
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not there.is_dir():
        raise OutputError(
            f"cannot write into the folder '{folder}': '{there}' is a file. Name another folder."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into the folder '{there}': Permission denied.")
    for path in (folder / name for name in files):
        if path.exists() and not path.is_file():
            raise OutputError(f"cannot write '{path}': it is not a file. Name another folder.")


def write_neurobench(results: dict[str, Any], path: Path) -> None:
    """Write `neurobench.json` as NeuroBench writes it, into a folder that is there.

    Raises:
        OutputError: if the file cannot be written.
    """
    write_file(path, json.dumps(results, indent=4) + "\n")
