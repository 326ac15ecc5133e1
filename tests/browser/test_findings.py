"""What counts as a broken page, and real pages in a real browser where there is one."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser.check_report import FORMS, findings_of, look, main

ENVIRONMENT = Path(__file__).parents[2] / ".interop" / "browser"
DRAWING = {"label": "Energy", "width": 300.0, "height": 80.0, "marks": 9, "shapes": 4}
FIGURE = {"caption": "Energy by layer", "drawings": 1}
FINE = {
    "loaded": True,
    "messages": [],
    "requests": [],
    "drawings": [DRAWING],
    "figures": [FIGURE],
    "beyond": 0,
}
SVG = "<svg aria-label='Energy' width='90' height='90'>{}</svg>"
MARKS = "<path d='M0 0L80 80' stroke='red'/><text y='20'>fc</text>"

COMPARISON = {"energies": [], "layers": []}

in_chromium = pytest.mark.skipif(
    not (ENVIRONMENT / ".installed").exists(), reason="no .interop/browser: make browser builds it"
)


def test_a_page_without_faults():
    assert findings_of(FINE, ["Energy"]) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loaded": False}, "did not load"),
        ({"messages": ["x is not defined (line 3)"]}, "console: x is not defined"),
        ({"requests": ["https://fonts.example/a.css"]}, "asked for https://fonts.example"),
        ({"drawings": []}, "has no drawing 'Energy'"),
        ({"drawings": 2 * [DRAWING]}, "has a drawing 'Energy' that its JSON file does not call"),
        ({"drawings": [{**DRAWING, "height": 0}]}, "drawing 'Energy' is empty"),
        ({"drawings": [{**DRAWING, "marks": 1}]}, "drawing 'Energy' is empty"),
        ({"drawings": [{**DRAWING, "shapes": 0}]}, "drawing 'Energy' is empty"),
        ({"figures": [{**FIGURE, "drawings": 0}]}, "figure 'Energy by layer' has 0 drawings"),
        ({"beyond": 12}, "12 pixels wider"),
    ],
)
def test_faults_are_found(changed, message):
    found = findings_of({**FINE, **changed}, ["Energy"])
    assert len(found) == 1 and found[0].startswith(message)


def page_of(folder, body):
    path = folder / "page.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'><body>{body}</body>")
    return path


def found_in_chromium(folder, body, form="wide"):
    seen = look(ENVIRONMENT, page_of(folder, body), form, folder / "picture")
    return findings_of(seen, ["Energy"])


@in_chromium
@pytest.mark.parametrize("form", FORMS)
def test_a_broken_page_is_found(form, tmp_path):
    body = (
        "<figure><figcaption><b>Time</b><span>in s</span></figcaption><vg></vg></figure>"
        + SVG.format("<path d='M0 0L9 9'/>")
        + "<div style='width: 3000px; height: 10px'></div><script>nothing()</script>"
    )
    told = " ".join(found_in_chromium(tmp_path, body, form))
    assert "nothing is not defined" in told and "'Energy' is empty" in told and "wider" in told
    assert "figure 'Time' has 0 drawings" in told
    assert (tmp_path / "picture.png").stat().st_size > 0


@in_chromium
def test_a_page_that_stays_within_itself_passes(tmp_path):
    body = f"<style>body {{ background: url({ONE_DOT}) }}</style><img src='{ONE_DOT}'>"
    body += "<a href='https://elsewhere.invalid/'>a link is followed by people alone</a>"
    assert found_in_chromium(tmp_path, f"{body}<figure>{SVG.format(MARKS)}</figure>") == []


ONE_DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
ASKING = {
    "a.png": "<img src='{}/a.png'>",
    "a.js": "<script src='{}/a.js'></script>",
    "a.css": "<link rel='stylesheet' href='{}/a.css'>",
    "far.png": "<p style='height: 9000px'></p><img loading='lazy' src='{}/far.png'>",
    "print.png": "<style>@media print {{ body {{ background: url({}/print.png) }} }}</style>",
    "by-script": "<script>fetch('{}/by-script').catch(() => 0)</script>",
    "icon.ico": "<link rel='icon' href='{}/icon.ico'>",
    "on-click.mp4": "<video preload='none' src='{}/on-click.mp4'></video>",
}


@in_chromium
def test_what_is_asked_for_elsewhere_is_noticed_and_not_fetched(tmp_path):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        body = "".join(part.format(there) for part in ASKING.values())
        found = found_in_chromium(tmp_path, body + SVG.format(MARKS))
        server.shutdown()
    assert [name for name in ASKING if f"asked for {there}/{name}" not in found] == []
    assert asked == []


@in_chromium
def test_files_are_noticed(tmp_path):
    names = [f"file{number}" for number in range(6)]
    for name in names:
        (tmp_path / name).write_text("")
    tags = ("<img src='{}'>", "<link rel='stylesheet' href='{}'>", "<script src='{}'></script>")
    places = [(tmp_path / name).as_uri() for name in names[:3]] + names[3:]
    body = "".join(tag.format(place) for tag, place in zip(2 * tags, places, strict=True))
    found = found_in_chromium(tmp_path, body + SVG.format(MARKS))
    asked = [one for one in found if one.startswith("asked for ")]
    assert sorted(one.rpartition("/")[2] for one in asked) == names


HIDDEN = {
    "no marks": SVG.format(""),
    "hidden": SVG.format(f"<g visibility='hidden'>{MARKS}</g>"),
    "seen through": SVG.format(f"<g opacity='0'>{MARKS}</g>"),
    "defined alone": SVG.format(f"<defs>{MARKS}</defs>"),
    "not painted": SVG.format(MARKS.replace("red", "none' fill='none")),
    "text alone": SVG.format("<text y='20'>fc</text><text y='40'>fc2</text>"),
    "not displayed": f"<div style='display: none'>{SVG.format(MARKS)}</div>",
}


@in_chromium
def test_drawings_without_marks_to_be_seen_are_found(tmp_path):
    drawings = [*HIDDEN.values(), SVG.format(MARKS)]
    seen = look(ENVIRONMENT, page_of(tmp_path, "".join(drawings)), "wide", tmp_path / "picture")
    for drawing, found in zip([*HIDDEN, "fine"], seen["drawings"], strict=True):
        one = {**seen, "drawings": [found]}
        assert findings_of(one, ["Energy"]) == (
            [] if drawing == "fine" else ["drawing 'Energy' is empty"]
        ), drawing


@pytest.mark.parametrize("there", [(), ("bin",)])
def test_without_a_browser_or_a_page_one_line_says_what_to_do(there, tmp_path, capsys):
    for name in there:
        (tmp_path / name).mkdir()
    page = page_of(tmp_path, "")
    assert main([str(tmp_path), str(page), "--pictures", str(tmp_path / "pictures")]) == 2
    told = capsys.readouterr().err
    assert "no bin/python. make browser installs one" in told
    assert f"no '{page.with_suffix('.json')}'" in told and "Traceback" not in told
    assert not (tmp_path / "pictures").exists()


def test_a_python_without_a_browser_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\necho no PyQt6 >&2\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    page = page_of(tmp_path, "")
    page.with_suffix(".json").write_text(json.dumps(COMPARISON))
    assert main([str(tmp_path), str(page), "--pictures", str(tmp_path / "pictures")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "does not run: no PyQt6; make browser installs one" in told[0]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"summary": {}}', '{"energies": []}'])
def test_a_json_file_of_something_else_is_told_in_one_line(content, tmp_path, capsys):
    page = page_of(tmp_path, "")
    page.with_suffix(".json").write_text(content)
    assert main([str(tmp_path), str(page), "--pictures", str(tmp_path / "pictures")]) == 2
    told = capsys.readouterr().err
    assert "write both anew" in told and "Traceback" not in told
