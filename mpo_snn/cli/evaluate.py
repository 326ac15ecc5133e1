"""`mpo-evaluate`: accuracy, spike density, operations and energy of any NIR file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpo_snn.cli.command import OK, CommandParser, UsageError, run_command
from mpo_snn.profiles.energy import DEFAULT_PROFILE, load_energy_profile, profile_names

_EXAMPLE = """\
mpo-evaluate runs/digits/model.nir --data digits
mpo-evaluate foreign.nir --data digits --timesteps 8 --dt 1e-4 --encoding direct --readout sum
mpo-evaluate foreign.nir ... --input-scale 16   # for a file that was made for values up to 16"""


def main(argv: list[str] | None = None) -> int:
    """Entry point of `mpo-evaluate`."""
    return run_command(lambda: _body(argv), "mpo-evaluate")


def _body(argv: list[str] | None) -> int:
    args = _parser().parse_args(argv)
    if args.list:
        from mpo_snn.data import dataset_names

        print("data sets: " + ", ".join(dataset_names()))
        print("profiles:")
        for name in profile_names():
            profile = load_energy_profile(name)
            print(f"  {name:20} {profile.kind:15}  {profile.title}")
        return OK
    if args.graph is None:
        raise UsageError(
            "evaluate what? mpo-evaluate model.nir --data NAME; --help has an example."
        )
    return _evaluate(args, shlex.join(["mpo-evaluate", *(sys.argv[1:] if argv is None else argv)]))


def _evaluate(args: Any, command: str) -> int:
    profile = load_energy_profile(args.profile)

    from rich.console import Console

    from mpo_snn.data import load_dataset
    from mpo_snn.data.fit import fit_dataset
    from mpo_snn.data.settings import settings_shown
    from mpo_snn.evaluation.console import console_view
    from mpo_snn.evaluation.evaluate import evaluate_graph
    from mpo_snn.evaluation.one_sample import check_sample, look_at_sample
    from mpo_snn.evaluation.report import build_report
    from mpo_snn.evaluation.setting import departures, resolve_setting
    from mpo_snn.evaluation.write import write_report
    from mpo_snn.export.for_reader import meaning_of
    from mpo_snn.graph.metadata import known_timestep, read_metadata
    from mpo_snn.graph.read import read_graph
    from mpo_snn.graph.shapes import input_shape
    from mpo_snn.training.rundir import data_path_beside

    graph = read_graph(args.graph)
    metadata = read_metadata(graph)
    graph = meaning_of(graph)  # as the reader that it is written for runs it
    setting = resolve_setting(
        metadata,
        dataset=args.data,
        timesteps=args.timesteps,
        dt=known_timestep(graph) if args.dt is None else args.dt,
        encoding=args.encoding,
        readout=args.readout,
        batch_size=args.batch_size,
        device=args.device,
        recompute_input=args.recompute_input,
    )
    path = args.data_path or data_path_beside(args.graph, setting.dataset)
    stated = (metadata.dataset, metadata.data) if metadata else (None, None)
    settings = settings_shown(setting.dataset, path, *stated)
    if args.data_validation is not None:
        settings = replace(settings, validation=args.data_validation)
    if args.samples is not None:
        if args.samples < 1:
            raise UsageError(f"--samples is {args.samples}, allowed is 1 or more.")
        settings = replace(
            settings, test_limit=min(args.samples, settings.test_limit or args.samples)
        )
    if args.data_normalize:
        settings = replace(settings, normalize=True)
    dataset = load_dataset(settings, setting.timesteps, train=False)
    dataset = fit_dataset(dataset, input_shape(graph), args.input_scale)
    kinds = _faults(args, dataset)
    if len(dataset.test_x):
        check_sample(args.sample, dataset)
    with _progress(len(dataset.test_x)) as advance:
        evaluation = evaluate_graph(graph, dataset, setting, progress=advance)
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
        graph_file=args.graph,
        command=command,
        warnings=departures(setting, dataset, metadata),
        robustness=robustness,
        sample=sample,
    )
    json_path, html_path = write_report(report, args.output or Path(args.graph).parent)
    Console(highlight=False, soft_wrap=True).print(console_view(report))
    print(f"\nwrote  {json_path}\n       {html_path}")
    print(f"next   open {html_path} in a browser")
    return OK


def _faults(args: Any, dataset: Any) -> tuple[str, ...]:
    """What `--robustness` asks for, checked before anything is run."""
    from mpo_snn.evaluation.robustness import FAULTS, check_faults

    if args.robustness is None:
        return ()
    if args.seeds < 1:
        raise UsageError(f"--seeds is {args.seeds}, allowed is 1 or more.")
    kinds = FAULTS if args.robustness == "all" else tuple(args.robustness.split(","))
    check_faults(kinds, dataset)
    return kinds


def _robustness(
    kinds: tuple[str, ...], seeds: range, graph: Any, dataset: Any, setting: Any, activity: Any
) -> dict[str, Any]:
    from mpo_snn.evaluation.robustness import measure_robustness, report_robustness, runs_of

    with _progress(len(dataset.test_x) * runs_of(kinds, seeds)) as advance:
        levels = measure_robustness(graph, dataset, setting, kinds, seeds, advance)
    return report_robustness(levels, activity.samples, activity.accuracy_percent, seeds)


@contextmanager
def _progress(samples: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while samples run, gone afterwards; nothing where nobody watches."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=samples)
        yield lambda done: bar.advance(task, done)


def _parser() -> CommandParser:
    parser = CommandParser(
        "mpo-evaluate",
        "GRAPH [--data NAME] [--data.path PATH] [--profile NAME] [--output DIR]",
        "Run a data set's test split through a NIR file: accuracy, spike density, exact synaptic\n"
        "operations, energy. Writes report.json and report.html. What the file does not say\n"
        "(files of this project say everything) is given by the options.",
        _EXAMPLE,
    )
    add = parser.add_argument
    add("graph", nargs="?", help="NIR file")
    add("--data", metavar="NAME", help="data set; default is the one that the file names")
    add(
        "--data_path",
        "--data.path",
        metavar="FILE_OR_FOLDER",
        help="where it is; default is where the run beside the graph found it",
    )
    add(
        "--data_validation",
        "--data.validation",
        type=float,
        metavar="AMOUNT",
        help="0: the test split, also where training was evaluated on a part held out",
    )
    add(
        "--data_normalize",
        "--data.normalize",
        action="store_true",
        help="take the mean from every channel and divide it by its standard deviation",
    )
    add(
        "--input-scale",
        "--input_scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="multiply the samples by this; 1, as they are, is the default",
    )
    add(
        "--samples",
        type=int,
        metavar="N",
        help="evaluate on this many of the samples, every class in its share; default all",
    )
    add("--timesteps", type=int, metavar="N", help="timesteps of one inference")
    add("--dt", type=float, metavar="SECONDS", help="length of a timestep in seconds")
    add(
        "--encoding",
        metavar="NAME",
        help="input over time: direct, rate, latency or frames",
    )
    add("--readout", metavar="NAME", help="mean, sum or last of the outputs, or spike_count")
    add(
        "--profile",
        default=DEFAULT_PROFILE,
        metavar="NAME",
        help="energy profile, or the path of a .toml file",
    )
    add("--output", metavar="DIR", help="where the report goes; default: beside the graph")
    add(
        "--recompute-input",
        "--recompute_input",
        action="store_true",
        help="count what is the same at every timestep at every timestep, not once",
    )
    add(
        "--robustness",
        nargs="?",
        const="all",
        metavar="KINDS",
        help="accuracy under noise and under faults of hardware: all, or a list such as"
        " weight_bits,dropped_spikes",
    )
    add(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="sample of the test split whose spikes and membranes the report shows; default 0",
    )
    add("--seeds", type=int, default=3, metavar="N", help="seeds of the faults; default 3")
    add("--batch-size", "--batch_size", type=int, default=256, metavar="N", help="samples at once")
    add("--device", default="cpu", metavar="NAME", help="cpu, cuda or cuda:N")
    add("--list", action="store_true", help="list the data sets and energy profiles")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
