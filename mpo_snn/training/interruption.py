"""Lightning's `fit`, whose interruptions and errors are those of any other Python code."""

from __future__ import annotations

import signal
from typing import Any

from mpo_snn.errors import DataError
from mpo_snn.operators import declare_torchvision_operators

declare_torchvision_operators()

from lightning.pytorch import Trainer  # noqa: E402


def fit_or_be_interrupted(trainer: Trainer, *arguments: Any, **options: Any) -> None:
    """`trainer.fit`, but an interruption is a KeyboardInterrupt.

    Lightning turns Ctrl-C into `sys.exit(1)` and leaves the signal ignored; a SIGTERM becomes a
    SystemExit too.

    Raises:
        KeyboardInterrupt: if the user or a SIGTERM stops it.
        DataError: if a sample cannot be read; that of a worker process arrives with its traceback
            around it, which is taken off.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(*arguments, **options)
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    except DataError as error:
        raise DataError(str(error).strip().splitlines()[-1].rpartition("DataError: ")[2]) from error
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)
