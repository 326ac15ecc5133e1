"""The loss stops being a number: seen on the device, told a few steps later.

To ask after every step whether its loss is finite would wait for the device every time. So each
step leaves its loss, the parts of it and the membranes' means in a tensor that keeps those of the
first step that went wrong, and they are read once in `LOOK_EVERY` steps and at the end of an epoch,
before anything is measured or saved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.errors import MpoError

LOOK_EVERY = 25
"""Steps between two looks at the loss."""
_LOWER_LR = "A lower optimizer.lr, or optimizer.warmup_epochs, often helps."


class DivergedError(MpoError):
    """The loss became NaN or infinite; what was saved before is untouched."""


@dataclass
class LossWatch:
    """What the first step left whose loss was not finite; nothing here waits until `look`.

    Attributes:
        kept: values of that step, or of the last one while all is well.
        names: of the values.
    """

    kept: Tensor | None = None
    names: tuple[str, ...] = ()

    @torch.no_grad()
    def note(
        self,
        step: int,
        loss: Tensor,
        task: Tensor,
        added: Mapping[str, Tensor],
        x: Tensor,
        membranes: Mapping[str, Tensor],
    ) -> None:
        """Keep the values of a step, unless those of a broken one are there.

        Args:
            step: its number in the run, from 0.
            loss: that is trained on, 0-d, as are all others.
            task: the part of it that is the task's.
            added: what is added to it, by name, without its weight.
            x: samples of the step.
            membranes: a value of each layer, in the order in which they run, that is finite if and
                only if its membrane is.
        """
        values = {"loss": loss, "task": task, "input": x.mean(dtype=torch.float64)}
        values |= {f"+{name}": value for name, value in added.items()}
        values |= {f"@{name}": value for name, value in membranes.items()}
        now = torch.stack([value.detach().float() for value in values.values()]).double()
        now = torch.cat((now, now.new_full((1,), step)))
        if self.kept is None or self.kept.device != now.device:
            self.kept, self.names = now, tuple(values)
        else:
            self.kept = torch.where(torch.isfinite(self.kept[0]), now, self.kept)

    def look(self) -> Broken | None:
        """The first step that went wrong, if one did; this waits for the device."""
        if self.kept is None:
            return None
        *values, step = self.kept.tolist()
        if math.isfinite(values[0]):
            return None
        found = dict(zip(self.names, values, strict=True))
        return Broken(
            int(step),
            found["loss"],
            found["task"],
            not math.isfinite(found["input"]),
            {name[1:]: value for name, value in found.items() if name[0] == "+"},
            [name[1:] for name, v in found.items() if name[0] == "@" and not math.isfinite(v)],
        )


@dataclass(frozen=True)
class Broken:
    """A step whose loss is not finite.

    Attributes:
        step: its number in the run, from 0.
        loss: that was trained on.
        task: the part of it that is the task's.
        has_broken_input: whether a sample was not finite.
        added: what is added to it, by name, without its weight.
        layers: those with a membrane that is not finite, in the order in which they run.
    """

    step: int
    loss: float
    task: float
    has_broken_input: bool
    added: Mapping[str, float]
    layers: Sequence[str]

    @property
    def blame(self) -> str:
        """Where numbers first stop being finite, in words and with a way out."""
        if self.has_broken_input:
            return "the input has values that are not finite."
        if self.layers:
            return (
                "the first layer with a membrane that is not finite is"
                f" '{self.layers[0]}'. {_LOWER_LR}"
            )
        if not math.isfinite(self.task):
            return f"every membrane is finite, the read-out behind them is not. {_LOWER_LR}"
        parts = ", ".join(f"{name} {value:g}" for name, value in self.added.items())
        return (
            "every membrane is finite and so is the loss of the task; what is added to it is not:"
            f" {parts}, each times its weight. Smaller weights in mpo or rival, or a lower"
            " optimizer.lr, help."
        )
