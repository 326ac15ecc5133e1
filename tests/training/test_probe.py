from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mpo_snn.training.fit import resume, start
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.probe import GRADIENTS, HISTOGRAM, histogram, probes
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import Run, create_run

from .conftest import rows


def test_histogram_by_hand() -> None:
    """Threshold 2: -100 is far below, -0.2 is -0.1 thresholds, 0.1 is 0.05, 12 and 50 are far."""
    v = torch.tensor([-100.0, -0.1, 0.1, 0.1, 12.0, 50.0, 2.1, 2.1]).reshape(2, 1, 4)
    found = dict(histogram(v, torch.tensor(2.0)))
    assert found == pytest.approx(
        {-math.inf: 1 / 8, -0.1: 1 / 8, 0.0: 2 / 8, 1.0: 2 / 8, 6.0: 2 / 8}
    )


def test_a_watched_run_ends_with_the_same_weights(
    tiny: Recipe, finished: Run, tmp_path: Path
) -> None:
    """Also when it is stopped in between, and its tables have every epoch once."""
    run = create_run(tiny, tmp_path / "watched")

    def stop(self: TrainingModule) -> None:
        if self.current_epoch == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingModule, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            start(run, device="cpu", callbacks=probes(run))
    resume(run, device="cpu", callbacks=probes(run))
    for name in ("model.safetensors", "metrics.csv", "membrane.csv"):
        assert (run.path / name).read_bytes() == (finished.path / name).read_bytes()
    bins, gradients = rows(run.path / HISTOGRAM), rows(run.path / GRADIENTS)
    assert [row["epoch"] for row in gradients] == [str(e) for e in (1, 2, 3, 4) for _ in range(3)]
    for epoch in (1, 2, 3, 4):
        for layer in {row["layer"] for row in bins}:
            shares = [
                float(row["share"])
                for row in bins
                if row["layer"] == layer and row["epoch"] == str(epoch)
            ]
            assert sum(shares) == pytest.approx(1.0, abs=1e-5)


def test_gradient_norms_against_a_step_by_hand(tiny: Recipe, tmp_path: Path) -> None:
    """One step an epoch: the norm is that of the gradient which the step used."""
    recipe = replace(
        tiny, epochs=1, optimizer=replace(tiny.optimizer, batch_size=2000, warmup_epochs=0.0)
    )
    run = create_run(recipe, tmp_path / "run")
    seen: dict[str, float] = {}

    def look(self: TrainingModule) -> None:
        for name, p in self.unrolled.network.named_parameters():
            if p.grad is not None:
                seen[name] = float(p.grad.double().square().sum().sqrt())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingModule, "on_after_backward", look)
        start(run, device="cpu", callbacks=probes(run))
    found = {row["weight"]: float(row["gradient_norm"]) for row in rows(run.path / GRADIENTS)}
    assert found == pytest.approx({name: seen[name] for name in found}, rel=1e-4)
    assert len(found) == 3
