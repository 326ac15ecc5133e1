"""`mpo-train --processes N`: the same command in N processes of this machine, by torchrun."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable

from mpo_snn.cli.command import INTERRUPTED, OK, TERMINATED, WRONG_INPUT, UsageError, tell_error
from mpo_snn.errors import MpoError
from mpo_snn.training.ranks import has_met, is_told, leave, rank
from mpo_snn.with_parent import end_with

MOST_PROCESSES = 1000


def check_processes(wanted: int | None, tune: bool) -> None:
    """Refuse a number of processes that cannot be.

    Args:
        wanted: what the user asks for; None for nothing.
        tune: whether a slope is to be chosen first.

    Raises:
        UsageError: if it is out of range, if torchrun has started another number already, or if
            there are several where a slope is to be chosen.
    """
    if tune and max(wanted or 1, rank().count) > 1:
        raise UsageError(
            "--tune is for one process: choose the slope without --processes, then train with"
            " --neuron.slope and that slope."
        )
    if wanted is None:
        return
    if not 1 <= wanted <= MOST_PROCESSES:
        raise UsageError(f"--processes is {wanted}, allowed is 1 to {MOST_PROCESSES}.")
    if rank().count not in (1, wanted):
        raise UsageError(
            f"--processes is {wanted}, but torchrun has started {rank().count}: leave it out."
        )


def in_rank(body: Callable[[], int]) -> int:
    """Run a command that may be one of several processes.

    What all of them refuse, one tells: the first of all once they have met, before that the first
    of every machine. What one refuses alone, it tells. They end with whoever started them.
    """
    if rank().count > 1:
        end_with(os.getppid())
    try:
        code = body()
    except MpoError as error:
        others_tell = is_told(error) or (rank().local and not has_met())
        leave()  # threads of a group that is not ended may abort the process when it exits
        if others_tell:
            return WRONG_INPUT
        raise
    leave()
    return code


def launch(name: str, module: str, argv: list[str], processes: int) -> int:
    """Run the command in processes of this machine; those that are left end with the first to fail.

    They share the machine's cores, unless OMP_NUM_THREADS or the recipe's `threads` says otherwise.

    Args:
        name: of the command, for errors.
        module: what `python -m` runs.
        argv: its arguments.
        processes: how many.

    Returns:
        the exit code: that of the process that failed first, if one did.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    logging.disable()  # what went wrong, the processes say themselves
    options = ["--standalone", f"--nproc-per-node={processes}", "-m", module, *argv]
    try:
        run(parse_args(options))  # type: ignore[no-untyped-call]
    except SignalException as stop:  # torch's handlers have taken the place of ours
        return TERMINATED if stop.sigval == signal.SIGTERM else INTERRUPTED
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        if failure.exitcode < 0:
            what = signal.Signals(-failure.exitcode).name
            tell_error(
                name,
                f"process {number} of {processes} was ended by {what}. Go on from the last finished"
                " epoch with --resume.",
            )
            return WRONG_INPUT
        return int(failure.exitcode)
    finally:
        logging.disable(logging.NOTSET)
    return OK


def resume_options() -> str:
    """What else stands behind `--resume RUN` to go on as this process and its companions did."""
    me = rank()
    return f" --processes {me.count}" if me.count > 1 and me.machines == 1 else ""
