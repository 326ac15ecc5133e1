"""Two processes never train in one run directory."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from mpo_snn.training import run_lock
from mpo_snn.training.fit import resume, start
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.run_lock import BusyRunError, training_alone
from mpo_snn.training.rundir import WEIGHTS, Run, create_run, open_run


@pytest.mark.parametrize("train", (start, resume))
def test_a_run_that_another_process_trains_is_left_alone(
    train: object, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "WAIT", 0.0)
    run = create_run(tiny, tmp_path / "run")
    scratch = run.path / ".metrics.csv.abc.part"
    scratch.write_text("what the other process writes now")
    with (
        training_alone(run),
        pytest.raises(BusyRunError, match=r"cannot train in '.*run': another process does so now"),
    ):
        train(run, device="cpu")  # type: ignore[operator]
    assert sorted(path.name for path in run.path.iterdir()) == [scratch.name, "recipe.yaml"]


def test_who_waits_for_the_end_of_a_run_leaves_it_as_it_is(finished: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished.path, copy)
    (copy / WEIGHTS).unlink()
    run = open_run(copy, unfinished=True)
    inside = threading.Event()

    def end_it() -> None:
        with training_alone(run):
            inside.set()
            shutil.copy(finished.path / WEIGHTS, copy)

    before = (copy / "environment.json").read_bytes()
    other = threading.Thread(target=end_it)
    other.start()
    inside.wait(60)
    assert resume(run, device="cpu").finished
    other.join()
    assert (copy / "environment.json").read_bytes() == before
