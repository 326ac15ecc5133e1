"""`mpo-shards`: packs image files into tar shards that training streams."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from mpo_snn.cli.command import OK, CommandParser, run_command

NAME = "mpo-shards"
_DESCRIPTION = """\
Packs image files into tar shards, for training that streams them from disks or object stores.

SOURCE is a folder or a tar with train/CLASS/* and val/CLASS/*. Images keep their bytes. FOLDER then
holds the shards and shards.json, which is written last; mpo-train takes it as --data.path, there or
wherever it is copied to."""
_EXAMPLES = """\
mpo-shards imagenet/ imagenet-shards
mpo-shards imagenette.tar imagenette-shards --images 500"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; `argv` is the command line without the program's name."""
    return run_command(lambda: _write(sys.argv[1:] if argv is None else argv), NAME)


def _write(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    from mpo_snn.data.shard_writer import write_shards

    output = Path(options.folder)
    told = None if options.quiet else _tell
    write_shards(Path(options.source), output, options.images, told)
    print(f"next: mpo-train RECIPE --data.name imagefolder --data.path {shlex.quote(str(output))}")
    return OK


def _parser() -> CommandParser:
    parser = CommandParser(NAME, "SOURCE FOLDER [--images N]", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("source", metavar="SOURCE", help="folder or tar of image files")
    parser.add_argument("folder", metavar="FOLDER", help="where to write; absent or without shards")
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="images in a shard")
    parser.add_argument("--quiet", action="store_true", help="say nothing of single shards")
    return parser


def _tell(file: str, images: int) -> None:
    print(f"{file}: {images} images", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
