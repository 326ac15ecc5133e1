"""Options that say what NIR files are run on and how, alike in every command that compares them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.cli.scaling_options import add_scaling_options

if TYPE_CHECKING:
    from mpo_snn.export.graph_proof import GraphInput
    from mpo_snn.graph.metadata import GraphMetadata

INPUT = ("data", "data_path", "timesteps", "encoding", "readout", "data_normalize", "input_scale")
"""Their keys among what was parsed."""


def add_data_options(add: Callable[..., Any]) -> None:
    """Add `--data` and `--data.path`.

    Args:
        add: `add_argument` of a parser or of a group of its options.
    """
    add("--data", help="data set; default is the one that the run or file names")
    add(
        "--data_path",
        "--data.path",
        metavar="FILE_OR_FOLDER",
        help="where it is; default is where the run found it",
    )


def add_input_options(add: Callable[..., Any]) -> None:
    """Add what files without metadata leave open; `add` as in `add_data_options`."""
    add("--timesteps", type=int, metavar="N", help="timesteps of one inference")
    add("--encoding", metavar="NAME", help="input over time, e.g. direct or counts (docs/data.md)")
    add("--readout", metavar="NAME", help="outputs to a prediction: mean, sum, last, spike_count")
    add_scaling_options(add)


def graph_input(first: Path, metadata: GraphMetadata | None, args: Any) -> GraphInput:
    """What files are run on, as far as the command line says it.

    Args:
        first: the file that is the truth.
        metadata: of it.
        args: what was parsed.
    """
    from mpo_snn.data.named_by_content import name_by_content
    from mpo_snn.export.graph_proof import GraphInput
    from mpo_snn.training.rundir import data_path_beside

    made_for = args.data or getattr(metadata, "dataset", None)
    return GraphInput(
        args.data or (None if made_for else name_by_content(args.data_path)),
        args.data_path or data_path_beside(first, made_for),
        args.samples,
        timesteps=args.timesteps,
        dt=args.dt,
        encoding=args.encoding,
        readout=args.readout,
        normalize=args.data_normalize,
        scale=args.input_scale,
    )
