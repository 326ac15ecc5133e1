"""Time inheritance: the first epochs of a run with other timesteps than its last ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mpo_snn.errors import RecipeError
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import METRICS, WEIGHTS

from .conftest import interrupted_and_resumed, rows

ONE_THEN_THREE = {"timesteps": 3, "early_timesteps": 1, "early_epochs": 1, "epochs": 2}


def test_the_first_epochs_are_those_of_a_run_with_their_timesteps(
    tiny: Recipe, tmp_path: Path
) -> None:
    """Until they end, nothing else is computed in training; what is measured is the last T."""
    kinds = (ONE_THEN_THREE, {"timesteps": 1, "epochs": 2}, {"timesteps": 3, "epochs": 2})
    changed, short, long = (
        rows(fit(replace(tiny, **kind), tmp_path / str(number), device="cpu").path / METRICS)
        for number, kind in enumerate(kinds)
    )
    assert changed[0]["train_loss"] == short[0]["train_loss"] != long[0]["train_loss"]
    assert changed[0]["test_loss"] != short[0]["test_loss"]
    assert changed[1]["train_loss"] not in (short[1]["train_loss"], long[1]["train_loss"])


@pytest.mark.parametrize("step", (2, 4))
def test_resumed_on_either_side_it_ends_with_the_same_bytes(
    step: int, tiny: Recipe, tmp_path: Path
) -> None:
    recipe = replace(tiny, **ONE_THEN_THREE)
    whole = fit(recipe, tmp_path / "whole", device="cpu")
    resumed = interrupted_and_resumed(recipe, tmp_path / "resumed", step)
    assert (resumed.path / WEIGHTS).read_bytes() == (whole.path / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"early_epochs": 1}, "early_epochs is 1, but there is no early_timesteps: give both"),
        ({"early_timesteps": 0, "early_epochs": 1}, "early_timesteps is 0, allowed is 1 or more"),
        ({"early_timesteps": 1}, "early_epochs is 0 with early_timesteps, allowed is 1 to less"),
        ({"early_timesteps": 1, "early_epochs": 3}, "early_epochs is 3 .*than epochs, 3"),
        (
            {"early_timesteps": 1, "early_epochs": 1, "encoding": "rows"},
            "early_timesteps is 1 with encoding rows, whose samples have their own timesteps",
        ),
    ],
)
def test_what_means_nothing_is_refused(
    change: dict[str, object], message: str, tiny: Recipe
) -> None:
    with pytest.raises(RecipeError, match=message):
        replace(tiny, **{"epochs": 3} | change)  # type: ignore[arg-type]
