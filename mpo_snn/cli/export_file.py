"""`mpo-export FILE --reader NAME`: any NIR file in the form that is exact in a reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.cli.command import ANSWER_IS_NO, OK, CommandParser, UsageError
from mpo_snn.cli.input_options import INPUT, graph_input

if TYPE_CHECKING:
    from mpo_snn.cli.export_readers import Attempt
    from mpo_snn.export.readers import Reader

_TAKEN = ("run", "reader", "output", "samples", "dt", "allow_different", *INPUT)


def export_file(args: Any, parser: CommandParser) -> int:
    """Write a NIR file for a reader, or for all of them, with the proof that it fires the same.

    Raises:
        UsageError: if an option is for runs alone, or no reader is named.
        GraphError, RecipeError, ExportError: as `convert_graph`.
    """
    from mpo_snn.cli.export_readers import Attempt, export_all, print_loading, tell_written
    from mpo_snn.export.converted import convert_graph
    from mpo_snn.export.reader_file import check_output, write_reader_file
    from mpo_snn.export.readers import READERS
    from mpo_snn.graph.metadata import known_timesteps, read_metadata
    from mpo_snn.graph.read import read_graph

    source = Path(args.run)
    if args.format == "onnx":
        raise UsageError(
            f"'{source}' is a file, and --format onnx is for runs; from Python build_onnx takes any"
            " graph, docs/onnx.md has the lines."
        )
    others = parser.given(args, but=_TAKEN)
    if others:
        raise UsageError(
            f"'{source}' is a file, and {', '.join(others)} is for runs: leave it out."
        )
    if args.reader is None:
        raise UsageError(
            f"'{source}' is a file: say for whom it is to be written, --reader NAME (--list shows"
            f" them); what each would do with it as it is: mpo-export --explain {source}"
        )
    graph = read_graph(source)
    metadata = read_metadata(graph)
    given = graph_input(source, metadata, args)
    steps = args.timesteps or known_timesteps(graph) or 1  # of the input in the code that is shown

    def write(reader: Reader, output: Path) -> Attempt:
        made = convert_graph(graph, str(source), reader.name, given)
        is_written = made.proof.is_equal or args.allow_different
        if is_written:
            write_reader_file(output, made.export.graph, made.metadata, made.proof, reader)
        return Attempt(made.export, made.proof, made.metadata.notes, is_written)

    if args.reader == "all":
        output = Path(args.output or source)
        return export_all(write, output, steps, args.samples)
    if args.reader not in READERS:
        raise UsageError(f"unknown --reader '{args.reader}': choose one of {', '.join(READERS)}.")
    output = Path(args.output or source.with_suffix(f".{args.reader}{source.suffix}"))
    if output.resolve() == source.resolve():
        raise UsageError(f"--output is '{output}', the file that is read: choose another name.")
    check_output(output)
    made = write(READERS[args.reader], output)
    if not tell_written(made, output, args.samples):
        return ANSWER_IS_NO
    path = f" --data.path {args.data_path}" if args.data_path else ""
    print(f"next   mpo-evaluate {output}{path}")
    print_loading(made.export, output, steps)
    return OK if made.proof.is_equal else ANSWER_IS_NO
