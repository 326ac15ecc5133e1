"""The path of a GPU, run where there is none: on a device of torch's that is not the CPU."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from torch.utils import backend_registration

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch takes no backend in Python: 2.10 and newer do",
)


@pytest.fixture(scope="module")
def told():
    done = subprocess.run(
        [sys.executable, "-m", "tests.evaluation.evaluated_elsewhere"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_another_device_counts_the_same(told):
    """Every spike, operation, answer and fault; tensors of both devices never meet."""
    to_host = told.pop("to host")
    assert len(told) == 3
    for name, found in told.items():
        assert found.pop("operators there") > 1000, name
        assert found.pop("silent layers") == [], name
        assert all(found.values()), f"{name}: {found}"
    per_step, no_step = to_host
    assert per_step == no_step, "the host waits for the device step by step"
    one_batch, three_batches = no_step
    assert (three_batches - one_batch) / 2 <= 5, "times a batch that the host waits"
