"""`make browser`: reports and comparisons in Chromium, in every width, light, dark and printed.

    python -m browser.check_report ENVIRONMENT REPORT.html [REPORT.html ...] --pictures FOLDER

A report passes if it loads without a message on the console and without asking for anything
outside itself, if it has the drawings that its JSON file, which lies beside it, calls for, one in
each figure and each with a size and marks to be seen, if nothing is wider than the window, and if
light and dark differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from browser.expected_drawings import expected_drawings
from browser.served_page import served
from mpo_snn.cli.command import run_command
from mpo_snn.errors import MpoError

FORMS = {
    "wide": (1280, "1"),
    "narrow": (390, "1"),
    "dark": (1280, "0"),
    "narrow-dark": (390, "0"),
}
"""Width of the window in pixels, and Chromium's number for the preferred colours (0: dark)."""
MOST_SECONDS = 120


class CheckError(MpoError):
    """There is no browser to look with, or no page to look at."""


def main(argv: Sequence[str] | None = None) -> int:
    """Check every report in every form; 1 if one does not pass, 2 if that cannot be done."""
    return run_command(lambda: _body(argv), "browser.check_report")


def _body(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="browser.check_report", description=__doc__)
    parser.add_argument("environment", type=Path, help="has PyQt6-WebEngine")
    parser.add_argument("reports", type=Path, nargs="+")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for PNG and PDF")
    options = parser.parse_args(argv)
    expected = _ready(options.environment, options.reports)
    options.pictures.mkdir(parents=True, exist_ok=True)
    failures = 0
    for report, titles in zip(options.reports, expected, strict=True):
        name = report.resolve().parent.name
        backgrounds = {}
        for form in FORMS:
            seen = look(options.environment, report, form, options.pictures / f"{name}-{form}")
            findings = findings_of(seen, titles)
            backgrounds[form] = seen.get("background")
            print(f"{name:16} {form:12} {len(seen.get('drawings', ())):3} drawings  ", end="")
            print("; ".join(findings) or "fine")
            failures += bool(findings)
        if backgrounds["wide"] == backgrounds["dark"]:
            print(f"{name}: light and dark have the same background {backgrounds['wide']}")
            failures += 1
    return int(failures > 0)


def _ready(environment: Path, reports: Sequence[Path]) -> list[list[str]]:
    """The drawings that each report ought to have; raises what cannot be done, all at once."""
    wrong, expected = [], []
    if not (environment / "bin" / "python").is_file():
        wrong.append(
            f"there is no browser in '{environment}': it has no bin/python. make browser installs"
            " one, or name an environment with interop/environments/browser.txt."
        )
    for report in reports:
        told = report.with_suffix(".json")
        missing = [f"'{path}'" for path in (report, told) if not path.is_file()]
        if missing:
            wrong.append(
                f"cannot check '{report}': there is no {' and no '.join(missing)}. mpo-evaluate"
                " writes a page and its JSON file side by side."
            )
            continue
        try:
            expected.append(expected_drawings(json.loads(told.read_text(encoding="utf-8"))))
        except (ValueError, LookupError, TypeError, AttributeError):
            wrong.append(
                f"cannot check '{report}': '{told}' is not the JSON file of a page of this version:"
                " write both anew with mpo-evaluate."
            )
    if wrong:
        raise CheckError("the pages cannot be checked", wrong)
    return expected


def findings_of(seen: dict[str, Any], expected: Sequence[str]) -> list[str]:
    """What is wrong with a page.

    Args:
        seen: what `open_page.py` tells of it.
        expected: titles of the drawings that it ought to have.
    """
    found = [] if seen.get("loaded") else ["did not load"]
    found += [f"console: {message}" for message in seen.get("messages", ())]
    found += [f"asked for {address}" for address in seen.get("requests", ())]
    drawings = seen.get("drawings", ())
    there = Counter(one["label"] for one in drawings)
    found += [f"has no drawing '{title}'" for title in (Counter(expected) - there).elements()]
    found += [
        f"has a drawing '{title}' that its JSON file does not call for"
        for title in (there - Counter(expected)).elements()
    ]
    found += [
        f"drawing '{one['label']}' is empty"
        for one in drawings
        if min(one["width"], one["height"], one["marks"] - 1, one["shapes"]) < 1
    ]
    found += [
        f"figure '{one['caption']}' has {one['drawings']} drawings in place of 1"
        for one in seen.get("figures", ())
        if one["drawings"] != 1
    ]
    if seen.get("beyond", 0) > 0:
        found.append(f"{seen['beyond']} pixels wider than the window")
    return found


def look(environment: Path, report: Path, form: str, picture: Path) -> dict[str, Any]:
    """Open a page in one form, and take its picture; what `open_page.py` tells of it.

    Args:
        environment: has PyQt6-WebEngine.
        report: an HTML file.
        form: one of `FORMS`.
        picture: path without suffix; a .png is written, in `wide` a .pdf and its picture too.

    Raises:
        CheckError: if the browser does not run.
    """
    width, colours = FORMS[form]
    flags = f"--no-sandbox --disable-gpu --blink-settings=preferredColorScheme={colours}"
    with served(report) as address:
        words = [address, str(width), f"{picture}.png", f"{picture}.pdf"]
        done = _run(
            environment, "open_page.py", words[: 4 if form == "wide" else 3], {_FLAGS: flags}
        )
    if form == "wide" and Path(f"{picture}.pdf").exists():  # printed, for the eye alone
        target = str(picture).removesuffix("-wide") + "-print.png"
        _run(environment, "picture_of_print.py", [f"{picture}.pdf", target])
    for line in reversed(done.stdout.splitlines()):
        with suppress(ValueError):
            answer: dict[str, Any] = json.loads(line)
            return answer
    said = done.stderr.strip().splitlines() or ["nothing"]
    raise CheckError(
        f"the browser in '{environment}' does not run: {said[-1]}; make browser"
        " installs one that does."
    )


_FLAGS = "QTWEBENGINE_CHROMIUM_FLAGS"


def _run(
    environment: Path, script: str, words: Sequence[str], variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [str(environment / "bin" / "python"), str(Path(__file__).parent / script), *words]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            env=os.environ | {"QT_QPA_PLATFORM": "offscreen"} | (variables or {}),
        )
    except subprocess.TimeoutExpired:
        raise CheckError(
            f"the browser in '{environment}' did not end within {MOST_SECONDS} s in {script}."
        ) from None


if __name__ == "__main__":
    sys.exit(main())
