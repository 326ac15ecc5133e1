"""`mpo-verify`: whether two things fire the same: a run, files of NIR and ONNX, recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.cli.command import ANSWER_IS_NO, OK, CommandParser, UsageError, run_command
from mpo_snn.cli.input_options import add_data_options, add_input_options, graph_input

if TYPE_CHECKING:
    from mpo_snn.export.proof import Proof

_RECORDS = (".json", ".html", ".htm")
RECORDING = ".npz"
_OF_ANY_PAIR = ("first", "second", "data", "data_path", "samples", "output")
"""Arguments that mean something whatever is compared."""
_EXAMPLE = """\
mpo-verify runs/digits runs/digits/model.nir
mpo-verify runs/cifar10 runs/cifar10/model.nir --samples 200
mpo-verify runs/digits runs/digits/model.onnx
mpo-verify ours.nir changed.nir --output difference.html
mpo-verify a.nir b.nir --data digits --timesteps 8 --dt 1e-4 --encoding direct
mpo-verify theirs.nir recorded.npz --dt 1e-4"""


def main(argv: list[str] | None = None) -> int:
    """Entry point of `mpo-verify`."""
    return run_command(lambda: _body(argv), "mpo-verify")


def _body(argv: list[str] | None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list:
        from mpo_snn.data import dataset_names

        print("data sets: " + ", ".join(dataset_names()))
        return OK
    if args.first is None or args.second is None:
        raise UsageError("compare what? mpo-verify RUN model.nir; --help has an example.")
    if args.samples is not None and args.samples < 1:
        raise UsageError(f"--samples is {args.samples}, allowed is 1 or more.")
    if args.output and Path(args.output).suffix not in _RECORDS:
        raise UsageError(
            f"--output is '{args.output}', but the name of a record ends in {', '.join(_RECORDS)}."
        )
    if args.output:
        from mpo_snn.files import check_file

        check_file(args.output)
    return _verify(Path(args.first), Path(args.second), args, parser)


def _verify(first: Path, second: Path, args: Any, parser: CommandParser) -> int:
    if _is_recording(first) or _is_recording(second):
        return _verify_recorded(first, second, args, parser)
    if second.is_dir():
        first, second = second, first
    if second.is_dir():
        raise UsageError("cannot compare two runs: export one of them, then RUN model.nir.")
    if first.suffix == ".onnx" and second.suffix not in (".onnx", ""):
        first, second = second, first  # the graph, from which the model is built, is the truth
    if first.is_dir():
        _refuse_settings(first, second, parser.given(args, but=_OF_ANY_PAIR))
    prove = _prove_onnx if second.suffix == ".onnx" else _prove_nir
    return _tell(prove(first, second, args), args)


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() == RECORDING


def _verify_recorded(first: Path, second: Path, args: Any, parser: CommandParser) -> int:
    from mpo_snn.export.recorded import prove_recorded
    from mpo_snn.graph.read import read_graph

    file, recording = (second, first) if _is_recording(first) else (first, second)
    if file.is_dir() or _is_recording(file) or file.suffix == ".onnx":
        raise UsageError(
            f"'{recording}' is compared with a NIR file: mpo-verify model.nir {recording}"
        )
    given = parser.given(args, but=("first", "second", "dt", "output"))
    if given:
        raise UsageError(f"'{recording}' brings its own input: leave out {', '.join(given)}.")
    return _tell(prove_recorded(read_graph(file), str(file), recording, args.dt), args)


def _tell(proof: Proof, args: Any) -> int:
    from mpo_snn.cli.proof_table import print_proof
    from mpo_snn.files import write_file

    print_proof(proof, args.samples)
    if args.output:
        write_file(args.output, _record(proof.to_dict(), Path(args.output)))
        print(f"\nwrote  {args.output}")
    return OK if proof.is_equal else ANSWER_IS_NO


def _record(record: dict[str, Any], output: Path) -> str:
    """The record as the name of the file asks for it: a page, or JSON."""
    if output.suffix not in (".html", ".htm"):
        return json.dumps(record, indent=1) + "\n"
    from mpo_snn.evaluation.equivalence_page import render_equivalence

    return render_equivalence(record)


def _refuse_settings(run: Path, file: Path, given: list[str]) -> None:
    """A run says how it is run; only a file of another program leaves its timestep to the user."""
    from mpo_snn.graph.metadata import read_metadata
    from mpo_snn.graph.read import read_graph

    if given == ["--dt"] and file.suffix != ".onnx" and read_metadata(read_graph(file)) is None:
        return
    if given:
        raise UsageError(f"the run '{run}' says how it is run: leave out {', '.join(given)}.")


def _prove_nir(first: Path, second: Path, args: Any) -> Proof:
    from mpo_snn.export.foreign_proof import prove_foreign
    from mpo_snn.export.graph_proof import prove_graph
    from mpo_snn.export.proof import prove_run
    from mpo_snn.graph.metadata import read_metadata
    from mpo_snn.graph.read import read_graph
    from mpo_snn.training.rundir import open_run

    if first.is_dir() or not first.exists():
        run, graph, title = open_run(first), read_graph(second), str(second)
        on = (args.data, args.data_path, args.samples)
        if read_metadata(graph) is None:
            return prove_foreign(run, graph, title, *on, args.dt)
        return prove_run(run, graph, title, *on)
    graph = read_graph(first)
    given = graph_input(first, read_metadata(graph), args)
    return prove_graph(graph, read_graph(second), (str(first), str(second)), given)


def _prove_onnx(first: Path, second: Path, args: Any) -> Proof:
    from mpo_snn.export.to_onnx.packages import require_onnx

    require_onnx()
    from mpo_snn.export.to_onnx.onnx_file import read_onnx
    from mpo_snn.export.to_onnx.onnx_proof import prove_onnx, prove_onnx_pair
    from mpo_snn.graph.metadata import read_metadata
    from mpo_snn.graph.read import read_graph
    from mpo_snn.training.rundir import open_run

    if first.is_dir() or not first.exists():
        run, file = open_run(first), read_onnx(second)
        return prove_onnx(run, file, str(second), args.data, args.data_path, args.samples)
    one: Any = read_onnx(first) if first.suffix == ".onnx" else read_graph(first)
    metadata = one.metadata if first.suffix == ".onnx" else read_metadata(one)
    titles, given = (str(first), str(second)), graph_input(first, metadata, args)
    return prove_onnx_pair(one, read_onnx(second), titles, given)


def _parser() -> CommandParser:
    parser = CommandParser(
        "mpo-verify",
        "A B [--samples N] [--data NAME] [--data.path PATH] [--output FILE]",
        "Compare two of: a run directory, a NIR file, an ONNX file. Spikes of every layer in a\n"
        "free run, then layer by layer on the first one's spikes, in float64 and float32, on the\n"
        "test split. Or a NIR file with what another program or a chip fired, recorded in an .npz\n"
        "(docs/equivalence.md). Exit code 1 if they are not equal.",
        _EXAMPLE,
    )
    parser.add_argument("first", nargs="?", help="run directory or file, taken as the truth")
    parser.add_argument("second", nargs="?", help="NIR or ONNX file to test, or a recording")
    parser.add_argument(
        "--samples",
        type=int,
        metavar="N",
        help="compare on this many test samples, every class in its share; default all",
    )
    add_data_options(parser.add_argument)
    add = parser.add_argument_group("NIR files of other programs").add_argument
    add("--dt", type=float, metavar="SECONDS", help="timestep of files that do not state theirs")
    add_input_options(add)
    parser.add_argument(
        "--output", help="write the whole record: FILE.json, or FILE.html with pictures"
    )
    parser.add_argument("--list", action="store_true", help="list the data sets")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
