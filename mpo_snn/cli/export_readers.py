"""Writing one file per reader, and telling how each is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mpo_snn.cli.command import ANSWER_IS_NO, OK, print_names
from mpo_snn.cli.proof_table import print_proof
from mpo_snn.cli.whole_number import note_on_samples
from mpo_snn.errors import ExportError
from mpo_snn.export.for_reader import ReaderExport, export_for_reader, timestep_for
from mpo_snn.export.loading_code import loading_code
from mpo_snn.export.proof import Proof, export_run, metadata_of, prove_export
from mpo_snn.export.reader_file import check_output, record_beside, write_reader_file
from mpo_snn.export.readers import READERS, Reader

if TYPE_CHECKING:
    from mpo_snn.training.rundir import Run

_WIDTH = 110
"""Columns that the table needs; narrower terminals scroll."""


def write_for(run: Run, args: Any) -> Callable[[Reader, Path], Attempt]:
    """What makes, proves and writes the file of a reader for a run."""

    def write(reader: Reader, output: Path) -> Attempt:
        dt = timestep_for(reader, args.dt)
        export = export_for_reader(export_run(run, dt), reader, dt)
        return prove_and_write(run, export, args, output)

    return write


def print_readers() -> None:
    """Print every reader's name and version."""
    print("readers:")
    titles = {f"  {name}": reader.title for name, reader in READERS.items()}
    print_names({**titles, "  all": "one file for each of them"})


def prove_and_write(run: Run, export: ReaderExport, args: Any, output: Path) -> Attempt:
    """Prove an export and write it with its record; nothing is written if it is not equal."""
    version = args.nir_version or export.reader.nir_version
    metadata = metadata_of(run, export, export.dt, version, export.reader.name)
    proof, metadata = prove_export(run, export, metadata, args.samples)
    if not proof.is_equal and not args.allow_different:
        return Attempt(export, proof, metadata.notes, False)
    write_reader_file(output, export.graph, metadata, proof, export.reader)
    return Attempt(export, proof, metadata.notes, True)


@dataclass(frozen=True)
class Attempt:
    """What became of one reader's file.

    Attributes:
        export: what its graph is.
        proof: that it fires the same spikes.
        notes: what its user must know, one line each.
        is_written: whether the file was written.
    """

    export: ReaderExport
    proof: Proof
    notes: tuple[str, ...]
    is_written: bool


def export_all(
    write: Callable[[Reader, Path], Attempt], output: Path, timesteps: int, asked: int | None
) -> int:
    """Write `NAME.READER.nir` for every reader that can express the network, and print a table.

    Args:
        write: makes, proves and writes the file of a reader.
        output: name that the files' names are made from.
        timesteps: of one inference.
        asked: on how many samples it was to be proved; None: on all.

    Raises:
        OutputError: if a file of theirs could not be written; nothing is made then.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("reader", "file", "spikes"):
        table.add_column(title, no_wrap=True)
    table.add_column("what stands in the way", overflow="fold")
    code = OK
    exports, there = [], 0
    files = {name: output.with_suffix(f".{name}{output.suffix}") for name in READERS}
    for file in files.values():
        check_output(file)
    for name, reader in READERS.items():
        file = files[name]
        try:
            made = write(reader, file)
        except ExportError as error:
            for i, finding in enumerate(error.findings or (str(error),)):
                table.add_row(*(("", "", "") if i else (reader.title, "-", "-")), escape(finding))
            continue
        if not made.proof.is_equal:
            code = ANSWER_IS_NO
        verdict = "equal" if made.proof.is_equal else "[red]NOT equal[/]"
        step = "nothing, with the step after loading below" if made.export.after else ""
        table.add_row(reader.title, escape(file.name) if made.is_written else "-", verdict, step)
        exports.append((made.export, file))
        there = made.proof.equivalence.samples
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(table)
    for line in note_on_samples(asked, there) if exports else ():
        print(f"note: {line}")
    for export, file in exports:
        if export.reader.members:
            print(f"\n{file.name} loads as the files of {export.reader.title} do.")
        else:
            print_loading(export, file, timesteps)
    return code


def tell_written(made: Attempt, output: Path, asked: int | None) -> bool:
    """Print proof and notes, and where the file is; returns whether it was written."""
    print_proof(made.proof, asked)
    for note in made.notes:
        print(f"note: {note}")
    if made.is_written:
        print(f"\nwrote  {output}\n       {record_beside(output)}")
    else:
        print("Nothing was written. --allow-different writes the file and marks it as different.")
    return made.is_written


def print_next(run: Run, output: Path) -> None:
    """Print what to do next with the file that was written."""
    data = run.recipe.data
    elsewhere = data.path is not None and output.parent.resolve() != run.path.resolve()
    where = f" --data.path {data.path}" if elsewhere else ""
    print(f"next   mpo-evaluate {output} --data {data.name}{where}")


def print_loading(export: ReaderExport, output: Path, timesteps: int) -> None:
    """Print the code that loads the file in each of its readers and runs it."""
    for title, code in loading_code(export, output, timesteps).items():
        print(f"\n# in {title}")
        print(code)
