r"""Decisions: what a graph answers, class by class, and how soon it could have.

The scores at timestep t are the read-out of the outputs up to t. Two curves follow:

- accuracy over timesteps: of the answer at each t;
- early exit with patience k: the inference ends at the first t at which the answer has been the
  same for k timesteps in a row, at T at the latest. Patience 1 answers after one timestep, patience
  T is the full inference. No threshold on scores is needed, so networks can be compared.

Only counts are kept, whatever the number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.readout import read_out, read_out_over_time


@dataclass(frozen=True)
class Decisions:
    """Counts of answers.

    Attributes:
        confusion: (classes, classes) whole numbers; row is the label, column the answer at T.
        correct_at: (T,) right answers at each timestep.
        exit_correct: (T,) right answers with patience 1 to T.
        exit_steps: (T,) timesteps taken with patience 1 to T, over all samples.
    """

    confusion: Tensor
    correct_at: Tensor
    exit_correct: Tensor
    exit_steps: Tensor

    @property
    def samples(self) -> int:
        """Number of inferences."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """Right answers at T."""
        return int(self.confusion.trace())

    def samples_of(self, label: int) -> int:
        """Inferences of one class."""
        return int(self.confusion[label].sum())

    def __add__(self, other: Decisions) -> Decisions:
        """Counts of both."""
        return Decisions(
            self.confusion + other.confusion,
            self.correct_at + other.correct_at,
            self.exit_correct + other.exit_correct,
            self.exit_steps + other.exit_steps,
        )


def decide(output: Tensor, label: Tensor, readout: str) -> Decisions:
    """Count the decisions of one batch.

    Args:
        output: (time, batch, classes).
        label: (batch,), each the index of a class.
        readout: see `mpo_snn.readout`.

    Raises:
        RecipeError: if the read-out is unknown.
    """
    timesteps, batch, classes = output.shape
    answers = read_out_over_time(output, readout).argmax(2)
    answers[-1] = read_out(output, readout).argmax(1)  # the answer that everybody else takes
    label = label.to(answers.device)
    right = answers == label
    confusion = torch.bincount(label * classes + answers[-1], minlength=classes * classes)
    steady = _steps_in_a_row(answers)
    exit_correct, exit_steps = [], []
    for patience in range(1, timesteps + 1):
        patient = steady >= patience
        patient[-1] = True
        at = patient.int().argmax(0)
        exit_steps.append(at.sum() + batch)
        exit_correct.append(right.gather(0, at[None]).sum())
    return Decisions(
        confusion.reshape(classes, classes).cpu(),
        right.sum(1).cpu(),
        torch.stack(exit_correct).cpu(),
        torch.stack(exit_steps).cpu(),
    )


def _steps_in_a_row(answers: Tensor) -> Tensor:
    """For how many timesteps, this one included, each answer has not changed; (time, batch)."""
    steady = torch.ones_like(answers)
    for t in range(1, len(answers)):
        steady[t] += steady[t - 1] * (answers[t] == answers[t - 1])
    return steady
