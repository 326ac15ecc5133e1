"""Pictures for the documentation out of those of `make browser`: cut, smaller, in few colours.

    python -m browser.doc_pictures build/browser docs/images/report demo=digits resnet19=resnet19

Of each report the upper part, wide, narrow and dark, and the first two pages in print.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

PARTS = {"wide": (1280, 2000), "narrow": (390, 2000), "dark": (1280, 2000), "print": (1808, 1261)}
"""Width and height in pixels of what is kept, from the upper left corner."""
COLOURS = 256
MOST_BYTES = 200_000


def main() -> int:
    """Write every picture; 1 if one is larger than documentation should carry."""
    parser = argparse.ArgumentParser(prog="browser.doc_pictures", description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder that make browser wrote")
    parser.add_argument("target", type=Path, help="folder in the documentation")
    parser.add_argument("reports", nargs="+", metavar="NAME=NEW_NAME")
    options = parser.parse_args()
    options.target.mkdir(parents=True, exist_ok=True)
    too_large = 0
    for report in options.reports:
        name, _, new_name = report.partition("=")
        for form, size in PARTS.items():
            path = options.target / f"{new_name or name}-{form}.png"
            shrink(Image.open(options.pictures / f"{name}-{form}.png"), size).save(
                path, optimize=True
            )
            bytes_written = path.stat().st_size
            print(f"{path} {bytes_written:,} bytes")
            too_large += bytes_written > MOST_BYTES
    return int(too_large > 0)


def shrink(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The upper left corner of this size, with a phone's width kept and a larger one at 2/3."""
    width, height = min(size[0], picture.width), min(size[1], picture.height)
    part = picture.convert("RGB").crop((0, 0, width, height))
    if width > 600:
        part = part.resize((width * 2 // 3, height * 2 // 3), Image.Resampling.LANCZOS)
    return part.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


if __name__ == "__main__":
    sys.exit(main())
