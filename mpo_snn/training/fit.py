"""Trains a recipe into a run directory, or goes on with one that was interrupted.

On a CPU a resumed run ends with the bytes that an uninterrupted one would have written: the order
of samples is a function of (seed, epoch), every random draw one of (seed, step), and whatever
else has a memory (optimiser, schedule, MPO, the rows of the tables) is in the checkpoint that every
epoch ends with.

Several processes, as torchrun starts them, train one network: the recipe's batch is cut among them,
and statistics, losses and accuracies are those of the whole batch (`mpo_snn.processes`). The first
process alone writes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import Dataset, scaling_of
from mpo_snn.encoding import largest_input, shape_of_step
from mpo_snn.errors import RunError
from mpo_snn.networks import build_network
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.training.batches import Share
from mpo_snn.training.callbacks import MembraneTable, MetricsTable
from mpo_snn.training.checkpoint import CheckpointEveryEpoch, read_checkpoint
from mpo_snn.training.device import Device, meet
from mpo_snn.training.divergence import DivergedError
from mpo_snn.training.environment import command_line, describe_environment, launches_as_one
from mpo_snn.training.interruption import LostProcessError, fit_or_be_interrupted
from mpo_snn.training.layout import channels_last
from mpo_snn.training.loaders import loaders_of
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.precision import check_precision, of_trainer
from mpo_snn.training.progress import ReportProgress
from mpo_snn.training.quiet import quiet_lightning
from mpo_snn.training.randomness import derived_seed
from mpo_snn.training.ranks import on_first, rank, together
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.run_lock import BusyRunError, training_alone
from mpo_snn.training.rundir import (
    CHECKPOINT,
    MADE_FOR,
    MEMBRANE,
    METRICS,
    START,
    WEIGHTS,
    Run,
    create_run,
    discard_run,
    read_environment,
    write_environment,
)
from mpo_snn.training.same_data import describe_data, refuse_other_data
from mpo_snn.training.smallest_batch import refuse_lonely_samples
from mpo_snn.training.step_graph import on_own_stream
from mpo_snn.training.strategy import processes_of_trainer, with_shared_batchnorm
from mpo_snn.training.weights import InputDescription, read_weights, write_weights

declare_torchvision_operators()

from lightning.pytorch import Callback, Trainer  # noqa: E402


def fit(
    recipe: Recipe,
    output: Path | None = None,
    *,
    device: Device = "auto",
    console: Console | None = None,
) -> Run:
    """Train a recipe into a new run directory.

    Args:
        recipe: what to compute.
        output: the run directory, absent or empty; None takes the next free name below `runs`.
        device: where; `auto` takes a GPU if there is one.
        console: where progress is shown; None shows nothing.

    Returns:
        the finished run.

    Raises:
        RunError, OutputError: if the output is taken or cannot be written.
        RecipeError, DataError: if the recipe does not suit the data or the machine. Whatever
            fails before the end of the first epoch, but a loss that is no number, leaves no run
            directory.
        DivergedError: if the loss stops being a number.
        KeyboardInterrupt: if the user stops it; `resume` goes on.
    """
    meet(device)
    run = on_first(lambda: create_run(recipe, output))
    return start(run, device=device, console=console)


def start(
    run: Run,
    *,
    device: Device = "auto",
    console: Console | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Train in a run directory that was just created; arguments and errors as in `fit`.

    `callbacks` watch the training beside those that write the tables; whoever resumes the run
    gives the same ones.
    """
    try:
        device = meet(device)
        with training_alone(run):
            dataset, module = together(lambda: _prepared(run, device))
            with _threads(run.recipe.threads):
                return _train(run, module, dataset, device, [*_progress(console), *callbacks])
    except (DivergedError, LostProcessError, BusyRunError):
        raise
    except Exception:
        if rank().is_first and not (run.path / CHECKPOINT).is_file():
            discard_run(run)
        raise


def resume(
    run: Run,
    *,
    device: Device = "auto",
    console: Console | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Go on with a run from its last finished epoch; a finished run is left as it is.

    Raises:
        RunError: if its checkpoint is damaged or belongs to another recipe, its data to another
            run, or another process trains it now.
        DivergedError, KeyboardInterrupt, OutputError: as in `fit`.
    """
    if run.finished:
        return run
    device = meet(device)
    with training_alone(run), _threads(run.recipe.threads):
        if run.finished:  # by the process that this one has waited for
            return run
        on_first(lambda: _clean(run))
        dataset, module = together(lambda: _prepared(run, device))
        return _train(run, module, dataset, device, [*_progress(console), *callbacks])


def _clean(run: Run) -> None:
    for left_by_a_kill in run.path.rglob(".*.part"):
        left_by_a_kill.unlink(missing_ok=True)


def _prepared(run: Run, device: str) -> tuple[Dataset, TrainingModule]:
    if not run.path.is_dir():
        raise RunError(
            f"cannot train into '{run.path}': process {rank().number} of {rank().count} does not"
            " see it. The machines of a training need one file system; give --output a path on it."
        )
    check_precision(run.recipe.precision, device)
    dataset = load_dataset(run.recipe.data, run.recipe.timesteps)
    if (run.path / CHECKPOINT).is_file():
        refuse_other_data(run, dataset)
    return dataset, _module(run, dataset, device)


def _module(run: Run, dataset: Dataset, device: str) -> TrainingModule:
    recipe = run.recipe
    torch.manual_seed(derived_seed(recipe.seed, "weights"))
    classes = len(dataset.class_names)
    shape = shape_of_step(dataset.input_shape, recipe.encoding, recipe.timesteps)
    network = build_network(
        recipe.network,
        recipe.trained_neuron,
        shape,
        classes,
        recipe.output_neuron,
        largest_input(recipe.encoding),
    )
    if (run.path / START).is_file():
        network.load_state_dict(read_weights(run.path / START)[0])
    parts = rank().count if device == "cpu" else 1
    refuse_lonely_samples(recipe, network, shape, len(dataset.train_y), parts)
    network = channels_last(with_shared_batchnorm(network, device))
    steps = -(-len(dataset.train_y) // recipe.optimizer.batch_size)
    return TrainingModule(recipe, network, classes, steps, scaling_of(dataset.train_x))


def _train(
    run: Run,
    module: TrainingModule,
    dataset: Dataset,
    device: Device,
    watching: Sequence[Callback],
) -> Run:
    recipe, checkpoint, me = run.recipe, run.path / CHECKPOINT, rank()
    from_epoch = together(lambda: _epochs_done(checkpoint))
    loaders = together(
        lambda: loaders_of(recipe, dataset, Share(me.number, me.count), device, from_epoch)
    )
    environment = _note_start(run, device, from_epoch, dataset)
    is_recorded = launches_as_one(recipe, device == "cuda", me.count)
    if is_recorded:
        module.record_steps()
    begin = time.monotonic()
    with quiet_lightning(speaks=me.is_first):
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            **processes_of_trainer(),
            precision=of_trainer(recipe.precision),
            max_epochs=recipe.epochs,
            callbacks=[
                MetricsTable(run.path / METRICS),
                MembraneTable(run.path / MEMBRANE),
                *watching,
                CheckpointEveryEpoch(run.path / CHECKPOINT),
            ],
            default_root_dir=run.path,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        with on_own_stream() if is_recorded else nullcontext():
            fit_or_be_interrupted(
                trainer,
                module,
                *loaders,
                ckpt_path=checkpoint if from_epoch else None,
                weights_only=True,
            )
    environment["seconds"] += round(time.monotonic() - begin, 1)
    on_first(lambda: _finish(run, module, dataset, environment))
    return run


def _epochs_done(checkpoint: Path) -> int:
    return int(read_checkpoint(checkpoint)["epoch"]) + 1 if checkpoint.is_file() else 0


def _finish(
    run: Run, module: TrainingModule, dataset: Dataset, environment: dict[str, Any]
) -> None:
    """Write what makes the run a finished one."""
    write_environment(run.path, environment)
    about = InputDescription(dataset.input_shape, dataset.class_names, dataset.input_scaling)
    write_weights(run.path / WEIGHTS, module.unrolled.network.state_dict(), about)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Set the CPU threads of torch while a run trains; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _note_start(run: Run, device: str, from_epoch: int, dataset: Dataset) -> dict[str, Any]:
    """environment.json with this start noted: `seconds` are those that ended in the weights."""
    environment = describe_environment(run.recipe, device)
    before = read_environment(run.path)
    starts = before.get("starts", [])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    starts.append({"time": now, "command": command_line(), "epochs_done": from_epoch})
    data = on_first(lambda: describe_data(dataset))
    environment |= {"data": data, "starts": starts, "seconds": 0.0}
    environment |= {key: before[key] for key in MADE_FOR if key in before}
    if rank().is_first:
        write_environment(run.path, environment)
    return environment


def _progress(console: Console | None) -> list[Callback]:
    return [ReportProgress(console)] if console is not None and rank().is_first else []
