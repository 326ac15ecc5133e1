"""Writes metrics.csv and membrane.csv while Lightning trains.

Both files are written anew after every epoch. Their rows travel in the checkpoint, so that a
resumed run goes on with exactly those of the epochs that it does not repeat.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpo_snn.files import write_file
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.ranks import rank

declare_torchvision_operators()

from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402

METRIC_COLUMNS = (
    "epoch",
    "train_loss",
    "task_loss",
    "dist_loss",
    "width_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "evaluated_on",
)
MEMBRANE_COLUMNS = (
    "epoch",
    "layer",
    "mu",
    "sigma",
    "width",
    "height",
    "rho",
    "coverage",
    "density",
    "rails",
    "gradient_growth",
)


class EpochTable(Callback):
    """Rows that grow by every epoch, in a CSV file and in the checkpoint."""

    columns: Sequence[str]

    def __init__(self, path: Path) -> None:
        """Write to this path."""
        self.path = path
        self.rows: list[list[str]] = []

    def state_dict(self) -> dict[str, Any]:
        """The rows, for the checkpoint."""
        return {"rows": [list(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows from the checkpoint."""
        self.rows = [list(row) for row in state_dict["rows"]]

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Add the rows of an epoch and write the file."""
        self.rows += [list(row) for row in rows]
        self.write()

    def write(self) -> None:
        """Write the file anew; of several processes, the first does."""
        if not rank().is_first:
            return
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(self.columns)
        table.writerows(self.rows)
        write_file(self.path, text.getvalue())


class MetricsTable(EpochTable):
    """metrics.csv: one row an epoch, counted from 1; losses and accuracies (share of 1).

    `evaluated_on` says which split test_loss and test_accuracy are of: `test`, or
    `validation` where part of the training data is held out in its place.
    """

    columns = METRIC_COLUMNS

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row."""
        assert isinstance(pl_module, TrainingModule), "this callback belongs to TrainingModule"
        metrics, evaluated_on = trainer.callback_metrics, pl_module.recipe.data.evaluated_on
        values = [f"{float(metrics[name]):.6f}" for name in METRIC_COLUMNS[1:-1]]
        self.add([[str(trainer.current_epoch + 1), *values, evaluated_on]])


class MembraneTable(EpochTable):
    """membrane.csv: one row an epoch and layer (`MPO.statistics` says what the columns are)."""

    columns = MEMBRANE_COLUMNS

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's rows."""
        assert isinstance(pl_module, TrainingModule), "this callback belongs to TrainingModule"
        epoch = str(trainer.current_epoch + 1)
        self.add(
            [
                [epoch, layer, *(f"{values[name]:.6f}" for name in MEMBRANE_COLUMNS[2:])]
                for layer, values in pl_module.mpo.statistics().items()
            ]
        )
