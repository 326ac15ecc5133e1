"""`mpo-deploy`: a network on a chip: checked, rounded, run in the chip's own integers."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.cli.command import (
    ANSWER_IS_NO,
    OK,
    CommandParser,
    UsageError,
    run_command,
    tell_error,
    together,
)
from mpo_snn.cli.deploy_parser import CALIBRATION, NAME
from mpo_snn.cli.deploy_parser import deploy_parser as _parser
from mpo_snn.cli.scaling_options import check_input_scale
from mpo_snn.cli.whole_number import check_whole, note_on_calibration, note_on_samples

if TYPE_CHECKING:
    from mpo_snn.cli.deploy_source import Source
    from mpo_snn.data.dataset import Dataset
    from mpo_snn.data.for_graph import Calibration
    from mpo_snn.deploy.deployment import Samples
    from mpo_snn.deploy.layers import ChipGraph
    from mpo_snn.profiles.chip import ChipProfile

MOST_CALIBRATION = 4096


def main(argv: list[str] | None = None) -> int:
    """Entry point of `mpo-deploy`."""
    return run_command(lambda: _body(sys.argv[1:] if argv is None else argv), NAME)


def _body(argv: list[str]) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list or args.show is not None:
        return _tell(args, parser)
    if args.source is None or args.target is None:
        raise UsageError(
            "deploy what, where? mpo-deploy RUN_OR_FILE --target NAME; --list shows the targets."
        )
    from mpo_snn.cli.deploy_source import read_source
    from mpo_snn.deploy.directory import check_folder
    from mpo_snn.deploy.families import can_quantize
    from mpo_snn.profiles.chip import load_chip_profile

    def chip() -> ChipProfile:
        profile = load_chip_profile(args.target)
        if not (args.check or can_quantize(profile)):
            raise UsageError(
                f"{profile.title} can only be checked, no arithmetic of it is known exactly:"
                " --check."
            )
        return profile

    profile, source, *_ = together(
        f"cannot deploy '{args.source}'",
        chip,
        lambda: read_source(args),
        lambda: check_whole("samples", args.samples, 1),
        lambda: check_whole("vectors", args.vectors, 0),
        lambda: _check_vectors(args.vectors, args.samples),
        lambda: check_whole("calibration", args.calibration, 1, MOST_CALIBRATION),
        lambda: check_input_scale(args.input_scale),
    )
    output = Path(args.output) if args.output else source.folder(profile.name)
    if not args.check:
        check_folder(output, source.path)
    for note in (*source.notes, *_not_of_a_check(args)):
        print(f"note   {note}")
    graph = _checked(source, profile, args.target, argv)
    if graph is None:
        return ANSWER_IS_NO
    if args.check and can_quantize(profile):
        again = [NAME, *(word for word in argv if word != "--check")]
        print(f"\nnext   {' '.join((shlex.join(again), *source.missing))}")
    return OK if args.check else _deploy(source, graph, profile, output, args, argv)


def _tell(args: Any, parser: CommandParser) -> int:
    from rich.console import Console

    from mpo_snn.cli.chip_tables import chip_list, chip_sheet
    from mpo_snn.profiles.chip import load_chip_profile

    both = args.list and args.show is not None
    if both or parser.given(args, but=("list", "show")):
        raise UsageError(
            "--list and --show tell of chips and deploy nothing: give one of them, nothing else."
        )
    shown = chip_list() if args.show is None else chip_sheet(load_chip_profile(args.show))
    Console(highlight=False).print(shown)
    return OK


def _checked(
    source: Source, profile: ChipProfile, target: str, argv: list[str]
) -> ChipGraph | None:
    """The layers, if the chip's check has nothing against them; what it found is printed.

    Args:
        source: what is checked.
        profile: of the chip.
        target: by what the user calls the chip: a name, or the path of a profile.
        argv: the command line.
    """
    from rich.console import Console

    from mpo_snn.cli.deploy_view import check_view
    from mpo_snn.deploy.check import check_graph_on_chip
    from mpo_snn.deploy.families import family_of
    from mpo_snn.deploy.own_network import result_for_own
    from mpo_snn.profiles.chip import chip_place

    checked = check_graph_on_chip(
        source.graph, profile, source.inference, behaviour=source.behaviour
    )
    result, has_synapse = checked.result, family_of(profile).has_synapse
    if not source.is_of_run:
        result = result_for_own(result, source.graph, has_synapse)
    console = Console(highlight=False, soft_wrap=True)
    console.print(check_view(result, profile, str(source.path)))
    if checked.graph is not None:
        return checked.graph
    print()
    if not checked.is_whole:
        print(
            "note   no chip has such layers; what this one asks of connections and sizes is checked"
            " once they can be read"
        )
    again = f"change the network, train and export it, {shlex.join([NAME, *argv])}"
    place = shlex.quote(chip_place(target))
    recipe = f"mpo-train RECIPE --target {place} trains inside what it can do"
    print(f"next   {recipe if source.is_of_run else again}")
    return None


def _deploy(
    source: Source,
    graph: ChipGraph,
    profile: ChipProfile,
    output: Path,
    args: Any,
    argv: list[str],
) -> int:
    from rich.console import Console

    from mpo_snn.cli.deploy_progress import stages
    from mpo_snn.cli.deploy_view import deployment_view
    from mpo_snn.deploy.deployment import deploy
    from mpo_snn.deploy.directory import write_directory
    from mpo_snn.deploy.families import family_of
    from mpo_snn.deploy.files import deployment_files, manifest_of
    from mpo_snn.deploy.own_network import advice_for_own
    from mpo_snn.deploy.quantized import UnfitError
    from mpo_snn.deploy.record import report_of
    from mpo_snn.deploy.samples_file import SAMPLES, samples_file
    from mpo_snn.deploy.vectors import VECTORS, vectors_file

    try:
        with stages(NAME) as (tell, advance):
            tell(f"loading {source.inference.dataset}", 0)
            samples, calibration, dataset = _data(source, args)
            _check_vectors(args.vectors, len(samples.y))
            deployment = deploy(graph, profile, samples, calibration.x, advance, tell)
    except UnfitError as error:
        is_synaptic = family_of(profile).has_synapse is True
        own = advice_for_own(str(error), is_synaptic)
        tell_error(NAME, str(error) if source.is_of_run else own)
        return ANSWER_IS_NO
    command = shlex.join([NAME, *argv])
    report = report_of(deployment, str(source.path), command, source.inference.dt)
    files = {
        **deployment_files(deployment, report, source.inference, dataset),
        SAMPLES: samples_file(deployment, samples, calibration.index),
    }
    if args.vectors:
        files[VECTORS] = vectors_file(deployment, samples, args.vectors)
    written = write_directory(output, files, manifest_of(report, source.path))
    for note in _fewer(args, len(samples.y), len(calibration.index)):
        print(f"note   {note}")
    Console(highlight=False, soft_wrap=True).print(deployment_view(report))
    print("\nwrote  " + "\n       ".join(map(str, written)))
    loader = [f"; for the chip, see {path}" for path in written if path.name.startswith("load_")]
    print(f"next   open {output / 'report.html'} in a browser{''.join(loader)}")
    return OK


def _not_of_a_check(args: Any) -> tuple[str, ...]:
    """What the command line asks for and a check does not do."""
    if args.check and args.vectors:
        return ("--vectors is of a deployment; a check writes nothing, and no test vectors",)
    return ()


def _fewer(args: Any, measured: int, calibrated: int) -> tuple[str, ...]:
    """Notes where the data has fewer samples than the user asks for."""
    asked = calibrated if args.calibration == CALIBRATION else args.calibration
    return (
        *note_on_samples(args.samples, measured),
        *note_on_calibration(asked, calibrated),
    )


def _check_vectors(vectors: int, measured: int | None) -> None:
    if measured is not None and vectors > measured > 0:
        raise UsageError(
            f"--vectors is {vectors:,}, allowed is 0 to {measured:,}: no more than are measured."
        )


def _data(source: Source, args: Any) -> tuple[Samples, Calibration, Dataset]:
    """What the network is measured on, what the quantizer may see, and what they are of."""
    from mpo_snn.data.for_graph import load_calibration, load_for_graph
    from mpo_snn.deploy.deployment import Samples
    from mpo_snn.graph.shapes import input_shape

    how, metadata, path = source.inference, source.metadata, source.data_path
    shape = input_shape(source.graph)
    scale = args.input_scale
    dataset = load_for_graph(how, metadata, shape, path=path, samples=args.samples, scale=scale)
    x = dataset.test_x[: len(dataset.test_x)]
    calibration = load_calibration(how, metadata, args.calibration, path=path, scale=scale)
    scaled = "" if scale == 1.0 else f", values times {scale:g}"
    split = "test" if dataset.evaluated_on == "test" else "training"
    title = f"{dataset.description}{scaled}"
    return Samples(x, dataset.test_y, title, dataset.test_index, split), calibration, dataset


if __name__ == "__main__":
    raise SystemExit(main())
