"""The how-to of docs/foreign.md, run as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from mpo_snn.cli import evaluate, export, train, verify
from tests.graph.graphs import full

ROOT = Path(__file__).parents[2]
DT = 1e-4


def foreign() -> nir.NIRGraph:
    """A dense network that knows nothing yet, every neuron with its own leak and gain."""
    rng = np.random.default_rng(0)
    tau, r = rng.uniform(2, 5, 40) * DT, rng.uniform(0.8, 1.5, 40)
    nodes = {
        "input": nir.Input(np.array([1, 8, 8])),
        "0": nir.Flatten({"input": np.array([1, 8, 8])}, 0, -1),
        "1": nir.Affine(rng.normal(0, 0.3, (40, 64)), full((40,), 0.1)),
        "2": nir.LIF(tau, r, full((40,), 0), full((40,), 0.4), full((40,), 0)),
        "3": nir.Affine(rng.normal(0, 0.2, (10, 40)), full((10,), 0)),
        "output": nir.Output(np.array([10])),
    }
    return nir.NIRGraph(nodes, list(zip(nodes, list(nodes)[1:], strict=False)))


def accuracy(path: Path, capsys: pytest.CaptureFixture[str]) -> float:
    dt = [] if path.name == "tuned.nir" else ["--dt", "1e-4"]  # which states it
    told = [
        "--data",
        "digits",
        "--timesteps",
        "8",
        "--encoding",
        "direct",
        "--readout",
        "mean",
        *dt,
    ]
    assert evaluate.main([str(path), *told]) == 0
    return float(re.search(r"accuracy +(\d+\.\d+) %", capsys.readouterr().out)[1])  # type: ignore[index]


def test_a_foreign_file_learns_and_stays_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    nir.write("foreign.nir", foreign())
    page = (ROOT / "docs/foreign.md").read_text()
    (code, _) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    torch.manual_seed(0)
    exec(compile(code, "docs/foreign.md", "exec"), {})
    before, after = (accuracy(tmp_path / name, capsys) for name in ("foreign.nir", "tuned.nir"))
    assert before < 40 < 90 < after
    tuned, given = nir.read("tuned.nir"), nir.read("foreign.nir")
    assert set(tuned.nodes) == set(given.nodes) and tuned.edges == given.edges
    np.testing.assert_allclose(tuned.nodes["2"].tau, given.nodes["2"].tau, rtol=1e-5)
    assert not np.allclose(tuned.nodes["2"].v_threshold, given.nodes["2"].v_threshold)
    told = "--data digits --samples 50 --timesteps 8 --dt 1e-4 --encoding direct".split()
    assert verify.main(["foreign.nir", "tuned.nir", *told]) == 1
    assert "NOT equal: first divergence in layer '2'" in capsys.readouterr().out


def test_a_file_of_the_run_rounded_to_float32_is_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = "digits --output run --epochs 1 --data.train_limit 200 --data.test_limit 12 --quiet"
    assert train.main(recipe.split()) == 0
    assert export.main(["run"]) == 0
    graph = nir.read("run/model.nir")
    graph.metadata = {}
    for node in graph.nodes.values():
        for name in ("weight", "bias", "v_threshold", "tau"):
            if hasattr(node, name):
                setattr(node, name, getattr(node, name).astype(np.float32).astype(np.float64))
    nir.write("rounded.nir", graph)
    capsys.readouterr()
    assert verify.main(["run", "rounded.nir", "--dt", "1e-4"]) == 0
    assert "are numbers of float32" in capsys.readouterr().out
    weight = graph.nodes["features.0"].weight
    weight[0, 0, 0, 0] = np.float32(1.01 * weight[0, 0, 0, 0])
    nir.write("damaged.nir", graph)
    assert verify.main(["run", "damaged.nir", "--dt", "1e-4"]) == 1
    assert "NOT equal: first divergence in layer 'features.2'" in capsys.readouterr().out
