"""The report of one NIR file under the options of `mpo-evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mpo_snn.cli.command import together
from mpo_snn.cli.whole_number import check_whole, note_on_samples
from mpo_snn.profiles.energy import load_energy_profile

_MOST_SEEDS = 1000


@dataclass(frozen=True)
class Reported:
    """What was found out about one file.

    Attributes:
        report: the report.
        neurobench: the figures by NeuroBench's rules; None where nobody asked for them.
    """

    report: dict[str, Any]
    neurobench: dict[str, Any] | None


def report_of(args: Any, graph_file: str, command: str) -> Reported:
    """Run a data set through a file and put its report together.

    Args:
        args: the options, as `mpo-evaluate` parses them.
        graph_file: a NIR file.
        command: the command line that makes this report again.
    """
    from mpo_snn.data.for_graph import load_for_graph
    from mpo_snn.data.named_by_content import name_by_content
    from mpo_snn.evaluation.evaluate import evaluate_graph
    from mpo_snn.evaluation.neurobench import EnteringValues, neurobench_results
    from mpo_snn.evaluation.one_sample import check_sample, look_at_sample
    from mpo_snn.evaluation.report import build_report
    from mpo_snn.evaluation.setting import departures, resolve_setting
    from mpo_snn.export.for_reader import meaning_of
    from mpo_snn.graph.freed_memory import keep_freed_memory
    from mpo_snn.graph.metadata import known_timestep, known_timesteps, read_metadata
    from mpo_snn.graph.read import read_graph
    from mpo_snn.graph.shapes import input_shape
    from mpo_snn.training.rundir import data_beside

    keep_freed_memory()
    graph = read_graph(graph_file)
    metadata = read_metadata(graph)
    is_named = metadata is not None and bool(metadata.dataset)
    graph = meaning_of(graph)  # as the reader that it is written for runs it
    profile, setting, *_ = together(
        f"cannot evaluate '{graph_file}'",
        lambda: load_energy_profile(args.profile),
        lambda: resolve_setting(
            metadata,
            what=f"'{graph_file}'",
            dataset=args.data or (None if is_named else name_by_content(args.data_path)),
            timesteps=known_timesteps(graph) if args.timesteps is None else args.timesteps,
            dt=known_timestep(graph) if args.dt is None else args.dt,
            encoding=args.encoding,
            readout=args.readout,
            batch_size=args.batch_size,
            device=args.device,
            recompute_input=args.recompute_input,
            events=args.events,
        ),
        lambda: check_whole("samples", args.samples, 1),
        lambda: check_whole("sample", args.sample, 0),
        lambda: check_whole("seeds", args.seeds if args.robustness else None, 1, _MOST_SEEDS),
    )
    beside = data_beside(graph_file, setting.dataset)
    dataset = load_for_graph(
        setting,
        metadata,
        input_shape(graph),
        path=args.data_path or (beside.path if beside else None),
        cache=args.data_cache or (beside.cache if beside else None),
        samples=args.samples,
        normalize=args.data_normalize,
        scale=args.input_scale,
        validation=args.data_validation,
    )
    kinds = _faults(args, dataset)
    if len(dataset.test_x):
        check_sample(args.sample, dataset)
    entering = EnteringValues(graph) if args.format == "neurobench" else None
    with progress(len(dataset.test_x)) as advance:
        evaluation = evaluate_graph(graph, dataset, setting, progress=advance, watch=entering)
    robustness = None
    sample = look_at_sample(graph, dataset, setting, args.sample)
    if kinds:
        robustness = _robustness(
            kinds, range(args.seeds), graph, dataset, setting, evaluation.activity
        )
    report = build_report(
        evaluation,
        profile,
        metadata,
        graph_file=graph_file,
        command=command,
        warnings=(
            *departures(setting, dataset, metadata),
            *note_on_samples(args.samples, len(dataset.test_x)),
        ),
        robustness=robustness,
        sample=sample,
    )
    neurobench = None
    if entering is not None:
        neurobench = neurobench_results(graph, evaluation, entering)
    return Reported(report, neurobench)


def _faults(args: Any, dataset: Any) -> tuple[str, ...]:
    """What `--robustness` asks for, checked before anything is run."""
    from mpo_snn.evaluation.robustness import FAULTS, check_faults

    if args.robustness is None:
        return ()
    named = tuple(kind.strip() for kind in args.robustness.split(","))
    kinds = FAULTS if named == ("all",) else named
    check_faults(kinds, dataset)
    return kinds


def _robustness(
    kinds: tuple[str, ...], seeds: range, graph: Any, dataset: Any, setting: Any, activity: Any
) -> dict[str, Any]:
    from mpo_snn.evaluation.robustness import measure_robustness, report_robustness, runs_of

    with progress(len(dataset.test_x) * runs_of(kinds, seeds)) as advance:
        levels = measure_robustness(graph, dataset, setting, kinds, seeds, advance)
    return report_robustness(levels, activity.samples, activity.accuracy_percent, seeds)


@contextmanager
def progress(samples: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while samples run, gone afterwards; nothing where nobody watches."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=samples)
        yield lambda done: bar.advance(task, done)
