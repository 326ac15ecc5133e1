"""Writing reports and comparisons: JSON for machines, a page for people; NeuroBench's form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mpo_snn.files import make_folder, write_file

from .comparison_page import render_comparison
from .page import render_page

_JSON: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False}


def write_report(report: dict[str, Any], folder: str | Path) -> tuple[Path, Path]:
    """Write both files into `folder`, which is made if it is not there.

    Both are drawn before the first is written.

    Returns:
        the paths of `report.json` and `report.html`.

    Raises:
        OutputError: if the folder or a file cannot be written.
    """
    return _write_both(folder, "report", json.dumps(report, indent=2, **_JSON), render_page(report))


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
    write_file(json_path, content + "\n")
    write_file(html_path, page)
    return json_path, html_path


def write_neurobench(results: dict[str, Any], folder: Path) -> Path:
    """Write `neurobench.json` as NeuroBench writes it, into a folder that is there.

    Raises:
        OutputError: if the file cannot be written.
    """
    path = folder / "neurobench.json"
    write_file(path, json.dumps(results, indent=4) + "\n")
    return path
