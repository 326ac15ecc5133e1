"""How a measurement was started, for the file of its results."""

import shlex
import sys
from pathlib import Path


def command_line() -> str:
    """The command line of this process for any machine: absolute paths are told by their names."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.orig_argv[1:]]
    return shlex.join(["python", *words])
