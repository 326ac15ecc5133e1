"""The examples run as they are shown and reach what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_own_loop_learns_digits_in_seconds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "own_loop.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"test accuracy: (\d+\.\d\d)%\n", done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) > 90.0
    assert not list(tmp_path.iterdir())


def test_the_method_takes_three_marked_lines() -> None:
    text = (EXAMPLES / "own_loop.py").read_text(encoding="utf-8")
    assert re.findall(r"# (\d):", text) == ["1", "2", "3"]
    code = [line for line in text.splitlines() if line.strip() and '"""' not in line]
    assert len(code) <= 40
