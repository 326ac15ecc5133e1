"""A node with state: what it remembers, and how it goes through several steps at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .counts import Counts
from .layout import empty_steps, features_in_memory, moved


@dataclass
class State:
    """What a layer remembers.

    Attributes:
        tensors: [B, *features] each, or with more axes in front; 0 before the first step.
        step: the number of its next step.
        is_at_rest: whether all are 0 still.
    """

    tensors: list[Tensor]
    step: int = 0
    is_at_rest: bool = True

    def lie_as(self, order: tuple[int, ...]) -> None:
        """Have the features of [B, *features] in this order in memory (`layout`)."""
        for place, tensor in enumerate(self.tensors):
            if tensor.ndim == len(order) + 1:
                self.tensors[place] = moved(tensor, order, leading=1, is_zero=self.is_at_rest)
        self.is_at_rest = False


class Layer(ABC):
    """A node with state, for inputs of one shape."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        """Take the shape of one sample, without batch and time."""
        self.shape = shape
        self.dtype = dtype
        self.device = device

    @abstractmethod
    def start(self, batch: int) -> State:
        """Return the state before the first step."""

    def drive(self, x: Tensor) -> Tensor:
        """Do the part of the update that needs no state, for any number of steps at once."""
        return x

    @abstractmethod
    def advance(self, drive: Tensor, state: State, out: Tensor, v_out: Tensor | None) -> None:
        """Do one step: update `state`, write the output and the membrane before reset.

        Args:
            drive: `drive(x)` of this step, shape [B, *features]; is only read.
            state: changed in place.
            out: takes the output, shape [B, *features].
            v_out: takes the membrane before reset, if it is wanted.
        """

    def scan(
        self,
        x: Tensor,
        state: State,
        timesteps: int,
        *,
        keep_v: bool = False,
        counts: Counts | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Do several steps: [T, B, *features] in, output and membrane before reset out.

        Args:
            x: its time axis may have length 1 for an input that is the same in all steps.
            state: changed in place.
            timesteps: T.
            keep_v: whether the membrane is wanted.
            counts: takes the spikes.
        """
        drive = self.drive(x)
        out = empty_steps(drive, timesteps, self.dtype)
        state.lie_as(features_in_memory(out))
        v_out = torch.empty_like(out) if keep_v else None
        self.advance_all(drive, state, out, v_out, counts)
        return out, v_out

    def advance_all(
        self, drive: Tensor, state: State, out: Tensor, v_out: Tensor | None, counts: Counts | None
    ) -> None:
        """Do the steps of `scan`; arguments as those of `advance`, with a time axis in front."""
        drive = drive.expand(out.shape)
        for t in range(len(out)):
            self.advance(drive[t], state, out[t], None if v_out is None else v_out[t])
        if counts is not None:
            counts.add(out)

    def zeros(self, *leading: int) -> Tensor:
        """Return zeros of shape [*leading, *features]."""
        return torch.zeros(*leading, *self.shape, dtype=self.dtype, device=self.device)
