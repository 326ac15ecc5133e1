"""What counts as a broken page, and a real page in a real browser where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.check_report import FORMS, _open, findings_of

ENVIRONMENT = Path(__file__).parents[2] / ".interop" / "browser"
DRAWING = {"label": "Energy", "width": 300.0, "height": 80.0, "marks": 9}
FINE = {"loaded": True, "messages": [], "requests": [], "drawings": [DRAWING], "beyond": 0}


def test_a_page_without_faults():
    assert findings_of(FINE) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loaded": False}, "did not load"),
        ({"messages": ["x is not defined (line 3)"]}, "console: x is not defined"),
        ({"requests": ["https://fonts.example/a.css"]}, "asked for https://fonts.example"),
        ({"drawings": []}, "no drawings"),
        ({"drawings": [{**DRAWING, "height": 0}]}, "drawing 'Energy' is empty"),
        ({"drawings": [{**DRAWING, "marks": 1}]}, "drawing 'Energy' is empty"),
        ({"beyond": 12}, "12 pixels wider"),
    ],
)
def test_faults_are_found(changed, message):
    found = findings_of({**FINE, **changed})
    assert len(found) == 1 and found[0].startswith(message)


@pytest.mark.skipif(not ENVIRONMENT.exists(), reason="no .interop/browser: make browser builds it")
@pytest.mark.parametrize("form", FORMS)
def test_a_broken_page_is_found_in_chromium(form, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><body><svg aria-label='empty' width='9' height='9'></svg>"
        "<div style='width: 3000px; height: 10px'></div><script>nothing()</script></body>"
    )
    found = findings_of(_open(ENVIRONMENT, page, form, tmp_path / "picture"))
    told = " ".join(found)
    assert "nothing is not defined" in told and "'empty' is empty" in told and "wider" in told
    assert (tmp_path / "picture.png").stat().st_size > 0
