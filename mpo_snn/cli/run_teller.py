"""Says how each run of a study went, as it is done."""

from __future__ import annotations

from typing import Any


class Teller:
    """Prints a line for each run."""

    def __init__(self, console: Any) -> None:
        """Print on this rich console."""
        self.console, self.told = console, 0

    def __call__(self, outcome: Any) -> None:
        """Print the line of an outcome (`mpo_snn.evaluation.study_runs`)."""
        self.told += 1
        if outcome.diverged:
            how = f"diverged: {outcome.diverged}"
        else:
            split = outcome.trial.recipe.data.evaluated_on
            how = f"{split} accuracy {100 * outcome.measured['accuracy']:6.2f} %"
        when = f"{outcome.seconds:7.1f} s" if outcome.seconds else "  was done"
        self.console.print(f"{self.told:>4}  {outcome.trial.name:<28} {when}  {how}", markup=False)


def silent(outcome: Any) -> None:
    """Print nothing."""
