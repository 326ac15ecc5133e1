"""A loss that is no number: which layer, or which part of the loss, is to blame."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from mpo_snn.training.checkpoint import read_checkpoint
from mpo_snn.training.divergence import LOOK_EVERY, DivergedError, LossWatch
from mpo_snn.training.fit import fit, start
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import OptimizerSettings, Recipe
from mpo_snn.training.rundir import CHECKPOINT, create_run


def noted(step: int = 0, **changes: Any) -> dict[str, Any]:
    """What a step leaves."""
    values = {"loss": torch.tensor(1.5), "task": torch.tensor(2.3), "x": torch.ones(3, 4)}
    values |= {"added": {"L_Dist": torch.tensor(0.1), "L_width": torch.tensor(0.5)}}
    values |= {"membranes": {"a": torch.tensor(0.2), "b": torch.tensor(0.3)}}
    return {"step": step, **values, **changes}


NAN = torch.tensor(math.nan)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x": torch.full((1, 8), math.inf), "membranes": {"a": NAN, "b": NAN}}, "the input has"),
        ({"membranes": {"a": torch.tensor(0.0), "b": NAN}}, "is not finite is 'b'. A lower"),
        ({"membranes": {"a": NAN, "b": NAN}}, "is not finite is 'a'. A lower"),
        ({"task": NAN}, "every membrane is finite, the read-out behind them is not."),
        (
            {"added": {"L_Dist": torch.tensor(math.inf), "L_width": torch.tensor(0.5)}},
            "what is added to it is not: L_Dist inf, L_width 0.5, each times its weight.",
        ),
    ],
)
def test_the_first_broken_step_is_kept_with_what_is_to_blame(
    changes: dict[str, Any], told: str
) -> None:
    watch = LossWatch()
    assert watch.look() is None
    for step in range(3):
        watch.note(**noted(step))
        assert watch.look() is None
    watch.note(**noted(3, loss=NAN, **changes))
    watch.note(**noted(4))
    watch.note(**noted(5, loss=NAN, task=NAN, membranes={"a": NAN, "b": NAN}))
    broken = watch.look()
    assert broken is not None
    assert broken.step == 3 and math.isnan(broken.loss)
    assert told in broken.blame


def test_the_broken_layer_is_found(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == 4:
            with torch.no_grad():
                self.unrolled.network.get_parameter("features.3.weight")[0, 0] = math.nan
        return original(self, *arguments)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    message = r"epoch 2, step 5: the loss is nan; .* is 'features\.5'\. A lower"
    with pytest.raises(DivergedError, match=message):
        fit(tiny, tmp_path / "run", device="cpu")
    assert read_checkpoint(tmp_path / "run" / CHECKPOINT)["epoch"] == 0
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 2


def test_a_long_epoch_is_not_trained_to_its_end(tiny: Recipe, tmp_path: Path) -> None:
    steps: list[int] = []

    class Count(Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            steps.append(arguments[4])

    wild = replace(tiny, epochs=1, optimizer=OptimizerSettings(lr=1e30, batch_size=16))
    run = create_run(wild, tmp_path / "run")
    with pytest.raises(DivergedError, match="epoch 1, step 2: the loss is"):
        start(run, device="cpu", callbacks=[Count()])
    assert len(steps) == LOOK_EVERY


def test_a_weight_that_is_too_large_is_told_as_such(tiny: Recipe, tmp_path: Path) -> None:
    wild = replace(tiny, mpo=replace(tiny.mpo, lambda_dist=1e300))
    message = r"epoch 1, step 1: the loss is inf; .* so is the loss of the task.* L_Dist 0\.\d+"
    with pytest.raises(DivergedError, match=message):
        fit(wild, tmp_path / "run", device="cpu")


def test_training_stops_when_the_loss_is_no_number(tiny: Recipe, tmp_path: Path) -> None:
    wild = replace(tiny, optimizer=OptimizerSettings(lr=1e30, batch_size=480))
    with pytest.raises(DivergedError, match=r"epoch 1, step 2: the loss is (nan|inf)") as caught:
        fit(wild, tmp_path / "run", device="cpu")
    assert any(word in str(caught.value) for word in ("layer", "read-out", "added to it"))
    assert "optimizer.lr" in str(caught.value)
    assert not (tmp_path / "run" / "model.safetensors").exists()
