"""Prints a proof of equivalence as a calm table with the verdict under it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mpo_snn.cli.whole_number import note_on_samples
from mpo_snn.export.equivalence import PrecisionResult
from mpo_snn.export.proof import Proof
from mpo_snn.export.replay import Place

_WIDTH = 96
"""Columns that the table needs; narrower terminals scroll instead of losing digits."""


def print_proof(proof: Proof, asked: int | None = None) -> None:
    """Print layers in both precisions, predictions, and the verdict.

    Args:
        proof: what was found.
        asked: on how many samples it was to be made; None: on all.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, _WIDTH)
    record = proof.equivalence
    console.print(
        f"[bold]Equivalence[/]  {escape(record.first)} against {escape(record.second)}\n"
        f"{record.data}: {record.samples} samples, {record.timesteps} timesteps"
    )
    for result in record.results:
        console.print(_table(result, record.samples, proof.with_membranes))
        same = result.samples - result.predictions_differing
        console.print(f"  predictions the same: {same} of {result.samples}")
    for line in proof.disagreements:
        console.print(f"  [red]differs[/]  {escape(line)}", markup=True)
    for line in (*proof.reservations, *note_on_samples(asked, record.samples)):
        console.print(f"  note: {line}", markup=False)
    console.print(f"\n{_verdict(proof)}")


def _table(result: PrecisionResult, samples: int, with_membranes: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    part = f"  first {result.samples}" if result.samples < samples else ""
    table.add_column(f"{part}\n  {result.precision}", no_wrap=True)
    for title in (
        "\nneurons",
        "spikes\nin either",
        "identical\n%",
        "\nJaccard",
        "membrane\ndifference",
        "rounding\nroots",
        "\nunexplained",
    ):
        table.add_column(title, justify="right", no_wrap=True, min_width=9)
    for tally in result.layers:
        table.add_row(
            f"  {escape(tally.layer)}",
            f"{tally.neurons:,}",
            f"{tally.either:,}",
            _percent(tally.identical),
            _share(tally.jaccard),
            f"{tally.replay.membrane_difference:.0e}" if with_membranes else "-",
            f"{tally.replay.roots - tally.replay.unexplained}",
            f"{tally.replay.unexplained}",
        )
    table.add_row("  output", "", "", "", "", f"{result.output_difference:.0e}", "", "")
    return table


def _verdict(proof: Proof) -> str:
    if proof.is_equal:
        return f"[bold green]equal[/]: {_why_equal(proof)}."
    place = proof.equivalence.first_divergence
    if place is not None:
        what = _of_membranes(proof.equivalence.results)
        return f"[bold red]NOT equal[/]: first divergence in {escape(_place(place))}{what}."
    if any(result.unattributed for result in proof.equivalence.results):
        return "[bold red]NOT equal[/]: the free runs differ although every layer replays the same."
    if any(result.predictions_unexplained for result in proof.equivalence.results):
        return "[bold red]NOT equal[/]: predictions differ."
    return (
        "[bold red]NOT equal[/]: no timestep of this data shows it, but settings or parameters"
        " differ."
    )


def _why_equal(proof: Proof) -> str:
    record = proof.equivalence
    layers = record.results[0].layers
    if not layers and not proof.with_membranes:
        return "every output is the same, and no spiking layer was recorded"
    if len(record.silent_layers) == len(layers):
        if not proof.with_membranes:
            return "nothing fires, so nothing was proven: record samples that make neurons fire"
        return "nothing fires, and every membrane is the same"
    roots = sum(layer.replay.roots for result in record.results for layer in result.layers)
    if not roots:
        return "every spike is the same"
    return (
        f"{roots} rounding root{'s' * (roots != 1)}, each within rounding of its threshold; every"
        " other difference follows from there"
    )


def _of_membranes(results: Sequence[PrecisionResult]) -> str:
    """That spikes are all the same where they are; "" where they are not."""
    layers = [layer for result in results for layer in result.layers]
    if any(layer.differing or layer.replay.unexplained for layer in layers):
        return ""
    gaps = [layer.replay.membrane_difference for layer in layers]
    gap = max([*gaps, *(result.output_difference for result in results)])
    return (
        "; no spike differs on this data, but membranes or outputs do, by up to"
        f" {gap:.1e} of threshold or largest output"
    )


def _place(place: Place) -> str:
    neuron = ", ".join(map(str, place.neuron))
    where = "the output" if place.layer == "output" else f"layer '{place.layer}'"
    return f"{where} at timestep {place.timestep} (sample {place.sample}, neuron [{neuron}])"


def _percent(share: float) -> str:
    """Per cent that never rounds up to 100."""
    return "100" if share == 1.0 else f"{min(100.0 * share, 99.999999):.6f}"


def _share(share: float) -> str:
    return "1" if share == 1.0 else f"{min(share, 0.999999):.6f}"
