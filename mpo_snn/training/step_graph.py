"""The forward and backward pass of a step as a CUDA graph: recorded once, then launched as one.

A step of a spiking network is some thousand small kernels, and a GPU waits for their launches. What
is recorded reads and writes the tensors of the recording for ever: a batch is copied into the first
ones, gradients and losses are found in the last. Numbers that Python gave stay what they were, so
whatever moves during an epoch has to be a tensor (`mpo_snn.width_scale`, `MPONeuron.put`), and a
recording lasts an epoch. The optimiser's step and MPO's are not recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from mpo_snn.errors import RunError
from mpo_snn.neurons import neurons_of

Answer = TypeVar("Answer")
Learn = Callable[[Tensor, Tensor], tuple[Tensor, Answer]]
"""Loss of a batch, with its graph, and what else is to be known of it, without one."""

WARM_UP = 4
"""Steps with batches of a shape that run as usual first: libraries choose their kernels in them."""
IN_A_ROW = 2
"""Steps with batches of one shape, in an epoch, before one is recorded: shapes that come seldom, or
by turns, are not worth it."""


Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Records what a function does, without keeping what it computes; gives what does it again."""


def record_on_gpu(run: Callable[[], None]) -> Callable[[], None]:
    """Record kernels on the current stream, which must not be the default one.

    Raises:
        RuntimeError: if something waits for the device, or comes from the host.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    # Other threads may pin memory for the next batches meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        run()
    return graph.replay


@contextmanager
def on_own_stream() -> Iterator[None]:
    """Another stream than the default one, as `record_on_gpu` needs it; on Lightning's device."""
    outer, own = torch.cuda.current_stream(0), _stream()
    own.wait_stream(outer)
    try:
        with torch.cuda.stream(own):
            yield
    finally:
        outer.wait_stream(own)


@cache
def _stream() -> torch.cuda.Stream:
    """One for all runs, for memory is kept for every stream by itself."""
    return torch.cuda.Stream(0)  # type: ignore[no-untyped-call]


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
            self._replay = recorder(run)
        except RuntimeError as error:
            raise refusal(error) from error
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
    """The recording of the batches of now; it lasts while they keep their shape, an epoch at most.

    Args:
        learn: as for `StepGraph`.
        network: likewise.
        recorder: likewise.
    """

    def __init__(
        self, learn: Learn[Answer], network: nn.Module, recorder: Recorder = record_on_gpu
    ) -> None:
        """Nothing is recorded yet."""
        self._learn, self._network, self._recorder = learn, network, recorder
        self._steps: Counter[tuple[object, ...]] = Counter()
        self.forget()

    def forget(self) -> None:
        """Free the recording: the epoch is over, or memory is wanted for another."""
        self._graph: StepGraph[Answer] | None = None
        self._case: tuple[object, ...] = ()
        self._in_a_row = 0

    def __call__(self, x: Tensor, y: Tensor, is_steady: bool = True) -> Answer | None:
        """The answer to a batch, as of `StepGraph`; None where it is to be learnt as usual.

        Args:
            x: inputs.
            y: labels.
            is_steady: whether all numbers that Python gives stay what they are in this epoch.
        """
        case = (x.shape, x.stride(), x.dtype, y.shape)
        if case != self._case:
            self.forget()
            self._case = case
        if self._graph is None:
            self._steps[case] += 1
            self._in_a_row += 1
            is_warm = self._steps[case] > WARM_UP and self._in_a_row > IN_A_ROW
            if not (is_warm and is_steady):
                return None
            self._graph = StepGraph(self._learn, x, y, self._network, self._recorder)
        return self._graph(x, y)


def refusal(error: RuntimeError) -> RunError:
    """What is told of a recording that failed: its cause, which torch's own error may hide."""
    first: BaseException = error
    while first.__context__ is not None:
        first = first.__context__
    if isinstance(first, KeyboardInterrupt):
        raise first
    reason = next(iter(str(first).strip().splitlines()), type(first).__name__).rstrip(".")
    return RunError(
        f"cannot record the step as a CUDA graph: {reason}. Train with --cuda_graphs never."
    )


def _written(x: Tensor) -> Tensor:
    """The part of (time, batch, *features) that has memory of its own."""
    return x[:1] if x.stride(0) == 0 else x


def _memory_of(x: Tensor) -> Tensor:
    """A tensor like it, that is nobody else's."""
    return _written(x).clone().expand(x.shape)
