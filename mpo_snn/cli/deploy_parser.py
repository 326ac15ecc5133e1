"""The options of `mpo-deploy`."""

from __future__ import annotations

from mpo_snn.cli.command import CommandParser
from mpo_snn.cli.scaling_options import add_input_scale

NAME = "mpo-deploy"
CALIBRATION = 128
"""Samples that the quantizer sees unless somebody says."""
_EXAMPLE = """\
mpo-deploy runs/digits-xylo --target xylo-audio3
mpo-deploy runs/digits/model.nir --target loihi-1 --check
mpo-deploy foreign.nir --target loihi-1 --check --dt 1e-3 --encoding counts
mpo-deploy foreign.nir --target speck-2e --data digits --timesteps 8 --dt 1e-3 \\
           --encoding counts --readout spike_count --reset subtract
mpo-deploy runs/digits-loihi --target my-chip.toml
mpo-deploy --list
mpo-deploy --show speck-2e"""


def deploy_parser() -> CommandParser:
    """The parser of the command."""
    parser = CommandParser(
        NAME,
        "RUN_OR_FILE --target NAME [--output DIR] [--check]",
        "Put a trained run, or any NIR file, on a chip: check every rule, round to the chip's\n"
        "formats, run the test split in the chip's own integers, write a deployment directory.\n"
        "Exit code 1 if the network does not fit or falls silent; then nothing is written.",
        _EXAMPLE,
    )
    add = parser.add_argument
    add("source", nargs="?", metavar="RUN_OR_FILE", help="run directory or NIR file")
    add("--target", metavar="NAME", help="chip (--list shows them), or a .toml file of your own")
    add("--check", action="store_true", help="check only: findings and resources, nothing written")
    add(
        "--output",
        metavar="DIR",
        help="where it goes; default: deploy-TARGET in the run, beside own.nir own.deploy-TARGET",
    )
    add(
        "--samples",
        type=int,
        metavar="N",
        help="measure on this many test samples, every class in its share; default all",
    )
    add(
        "--calibration",
        type=int,
        default=CALIBRATION,
        metavar="N",
        help="training samples that the quantizer may see, every class in its share",
    )
    add(
        "--vectors",
        type=int,
        default=0,
        metavar="K",
        help="write vectors.npz: events, spikes, membranes, currents and answers of the first K"
        " measured samples",
    )
    add("--data", metavar="NAME", help="data set; default is the one that the source names")
    add("--data_path", "--data.path", metavar="FILE_OR_FOLDER", help="where it is")
    add("--timesteps", type=int, metavar="N", help="foreign file: timesteps of one inference")
    add(
        "--dt",
        type=float,
        metavar="SECONDS",
        help="length of a timestep; of a run 1e-4, which decides no spike",
    )
    add("--encoding", metavar="NAME", help="foreign file: counts, rows, rate, latency or frames")
    add("--readout", metavar="NAME", help="foreign file: spike_count")
    add(
        "--reset",
        choices=("subtract", "zero"),
        help="foreign file: what a spike does, where it is not what NIR says (zero)",
    )
    add_input_scale(add)
    add("--list", action="store_true", help="show the shipped chips")
    add("--show", metavar="NAME", help="show all that is known of a chip, with sources")
    return parser
