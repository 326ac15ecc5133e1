"""`mpo-evaluate` on files that are written for a reader: as that reader runs them."""

from __future__ import annotations

import json
from pathlib import Path

from mpo_snn.cli import evaluate, export, train


def test_snntorch_runs_a_plain_lif_with_its_own_reset(tmp_path: Path) -> None:
    """The file has a plain LIF, which NIR resets to 0; snnTorch subtracts after one more line."""
    run = tmp_path / "run"
    line = "digits --epochs 1 --network.channels [4] --data.train_limit 100 --quiet --device cpu"
    reset = "--neuron.reset subtract --neuron.reset_timing next"
    assert train.main([*line.split(), *reset.split(), "--output", str(run)]) == 0
    found = []
    for reader in ("nir", "snntorch"):
        path = tmp_path / reader / "model.nir"
        path.parent.mkdir()
        words = [str(run), "--reader", reader, "--samples", "20", "--output", str(path)]
        assert export.main(words) == 0
        assert evaluate.main([str(path), "--data", "digits"]) == 0
        report = json.loads((path.parent / "report.json").read_text())
        found.append((report["summary"]["correct"], report["total"]["spikes_per_inference"]))
    assert found[0] == found[1]
