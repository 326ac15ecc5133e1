"""`mpo-export`: a run as a NIR or ONNX file, with the proof that it fires the same spikes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.cli.command import ANSWER_IS_NO, OK, CommandParser, UsageError, run_command
from mpo_snn.cli.input_options import INPUT, add_data_options, add_input_options
from mpo_snn.cli.whole_number import check_whole
from mpo_snn.files import NIR_SUFFIXES

if TYPE_CHECKING:
    from mpo_snn.export.for_reader import ReaderExport
    from mpo_snn.training.rundir import Run

FORMATS = ("nir", "onnx")
MOST_UNROLLED = 1000
"""Timesteps of an unrolled model; its nodes are there once for each."""
_IN_FRONT = "-"
"""What --explain is where the file stands in front of it."""
_ONNX_ONLY = {"unrolled": None, "precision": "float32"}
_NIR_ONLY = {"nir_version": None, "plain_reset": False, "reader": None}
"""Options of one format alone, with their defaults."""
_EXAMPLE = """\
mpo-export runs/digits --format nir
mpo-export runs/digits --reader norse
mpo-export runs/digits --reader all
mpo-export --explain foreign.nir --dt 1e-4
mpo-export own.nir --reader norse --data digits --timesteps 8 --dt 1e-4 --encoding direct
mpo-export runs/cifar10 --samples 200
mpo-export runs/digits --format onnx
mpo-export runs/digits --format onnx --unrolled 4"""


def main(argv: list[str] | None = None) -> int:
    """Entry point of `mpo-export`."""
    return run_command(lambda: _body(argv), "mpo-export")


def _body(argv: list[str] | None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list:
        from mpo_snn.cli.export_readers import print_readers

        print("formats: " + ", ".join(FORMATS))
        print_readers()
        return OK
    if args.explain is not None:
        others = parser.given(args, but=("run", "explain", "dt"))
        if others:
            raise UsageError(
                "--explain tells of every reader and writes nothing: leave out"
                f" {', '.join(others)}."
            )
        return _explain(args)
    if args.run is None:
        raise UsageError("which run? mpo-export RUN --format nir; --help has an example.")
    if Path(args.run).is_file():
        from mpo_snn.cli.export_file import export_file

        return export_file(args, parser)
    given = parser.given(args, but=vars(args).keys() - set(INPUT))
    if given:
        raise UsageError(f"the run '{args.run}' says how it is run: leave out {', '.join(given)}.")
    if args.format not in FORMATS:
        raise UsageError(f"unknown format '{args.format}': choose one of {', '.join(FORMATS)}.")
    check_whole("samples", args.samples, 1)
    check_whole("unrolled", args.unrolled, 1)
    if args.unrolled is not None and args.unrolled > MOST_UNROLLED:
        raise UsageError(
            f"--unrolled is {args.unrolled}, allowed is 1 to {MOST_UNROLLED}; without it, the model"
            " is one timestep, which runs for any number of them."
        )
    if args.dt is not None and args.dt <= 0:
        raise UsageError(f"--dt is {args.dt:g} s, allowed is above 0.")
    own = _ONNX_ONLY if args.format == "nir" else _NIR_ONLY
    for option, default in own.items():
        if getattr(args, option) != default:
            other = "onnx" if args.format == "nir" else "nir"
            name = option.replace("_", "-")
            raise UsageError(
                f"--{name} is for --format {other}; leave it out, or change the format."
            )
    return _export_nir(args) if args.format == "nir" else _export_onnx(args)


def _explain(args: Any) -> int:
    from mpo_snn.cli.explain import print_explanation

    in_front = args.explain == _IN_FRONT
    if args.run is not None and (not in_front or Path(args.run).is_dir()):
        raise UsageError("--explain reads a NIR file and no run: mpo-export --explain FILE.")
    file = args.run if in_front else args.explain
    if file is None:
        raise UsageError("--explain which file? mpo-export --explain FILE.")
    print_explanation(file, args.dt)
    return OK


def _export_onnx(args: Any) -> int:
    from mpo_snn.export.to_onnx.packages import require_onnx

    require_onnx()
    from mpo_snn.cli.proof_table import print_proof
    from mpo_snn.export.nir_export import DEFAULT_DT
    from mpo_snn.export.to_onnx.onnx_file import write_onnx
    from mpo_snn.export.to_onnx.onnx_proof import export_onnx
    from mpo_snn.files import check_file, write_file
    from mpo_snn.training.rundir import open_run

    run = open_run(args.run)
    name = "model.onnx" if args.unrolled is None else "model.unrolled.onnx"
    output = Path(args.output) if args.output else run.path / name
    if output.suffix != ".onnx":
        raise UsageError(f"--output is '{output}', but the name of an ONNX file ends in .onnx.")
    record = output.with_name(f"{output.name}.equivalence.json")
    for file in (output, record):
        check_file(file)
    dt = DEFAULT_DT if args.dt is None else args.dt
    export = export_onnx(run, args.unrolled, args.precision, dt, args.samples)
    print_proof(export.proof, args.samples)
    if not export.proof.is_equal and not args.allow_different:
        return _refused()
    write_onnx(output, export.model)
    write_file(record, json.dumps(export.proof.to_dict(), indent=1) + "\n")
    print(f"\nwrote  {output}\n       {record}")
    print(f"next   mpo-verify {run.path} {output}")
    return OK if export.proof.is_equal else ANSWER_IS_NO


def _refused() -> int:
    print("Nothing was written. --allow-different writes the file and marks it as different.")
    return ANSWER_IS_NO


def _export_nir(args: Any) -> int:
    from mpo_snn.cli.export_readers import (
        export_all,
        print_loading,
        print_next,
        prove_and_write,
        tell_written,
        write_for,
    )
    from mpo_snn.export.nir_file import NIR_VERSIONS
    from mpo_snn.export.reader_file import check_output
    from mpo_snn.training.rundir import open_run

    if args.nir_version not in (None, *NIR_VERSIONS):
        raise UsageError(
            f"unknown --nir-version '{args.nir_version}': choose one of {', '.join(NIR_VERSIONS)}."
        )
    run = open_run(args.run)
    output = Path(args.output) if args.output else run.path / "model.nir"
    if output.suffix not in NIR_SUFFIXES:
        raise UsageError(
            f"--output is '{output}', but the name of a NIR file ends in"
            f" {' or '.join(NIR_SUFFIXES)}."
        )
    if args.reader == "all":
        if args.plain_reset or args.nir_version:
            option = "--plain-reset" if args.plain_reset else "--nir-version"
            raise UsageError(
                f"{option} is for one plain file, and readers have their own: not with"
                " --reader all."
            )
        return export_all(write_for(run, args), output, run.recipe.timesteps, args.samples)
    check_output(output)
    made = prove_and_write(run, _for_reader(run, args), args, output)
    if not tell_written(made, output, args.samples):
        return ANSWER_IS_NO
    print_next(run, output)
    print_loading(made.export, output, run.recipe.timesteps)
    return OK if made.proof.is_equal else ANSWER_IS_NO


def _for_reader(run: Run, args: Any) -> ReaderExport:
    """The export for the reader that was asked for, else trained for, else the preferred one."""
    from mpo_snn.export.for_reader import (
        export_for_reader,
        export_preferred,
        reader_named,
        timestep_for,
    )
    from mpo_snn.export.nir_export import DEFAULT_DT
    from mpo_snn.export.proof import export_run

    plain = args.plain_reset or args.nir_version == "1.0.4"
    name = args.reader if args.reader is not None else "nir" if plain else run.reader
    if args.plain_reset and name != "nir":
        raise UsageError(f"--plain-reset writes a different neuron: not with --reader {name}.")
    if name is None:
        dt = DEFAULT_DT if args.dt is None else args.dt
        return export_preferred(export_run(run, dt), dt)
    reader = reader_named(name)
    if None not in (args.dt, reader.dt) and args.dt != reader.dt:
        raise UsageError(
            f"--dt is {args.dt:g}, but {reader.title} computes with {reader.dt:g}; only dt/tau"
            " matters, so leave --dt out."
        )
    if args.nir_version not in (None, reader.nir_version) and reader.name != "nir":
        raise UsageError(
            f"--nir-version is {args.nir_version}, but {reader.title} has nir"
            f" {reader.nir_version}: leave it out."
        )
    dt = timestep_for(reader, args.dt)
    return export_for_reader(export_run(run, dt, args.plain_reset), reader, dt)


def _parser() -> CommandParser:
    parser = CommandParser(
        "mpo-export",
        "RUN|FILE [--format nir|onnx] [--reader NAME] [--output FILE] [--samples N]",
        "Fold batchnorm, leak and gain into a NIR graph or an ONNX model, prove that it fires the\n"
        "same spikes as the network on the whole test split, and write it. Exit code 1 if it does"
        " not.",
        _EXAMPLE,
    )
    parser.add_argument(
        "run",
        nargs="?",
        help="run directory that mpo-train finished, or any NIR file, for another --reader",
    )
    parser.add_argument("--format", default="nir", help="format of the file: nir (default) or onnx")
    parser.add_argument(
        "--reader",
        metavar="NAME",
        help="NIR: program that will run the file (--list shows them), or all; default is the one"
        " that the run was trained for, else portable, one file exact in three of them, where the"
        " network has that form, else nir",
    )
    parser.add_argument(
        "--explain",
        nargs="?",
        const=_IN_FRONT,
        metavar="FILE",
        help="tell what each reader would do with this NIR file, whoever wrote it, and stop;"
        " the file may stand in front too",
    )
    parser.add_argument("--output", help="file to write; default RUN/model.nir, RUN/model.onnx")
    parser.add_argument(
        "--unrolled",
        type=int,
        metavar="T",
        help="ONNX: a model over T timesteps that gives scores; default one timestep with states",
    )
    parser.add_argument(
        "--precision",
        default="float32",
        help="ONNX: of all values, float32 (default) or float64, which onnx.reference runs",
    )
    parser.add_argument(
        "--samples",
        type=int,
        help="prove on this many test samples, every class in its share; default all",
    )
    parser.add_argument(
        "--nir-version",
        help="NIR: package that will read a plain file, 1.0.8 (default) or 1.0.4; readers have"
        " their own",
    )
    parser.add_argument(
        "--dt", type=float, help="timestep in seconds, default 1e-4; only dt/tau matters"
    )
    parser.add_argument(
        "--plain-reset",
        action="store_true",
        help="write a reset by subtraction as a plain LIF, which is a DIFFERENT neuron",
    )
    parser.add_argument(
        "--allow-different", action="store_true", help="write the file even if it is not equal"
    )
    parser.add_argument("--list", action="store_true", help="list the formats and readers")
    add = parser.add_argument_group("a NIR file in the place of a run").add_argument
    add_data_options(add)
    add_input_options(add)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
