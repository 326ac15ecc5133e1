"""The names of the splits that a loader is asked for."""

from typing import Literal

PartName = Literal["train", "test"]
