"""--help and --list answer at once: nothing heavy is imported for them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = {"torch", "lightning", "matplotlib", "nir", "numpy", "sklearn", "snntorch", "torchvision"}
PROGRAM = """\
import sys
from mpo_snn.cli.train import main
code = main(sys.argv[1:])
print("\\nmodules:", *{name.partition(".")[0] for name in sys.modules})
raise SystemExit(code)
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--list"], 0),
        (["digits", "--print_config"], 0),
        (["digits", "--neuron.beta", "2"], 2),
        (["--resume", "absent"], 2),
    ],
)
def test_nothing_heavy_is_imported(words: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    modules = set(done.stdout.rpartition("modules:")[2].split())
    assert "jsonargparse" in modules
    assert not modules & HEAVY


def test_help_answers_at_once() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", PROGRAM, "--help"], check=True, capture_output=True, timeout=60
        )
        times.append(time.perf_counter() - start)
    assert min(times) < 2.0  # 0.3 s on an idle machine
