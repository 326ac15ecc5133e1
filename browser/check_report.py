"""`make browser`: reports and comparisons in Chromium, in every width, light, dark and printed.

    python -m browser.check_report ENVIRONMENT REPORT.html [REPORT.html ...] --pictures FOLDER

A report passes if it loads without a message on the console and without asking for anything
outside itself, if every drawing has a size and marks in it, if nothing is wider than the window,
and if light and dark differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FORMS = {
    "wide": (1280, "1"),
    "narrow": (390, "1"),
    "dark": (1280, "0"),
    "narrow-dark": (390, "0"),
}
"""Width of the window in pixels, and Chromium's number for the preferred colours (0: dark)."""


def main() -> int:
    """Check every report in every form; 1 if one does not pass."""
    parser = argparse.ArgumentParser(prog="browser.check_report", description=__doc__)
    parser.add_argument("environment", type=Path, help="has PyQt6-WebEngine")
    parser.add_argument("reports", type=Path, nargs="+")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for PNG and PDF")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    failures = 0
    for report in options.reports:
        name = report.resolve().parent.name
        backgrounds = {}
        for form in FORMS:
            seen = _open(options.environment, report, form, options.pictures / f"{name}-{form}")
            findings = findings_of(seen)
            backgrounds[form] = seen.get("background")
            print(f"{name:16} {form:12} {len(seen.get('drawings', ())):3} drawings  ", end="")
            print("; ".join(findings) or "fine")
            failures += bool(findings)
        if backgrounds["wide"] == backgrounds["dark"]:
            print(f"{name}: light and dark have the same background {backgrounds['wide']}")
            failures += 1
    return int(failures > 0)


def findings_of(seen: dict[str, Any]) -> list[str]:
    """What is wrong with a page that was looked at."""
    found = [] if seen.get("loaded") else ["did not load"]
    found += [f"console: {message}" for message in seen.get("messages", ())]
    found += [f"asked for {address}" for address in seen.get("requests", ())]
    if not seen.get("drawings"):
        found.append("no drawings")
    found += [
        f"drawing '{one['label']}' is empty"
        for one in seen.get("drawings", ())
        if one["width"] < 1 or one["height"] < 1 or one["marks"] < 2
    ]
    if seen.get("beyond", 0) > 0:
        found.append(f"{seen['beyond']} pixels wider than the window")
    return found


def _open(environment: Path, report: Path, form: str, picture: Path) -> dict[str, Any]:
    width, colours = FORMS[form]
    flags = f"--no-sandbox --disable-gpu --blink-settings=preferredColorScheme={colours}"
    command = [environment / "bin" / "python", Path(__file__).parent / "open_page.py"]
    command += [report, str(width), f"{picture}.png"]
    command += [f"{picture}.pdf"] if form == "wide" else []
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"QTWEBENGINE_CHROMIUM_FLAGS": flags, "QT_QPA_PLATFORM": "offscreen"},
    )
    if form == "wide":
        _draw_print(command[0], picture)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"the browser does not run: {done.stderr.strip().splitlines()[-1:]}")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _draw_print(python: Path, picture: Path) -> None:
    """The printed pages as a picture, for the eye alone."""
    print_file = Path(f"{picture}.pdf")
    if not print_file.exists():
        return
    target = str(picture).removesuffix("-wide") + "-print.png"
    subprocess.run(
        [python, Path(__file__).parent / "picture_of_print.py", print_file, target],
        check=True,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )


if __name__ == "__main__":
    sys.exit(main())
