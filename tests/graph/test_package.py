from __future__ import annotations

import subprocess
import sys

import pytest

import mpo_snn.graph


def test_the_package_is_light() -> None:
    heavy = "{'torch', 'nir', 'h5py', 'networkx', 'numpy'} & set(sys.modules)"
    code = f"import sys, mpo_snn.graph; print({heavy} or 'nothing')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "nothing"


def test_every_public_name_exists() -> None:
    for name in mpo_snn.graph.__all__:
        assert getattr(mpo_snn.graph, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'simulator'"):
        _ = mpo_snn.graph.simulator
