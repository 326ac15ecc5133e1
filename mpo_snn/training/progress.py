"""How training shows itself: a moving bar on a terminal, a few calm lines anywhere else."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.training.module import TrainingModule

declare_torchvision_operators()

from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402

LINES = 10
"""Lines of a whole run where there is no terminal."""


def is_reported(epoch: int, epochs: int) -> bool:
    """Whether an epoch, counted from 1, gets a line: about ten of a run, and the last one."""
    every = max(1, round(epochs / LINES))
    return epoch % every == 0 or epoch == epochs


def epoch_line(
    epoch: int, epochs: int, metrics: Any, seconds: float, evaluated_on: str = "test"
) -> str:
    """Epoch, loss, accuracies in percent and time, in columns that stay where they are."""
    return (
        f"epoch {epoch:>{len(str(epochs))}}/{epochs}"
        f"  loss {float(metrics['train_loss']):7.4f}"
        f"  train {100 * float(metrics['train_accuracy']):6.2f} %"
        f"  {evaluated_on} {100 * float(metrics['test_accuracy']):6.2f} %"
        f"  {seconds:6.1f} s"
    )


class ReportProgress(Callback):
    """Shows the epochs on a console."""

    def __init__(self, console: Console) -> None:
        """Show a bar if the console is a terminal."""
        self.console = console
        self.bar: Progress | None = None
        self.start = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and the bar where there is a terminal."""
        self.start = time.monotonic()
        if not self.console.is_terminal:
            return
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[result]}"),
            console=self.console,
            transient=True,
        )
        steps = int(trainer.num_training_batches) * int(trainer.max_epochs or 0)
        self.task = self.bar.add_task(
            "training", total=steps, completed=trainer.global_step, result=""
        )
        self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.advance(self.task)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say how the epoch went."""
        epoch, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 0)
        assert isinstance(pl_module, TrainingModule), "this callback belongs to TrainingModule"
        metrics, split = trainer.callback_metrics, pl_module.recipe.data.evaluated_on
        line = epoch_line(epoch, epochs, metrics, time.monotonic() - self.start, split)
        if self.bar is not None:
            result = f"{split} {100 * float(metrics['test_accuracy']):.2f} %"
            self.bar.update(self.task, description=f"epoch {epoch}/{epochs}", result=result)
        if is_reported(epoch, epochs):
            self.console.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away."""
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
