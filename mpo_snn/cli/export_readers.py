"""Writing one file per reader, and telling how each is loaded."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mpo_snn.cli.command import ANSWER_IS_NO, OK, print_names
from mpo_snn.errors import ExportError
from mpo_snn.export.for_reader import ReaderExport, export_for_reader
from mpo_snn.export.loading_code import loading_code
from mpo_snn.export.nir_export import DEFAULT_DT
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.proof import Proof, export_run, metadata_of, prove_export
from mpo_snn.export.readers import READERS, Reader
from mpo_snn.files import write_file
from mpo_snn.graph.metadata import GraphMetadata, write_metadata

if TYPE_CHECKING:
    from mpo_snn.training.rundir import Run

_WIDTH = 110
"""Columns that the table needs; narrower terminals scroll."""


def print_readers() -> None:
    """Print every reader's name and version."""
    print("readers:")
    titles = {f"  {name}": reader.title for name, reader in READERS.items()}
    print_names({**titles, "  all": "one file for each of them"})


def prove_and_write(
    run: Run, export: ReaderExport, args: Any, output: Path
) -> tuple[Proof, GraphMetadata, bool]:
    """Prove an export and write it with its record; nothing is written if it is not equal.

    Returns:
        the proof, the file's metadata, and whether it was written.
    """
    version = args.nir_version or export.reader.nir_version
    metadata = metadata_of(run, export, export.dt, version, export.reader.name)
    proof, metadata = prove_export(run, export, metadata, args.samples)
    if not proof.is_equal and not args.allow_different:
        return proof, metadata, False
    write_metadata(export.graph, metadata)
    write_nir(output, export.graph, version)
    write_file(
        output.with_suffix(".equivalence.json"), json.dumps(proof.to_dict(), indent=1) + "\n"
    )
    for module in export.reader.beside:
        code = files("mpo_snn.export.readers").joinpath(module).read_text(encoding="utf-8")
        write_file(output.with_name(module), code)
    return proof, metadata, True


def export_all(run: Run, args: Any, output: Path) -> int:
    """Write `model.NAME.nir` for every reader that can express the network, and print a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("reader", "file", "spikes"):
        table.add_column(title, no_wrap=True)
    table.add_column("what stands in the way", overflow="fold")
    code = OK
    exports = []
    for reader in READERS.values():
        file = output.with_suffix(f".{reader.name}{output.suffix}")
        dt = timestep_for(reader, args)
        try:
            export = export_for_reader(export_run(run, dt), reader, dt)
        except ExportError as error:
            for i, finding in enumerate(error.findings or (str(error),)):
                table.add_row(*(("", "", "") if i else (reader.title, "-", "-")), escape(finding))
            continue
        proof, _, written = prove_and_write(run, export, args, file)
        if not proof.is_equal:
            code = ANSWER_IS_NO
        verdict = "equal" if proof.is_equal else "[red]NOT equal[/]"
        step = "nothing, with the step after loading below" if export.after else ""
        table.add_row(reader.title, escape(file.name) if written else "-", verdict, step)
        exports.append((export, file))
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(table)
    for export, file in exports:
        if export.reader.members:
            print(f"\n{file.name} loads as the files of {export.reader.title} do.")
        else:
            print_loading(run, export, file)
    return code


def print_next(run: Run, output: Path) -> None:
    """Print what to do next with the file that was written."""
    data = run.recipe.data
    elsewhere = data.path is not None and output.parent.resolve() != run.path.resolve()
    where = f" --data.path {data.path}" if elsewhere else ""
    print(f"next   mpo-evaluate {output} --data {data.name}{where}")


def print_loading(run: Run, export: ReaderExport, output: Path) -> None:
    """Print the code that loads the file in each of its readers and runs it."""
    for title, code in loading_code(export, output, run.recipe.timesteps).items():
        print(f"\n# in {title}")
        print(code)


def timestep_for(reader: Reader, args: Any) -> float:
    """The timestep in seconds that a file for this reader is written for."""
    return next(dt for dt in (reader.dt, args.dt, DEFAULT_DT) if dt is not None)
