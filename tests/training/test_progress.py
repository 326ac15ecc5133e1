from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mpo_snn.training.fit import fit
from mpo_snn.training.progress import epoch_line, is_reported
from mpo_snn.training.recipe import Recipe

METRICS = {"train_loss": 0.5, "train_accuracy": 0.75, "test_accuracy": 1.0}


@pytest.mark.parametrize("epochs", [1, 4, 10, 15, 99, 300])
def test_about_ten_lines_and_always_the_last(epochs: int) -> None:
    lines = [epoch for epoch in range(1, epochs + 1) if is_reported(epoch, epochs)]
    assert min(epochs, 7) <= len(lines) <= 15
    assert lines[-1] == epochs


def test_columns_stay_where_they_are() -> None:
    early = epoch_line(9, 100, {**METRICS, "train_loss": 12.25}, 1.0)
    late = epoch_line(100, 100, METRICS, 1234.5)
    assert len(early) == len(late)
    assert late == "epoch 100/100  loss  0.5000  train  75.00 %  test 100.00 %  1234.5 s"


def run_on(console: Console, recipe: Recipe, tmp_path: Path) -> list[str]:
    fit(recipe, tmp_path / "run", device="cpu", console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_plain_output_is_a_few_lines(tiny: Recipe, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=20)
    lines = run_on(console, replace(tiny, epochs=2), tmp_path)
    assert [line.split()[:2] for line in lines] == [["epoch", "1/2"], ["epoch", "2/2"]]


def test_terminal_has_a_bar(tiny: Recipe, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    text = "\n".join(run_on(console, replace(tiny, epochs=1), tmp_path))
    assert "100%" in text
    assert "epoch 1/1" in text
