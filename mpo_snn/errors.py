"""What goes wrong because of the user's input, as one family of exceptions.

A message says on one line what was attempted, where, what was found, what is allowed and what to
do. Commands print it and end with exit code 2; anything else is a fault of ours and shows its
traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class MpoError(ValueError):
    """Wrong input. All findings are told at once, not just the first.

    Args:
        message: one line; with findings, what was attempted on what.
        findings: what is wrong, one line each. A single one joins the message's line.
    """

    def __init__(self, message: str, findings: Sequence[str] = ()) -> None:
        """Join message and findings into the text that is shown."""
        self.attempt, self.findings = message, tuple(findings)
        if len(self.findings) == 1:
            message = f"{message}: {self.findings[0]}"
        elif self.findings:
            lines = "".join(f"\n  - {finding}" for finding in self.findings)
            message = f"{message}: {len(self.findings)} findings{lines}"
        super().__init__(message)

    @property
    def lines(self) -> list[str]:
        """Each finding with what was attempted in front of it; without findings, the message."""
        return [f"{self.attempt}: {finding}" for finding in self.findings] or [self.attempt]


class ShapeError(MpoError):
    """A tensor does not have the shape that a layer, neuron or graph needs."""


class RecipeError(MpoError):
    """A recipe or setting is unknown or out of range."""


class RunError(MpoError):
    """A run directory is missing, damaged, finished or not a run directory."""


class DataError(MpoError):
    """A data set is unknown, absent, empty or does not fit."""


class UnrollError(MpoError):
    """A network cannot be read as one timestep of plain torch.nn and MPO neurons."""


class GraphError(MpoError):
    """A NIR file or graph cannot be read, or does not make sense."""


class ExportError(MpoError):
    """A network has no exact form in the format that was asked for."""


class DeployError(MpoError):
    """A network has no form in the numbers of a chip, or does not fit on it."""


class ProfileError(MpoError):
    """An energy, reader or chip profile is unknown or malformed."""


class StudyError(MpoError):
    """A study is unknown, or its folder holds another one."""


class OutputError(MpoError):
    """A file could not be written; what was there before is untouched."""
