"""`mpo-evaluate`: accuracy, spike density, operations and energy of any NIR file."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any

from mpo_snn.cli.command import OK, CommandParser, UsageError, run_command, together
from mpo_snn.cli.left_beside import prefix_of
from mpo_snn.cli.scaling_options import add_scaling_options
from mpo_snn.profiles.energy import DEFAULT_PROFILE, load_energy_profile, profile_names

_EXAMPLE = """\
mpo-evaluate runs/digits/model.nir --data digits
mpo-evaluate --compare runs/mpo/report.json runs/baseline/model.nir
mpo-evaluate foreign.nir --data digits --timesteps 8 --dt 1e-4 --encoding direct --readout sum
mpo-evaluate foreign.nir ... --input-scale 16   # for a file that was made for values up to 16"""


def main(argv: list[str] | None = None) -> int:
    """Entry point of `mpo-evaluate`."""
    return run_command(lambda: _body(argv), "mpo-evaluate")


def _body(argv: list[str] | None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list:
        from mpo_snn.data import dataset_names

        print("data sets: " + ", ".join(dataset_names()))
        print("profiles:")
        for name in profile_names():
            profile = load_energy_profile(name)
            print(f"  {name:20} {profile.kind:15}  {profile.title}")
        return OK
    if args.schema:
        from importlib.resources import files

        schema = files("mpo_snn.evaluation").joinpath("report.schema.json")
        print(schema.read_text(encoding="utf-8"), end="")
        return OK
    command = shlex.join(["mpo-evaluate", *(sys.argv[1:] if argv is None else argv)])
    if args.compare is not None:
        return _compare(args, command, parser)
    if args.robustness is None and "--seeds" in parser.given(args):
        raise UsageError("--seeds is of --robustness: give both, or leave it out.")
    if args.graph is None:
        raise UsageError(
            "evaluate what? mpo-evaluate model.nir --data NAME; --help has an example."
        )
    return _evaluate(args, command)


def _evaluate(args: Any, command: str) -> int:
    from rich.console import Console

    from mpo_snn.cli.graph_report import report_of
    from mpo_snn.evaluation.console import console_view
    from mpo_snn.evaluation.write import check_output, write_neurobench, write_report

    folder, prefix = _place(args)
    neurobench = f"{prefix}neurobench.json"
    extra = (neurobench,) if args.format == "neurobench" else ()
    check_output(folder, (f"{prefix}report.json", f"{prefix}report.html", *extra))
    found = report_of(args, args.graph, command)
    json_path, html_path = write_report(found.report, folder, prefix)
    written = [json_path, html_path]
    if found.neurobench is not None:
        written.append(folder / neurobench)
        write_neurobench(found.neurobench, written[-1])
    Console(highlight=False, soft_wrap=True).print(console_view(found.report))
    print("\nwrote  " + "\n       ".join(map(str, written)))
    print(f"next   open {html_path} in a browser")
    return OK


def _place(args: Any) -> tuple[Path, str]:
    """Folder and prefix of the report: beside the graph, after its name; or the folder asked for.

    Raises:
        UsageError: if it would replace the report of a deployment.
    """
    from mpo_snn.deploy.directory import MANIFEST

    beside = args.output is None
    folder = Path(args.graph).parent if beside else Path(args.output)
    prefix = prefix_of(args.graph) if beside else ""
    if not prefix and (folder / MANIFEST).is_file():
        raise UsageError(
            f"cannot write the report into '{folder}', which holds a deployment with a report of"
            " its own: name another folder with --output."
        )
    return folder, prefix


def _compare(args: Any, command: str, parser: CommandParser) -> int:
    if len(args.compare) < 2 or args.graph is not None:
        raise UsageError("compare what? --compare A B [...]: each a report.json or a NIR file.")
    if args.format != "report":
        raise UsageError(f"--format {args.format} is of one graph; leave out --compare.")
    for option in ("--robustness", "--seeds", "--sample"):
        if option in parser.given(args):
            raise UsageError(f"{option} is of one graph and not compared; leave it out.")
    given = parser.given(args, but=("compare", "output"))
    if given and all(map(_is_report, args.compare)):
        raise UsageError(
            f"reports are compared as they are: leave out {', '.join(given)}, or give NIR files."
        )

    from rich.console import Console

    from mpo_snn.cli.graph_report import report_of
    from mpo_snn.evaluation.comparison import compare
    from mpo_snn.evaluation.comparison_console import comparison_view
    from mpo_snn.evaluation.write import check_output, write_comparison

    if args.output is not None:
        check_output(args.output, ("comparison.json", "comparison.html"))
    read = _read_all(args.compare)
    reports = [
        read[path] if path in read else report_of(args, path, command).report
        for path in args.compare
    ]
    comparison = compare(reports, _short_names(args.compare))
    Console(highlight=False, soft_wrap=True).print(comparison_view(comparison))
    if args.output is not None:
        json_path, html_path = write_comparison(comparison, args.output)
        print(f"\nwrote  {json_path}\n       {html_path}")
        print(f"next   open {html_path} in a browser")
    return OK


def _is_report(path: str) -> bool:
    """Whether a file is a report by its name, and not a graph."""
    return Path(path).suffix.lower() == ".json"


def _read_all(paths: list[str]) -> dict[str, dict[str, Any]]:
    """The reports by their paths; graphs are looked at too, before any of them is run.

    Raises:
        MpoError: if one cannot be read, with the findings of all.
    """
    from mpo_snn.evaluation.comparison_input import read_report
    from mpo_snn.graph.read import read_graph

    different = [*dict.fromkeys(paths)]
    reads = [partial(read_report if _is_report(path) else read_graph, path) for path in different]
    found = zip(different, together("cannot compare these files", *reads), strict=True)
    return {path: one for path, one in found if _is_report(path)}


def _short_names(paths: list[str]) -> list[str]:
    """The paths without what all have in front and behind."""
    parts = [Path(path).parts for path in paths]
    while all(len(one) > 1 for one in parts) and len({one[0] for one in parts}) == 1:
        parts = [one[1:] for one in parts]
    while all(len(one) > 1 for one in parts) and len({one[-1] for one in parts}) == 1:
        parts = [one[:-1] for one in parts]
    return [str(Path(*one)) for one in parts]


def _parser() -> CommandParser:
    parser = CommandParser(
        "mpo-evaluate",
        "GRAPH [--data NAME] [--data.path PATH] [--profile NAME] [--output DIR]",
        "Run a data set's test split through a NIR file: accuracy, spike density, exact synaptic\n"
        "operations, energy. Writes report.json and report.html; beside own.nir, own.report.json\n"
        "and own.report.html. What the file does not say (files of this project say everything)\n"
        "is given by the options.",
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
        "--data_cache",
        "--data.cache",
        metavar="FOLDER",
        help="where shards of an address are kept; default is what the run beside the graph says",
    )
    add(
        "--data_validation",
        "--data.validation",
        type=float,
        metavar="AMOUNT",
        help="0: the test split, also where training was evaluated on a part held out",
    )
    add_scaling_options(add)
    add(
        "--samples",
        type=int,
        metavar="N",
        help="evaluate on this many of the samples, every class in its share; default all",
    )
    add(
        "--compare",
        nargs="+",
        metavar="FILE",
        help="put reports (report.json) or NIR files side by side; ratios are to the first",
    )
    add("--timesteps", type=int, metavar="N", help="timesteps of one inference")
    add("--dt", type=float, metavar="SECONDS", help="length of a timestep in seconds")
    add(
        "--encoding",
        metavar="NAME",
        help="input over time: direct, rate, latency, frames, counts, rows",
    )
    add("--readout", metavar="NAME", help="mean, sum or last of the outputs, or spike_count")
    add(
        "--profile",
        default=DEFAULT_PROFILE,
        metavar="NAME",
        help="energy profile, or the path of a .toml file",
    )
    add(
        "--format",
        choices=("report", "neurobench"),
        default="report",
        help="neurobench: beside the report, neurobench.json, counted by NeuroBench's rules",
    )
    add(
        "--output",
        metavar="DIR",
        help="where the report goes, default: beside the graph; of --compare, a page and its JSON",
    )
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
    add(
        "--batch-size",
        "--batch_size",
        type=int,
        default=256,
        metavar="N",
        help="most samples at once",
    )
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda or cuda:N; default auto: a GPU if there is one",
    )
    add(
        "--events",
        choices=("auto", "never"),
        default="auto",
        help="auto (default): on a CPU with numba, convolutions visit only what is not zero while"
        " their input is sparse, to the same bits; never",
    )
    add("--schema", action="store_true", help="print the JSON schema of report.json")
    add("--list", action="store_true", help="list the data sets and energy profiles")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
