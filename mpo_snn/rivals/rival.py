"""The moments of a training run at which a method may act; the base class does nothing."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.unroll import Observer, Unrolled

TaskLoss = Callable[[Unrolled], Tensor]


class Rival:
    """A method beside MPO: `fixed` and `klif`, which do nothing here, and base of the others.

    Args:
        unrolled: the network as it trains.
        settings: constants of the methods.

    Attributes:
        observe: called with name, spikes and membrane of every layer, (time, batch, *features);
            None where nobody looks, so that no membrane is kept.
    """

    observe: Observer | None = None

    def __init__(self, unrolled: Unrolled, settings: RivalSettings) -> None:
        """Keep both."""
        self.unrolled, self.settings = unrolled, settings

    def before_epoch(self, task_loss: TaskLoss, seed: int) -> None:
        """Called before the first step of an epoch.

        Args:
            task_loss: the task loss of a network on the batch of that step.
            seed: decides whatever is drawn; another one in every epoch.
        """

    def loss(self) -> Tensor | None:
        """What the method adds to the loss of the forward before it, weighted; None is nothing."""
        return None

    def after_step(self) -> None:
        """Called after every step of the optimiser."""
