"""Every command shows a network the same samples, wherever the data lies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mpo_snn.cli import evaluate, export, train, verify

RECIPE = """\
# Rate-coded pictures, a part of the training data held out.
epochs: 1
timesteps: 3
encoding: rate
data: {name: mnist, path: DATA, validation: 0.25}
network: {name: convnet, channels: [2]}
optimizer: {batch_size: 30}
"""


def test_from_training_to_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    data, run, model = tmp_path / "some.npz", tmp_path / "run", tmp_path / "run" / "model.nir"
    labels = np.arange(60) % 10
    np.savez(data, x_train=pixels, y_train=labels, x_test=pixels[:20], y_test=labels[:20])
    (tmp_path / "small.yaml").write_text(RECIPE.replace("DATA", str(data)))
    words = [str(tmp_path / "small.yaml"), "--output", str(run), "--device", "cpu", "--quiet"]
    assert train.main(words) == 0
    assert "validation accuracy" in capsys.readouterr().out
    assert export.main([str(run), "--format", "nir"]) == 0
    assert "MNIST, validation split: 15 samples" in capsys.readouterr().out
    assert verify.main([str(run), str(model)]) == 0
    assert verify.main([str(model), str(model)]) == 0

    def report(*options: str) -> dict[str, object]:
        assert evaluate.main([str(model), *options]) == 0
        found = json.loads((run / "report.json").read_text())
        assert found["warnings"] == []
        return {**found["summary"], **found["setting"]}

    held_out = report()
    assert (held_out["split"], held_out["samples"]) == ("validation", 15)
    row = (run / "metrics.csv").read_text().splitlines()[1].split(",")
    assert held_out["correct"] == round(15 * float(row[-2]))
    tested = report("--data.validation", "0")
    assert (tested["split"], tested["samples"]) == ("test", 20)

    moved = tmp_path / "moved.npz"
    data.rename(moved)
    capsys.readouterr()
    assert evaluate.main([str(model)]) == 2
    assert "check --data.path" in capsys.readouterr().err
    assert report("--data.path", str(moved))["correct"] == held_out["correct"]
    assert verify.main([str(run), str(model), "--data.path", str(moved)]) == 0
