"""The forward and backward pass of a step as a CUDA graph: recorded once, then launched as one.

A step of a spiking network is some thousand small kernels, and a GPU waits for their launches. What
is recorded reads and writes the tensors of the recording for ever: a batch is copied into the first
ones, gradients and losses are found in the last. Numbers that Python gave stay what they were, so
whatever moves during an epoch has to be a tensor (`mpo_snn.width_scale`, `MPONeuron.put`), and a
recording lasts an epoch. The optimiser's step and MPO's are not recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from mpo_snn.errors import RunError
from mpo_snn.neurons import neurons_of

Answer = TypeVar("Answer")
Learn = Callable[[Tensor, Tensor], tuple[Tensor, Answer]]
"""Loss of a batch, with its graph, and what else is to be known of it, without one."""

WARM_UP = 4
"""Steps with batches of a shape that run as usual first: libraries choose their kernels in them."""


class Recorder(Protocol):
    """Records what is done on a device, and does it again."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """Record a function without keeping what it computes; gives what does it again."""


class GPURecorder:
    """Records on the current stream, which must not be the default one.

    Recordings share their memory: what one of them leaves is lost when another is replayed.
    """

    def __init__(self) -> None:
        """Nothing is recorded yet."""
        self._first: torch.cuda.CUDAGraph | None = None

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """Record kernels; whatever waits for the device is an error."""
        graph = torch.cuda.CUDAGraph()
        pool = None if self._first is None else self._first.pool()
        # Other threads may pin memory for the next batches meanwhile.
        with torch.cuda.graph(
            graph,
            pool=pool,
            stream=torch.cuda.current_stream(),
            capture_error_mode="thread_local",
        ):
            run()
        self._first = self._first or graph
        return graph.replay


class StepGraph(Generic[Answer]):
    """Loss and gradients of batches of one shape.

    Args:
        learn: gives the loss of inputs and labels; called once.
        x: inputs of the batches, for their shape and layout; a time stride of 0 stays one.
        y: labels, likewise.
        network: whose parameters learn.
        recorder: of the device.

    Raises:
        RunError: if the device cannot record what `learn` does, or has not the memory.
    """

    def __init__(
        self,
        learn: Learn[Answer],
        x: Tensor,
        y: Tensor,
        network: nn.Module,
        recorder: Recorder,
    ) -> None:
        """Record, without a step being made."""
        self._x, self._y = _memory_of(x), y.clone()
        self._parameters = list(network.parameters())
        for parameter in self._parameters:
            parameter.grad = None  # the recording is to write gradients, not to add to them
        found: list[Answer] = []

        def run() -> None:
            loss, answer = learn(self._x, self._y)
            with torch.autocast(loss.device.type, enabled=False):
                loss.backward()  # type: ignore[no-untyped-call]
            found.append(answer)

        try:
            self._replay = recorder.record(run)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise RunError(
                f"cannot record the step as a CUDA graph: {reason}. Train with --cuda_graphs never."
            ) from error
        self._answer = found[0]
        self._gradients = [parameter.grad for parameter in self._parameters]
        records = [n.record for n in neurons_of(network).values() if n.record is not None]
        self._samples = [(record, record.read) for record in records]

    def __call__(self, x: Tensor, y: Tensor) -> Answer:
        """The answer to a batch; gradients are in the parameters, samples in MPO's records.

        All of it lies in the memory of the recording, until the next batch.
        """
        _written(self._x).copy_(_written(x))
        self._y.copy_(y)
        self._replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        for record, sample in self._samples:
            record.read = sample
        return self._answer


class StepGraphs(Generic[Answer]):
    """The recordings of an epoch, one for each shape that its batches have.

    Args:
        learn: as for `StepGraph`.
        network: likewise.
        recorder: makes the recorder of an epoch.
    """

    def __init__(
        self,
        learn: Learn[Answer],
        network: nn.Module,
        recorder: Callable[[], Recorder] = GPURecorder,
    ) -> None:
        """Nothing is recorded yet."""
        self._learn, self._network, self._new_recorder = learn, network, recorder
        self._steps: dict[tuple[object, ...], int] = {}
        self.forget()

    def forget(self) -> None:
        """Free all recordings: the epoch is over."""
        self._graphs: dict[tuple[object, ...], StepGraph[Answer]] = {}
        self._recorder = self._new_recorder()

    def __call__(self, x: Tensor, y: Tensor, is_steady: bool = True) -> Answer | None:
        """The answer to a batch, as of `StepGraph`; None where it is to be learnt as usual.

        Args:
            x: inputs.
            y: labels.
            is_steady: whether all numbers that Python gives stay what they are in this epoch.
        """
        case = (x.shape, x.stride(), x.dtype, y.shape)
        if case not in self._graphs:
            steps = self._steps[case] = self._steps.get(case, 0) + 1
            if steps <= WARM_UP or not is_steady:
                return None
            self._graphs[case] = StepGraph(self._learn, x, y, self._network, self._recorder)
        return self._graphs[case](x, y)


def _written(x: Tensor) -> Tensor:
    """The part of (time, batch, *features) that has memory of its own."""
    return x[:1] if x.stride(0) == 0 else x


def _memory_of(x: Tensor) -> Tensor:
    """A tensor like it, that is nobody else's."""
    return _written(x).clone().expand(x.shape)
