"""Lightning's `fit`, whose interruptions and errors are those of any other Python code."""

from __future__ import annotations

import signal
from typing import Any

import torch

from mpo_snn.errors import DataError, MpoError
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.processes import processes

declare_torchvision_operators()

from lightning.pytorch import Trainer  # noqa: E402


class LostProcessError(MpoError):
    """Another process of the training has ended; what was saved before is untouched."""


def fit_or_be_interrupted(trainer: Trainer, *arguments: Any, **options: Any) -> None:
    """`trainer.fit`, but an interruption is a KeyboardInterrupt.

    Lightning turns Ctrl-C into `sys.exit(1)` and leaves the signal ignored; a SIGTERM becomes a
    SystemExit too.

    Raises:
        KeyboardInterrupt: if the user or a SIGTERM stops it.
        DataError: if a sample cannot be read; that of a worker process arrives with its traceback
            around it, which is taken off.
        LostProcessError: if a process that trains with this one does not answer any more.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(*arguments, **options)
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    except DataError as error:
        raise DataError(str(error).strip().splitlines()[-1].rpartition("DataError: ")[2]) from error
    except RuntimeError as error:
        if processes() > 1 and _is_of_network(error):
            raise LostProcessError(
                "training stopped: a process that takes part in it has ended or cannot be reached."
                " Go on from the last finished epoch with --resume."
            ) from error
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)


def _is_of_network(error: RuntimeError) -> bool:
    """Whether gloo or NCCL lost another process; gloo's errors have no type of their own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
