"""TET against a loop over the timesteps, and in training."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from mpo_snn.errors import RecipeError
from mpo_snn.training.checkpoint import read_checkpoint
from mpo_snn.training.divergence import DivergedError
from mpo_snn.training.fit import fit
from mpo_snn.training.joint_loss import JointLoss
from mpo_snn.training.loss import tet_loss
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import CHECKPOINT, METRICS

from .conftest import rows

LOGITS = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 3, 4, 1])


@pytest.mark.parametrize("weight", (0.0, 0.05))
def test_tet_is_the_mean_over_the_steps(weight: float) -> None:
    expected = 0.0
    for step in LOGITS:
        entropy = sum(-math.log(step[i].softmax(0)[y]) for i, y in enumerate(Y)) / 4
        pull = float(((step - 0.5) ** 2).mean())
        expected += ((1 - weight) * entropy + weight * pull) / 3
    assert float(tet_loss(LOGITS, Y, weight, 0.5)) == pytest.approx(expected, rel=1e-5)


def test_tet_is_the_cross_entropy_of_the_mean_where_all_steps_agree() -> None:
    """And above it (convexity) where they do not."""
    same = LOGITS[:1].expand(3, 4, 5)
    assert float(tet_loss(same, Y)) == pytest.approx(
        float(functional.cross_entropy(same.mean(0), Y)), rel=1e-6
    )
    assert float(tet_loss(LOGITS, Y)) > float(functional.cross_entropy(LOGITS.mean(0), Y))


@pytest.mark.parametrize("loss", ("ce", "tet"))
def test_smoothed_targets_are_shares_of_all_classes(loss: str, tiny: Recipe) -> None:
    share, steps = 0.3, LOGITS if loss == "tet" else LOGITS.mean(0, keepdim=True)
    target = torch.full((4, 5), share / 5)
    target[range(4), Y] += 1.0 - share
    expected = -(target * steps.log_softmax(-1)).sum(-1).mean()
    joint = JointLoss(replace(tiny, loss=loss, label_smoothing=share), None, None, None)  # type: ignore[arg-type]
    _, task = joint.of_task(LOGITS, Y)
    assert float(task) == pytest.approx(float(expected), rel=1e-6)


def test_a_run_with_tet_logs_it_as_its_task_loss(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(*arguments: object) -> torch.Tensor:
        seen.append(tet_loss(*arguments))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr("mpo_snn.training.joint_loss.tet_loss", watched)
    recipe = replace(tiny, loss="tet", tet_lambda=0.05, epochs=1)
    run = fit(recipe, tmp_path / "run", device="cpu")
    row = rows(run.path / METRICS)[0]
    assert len(seen) == 3
    assert float(row["task_loss"]) == pytest.approx(
        float(torch.stack(seen).mean().detach()), abs=1e-5
    )


@pytest.mark.parametrize("loss", ("ce", "tet"))
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    loss: str, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: object) -> object:
        if self.global_step == 4:
            with torch.no_grad():
                self.unrolled.network.get_parameter("features.3.weight")[0, 0] = math.nan
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    recipe = replace(tiny, loss=loss)
    with pytest.raises(DivergedError, match=r"epoch 2, step 5: the loss is nan.*'features\.5'"):
        fit(recipe, tmp_path / "run", device="cpu")
    kept = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert kept["epoch"] == 0
    weights = [value for value in kept["state_dict"].values() if value.is_floating_point()]
    assert weights and all(bool(torch.isfinite(value).all()) for value in weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "tet", "tet_lambda": 1.0}, "tet_lambda is 1, allowed is 0 to below 1"),
        ({"tet_lambda": 0.1}, "tet_lambda is 0.1 with loss ce, which has no such term"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1, allowed is 0 to below 1"),
    ],
)
def test_a_weight_that_means_nothing_is_refused(
    change: dict[str, object], message: str, tiny: Recipe
) -> None:
    with pytest.raises(RecipeError, match=message):
        replace(tiny, **change)  # type: ignore[arg-type]
