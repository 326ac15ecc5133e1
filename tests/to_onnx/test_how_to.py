"""What docs/onnx.md shows runs, and gives what the network gives."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from mpo_snn.encoding import encode
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.to_onnx.build import build_onnx
from mpo_snn.export.to_onnx.onnx_file import read_onnx, write_onnx
from mpo_snn.unroll import Unrolled
from tests.export.networks import Synaptic, T, settled

PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"


def test_the_loop_over_timesteps(tmp_path, monkeypatch):
    (program,) = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    network, samples = settled(Synaptic)
    export = export_nir(network, Synaptic.input_shape)
    monkeypatch.chdir(tmp_path)
    write_onnx("model.onnx", build_onnx(export.graph, 1e-4))
    assert read_onnx("model.onnx").metadata is None
    names = {"batch": len(samples), "timesteps": T, "samples": samples.numpy()}
    exec(program, names)  # a part of our own documentation
    with torch.no_grad():
        expected = Unrolled(network, T)(encode(samples, T)).mean(0)
    np.testing.assert_allclose(names["scores"], expected.numpy(), atol=1e-6)
