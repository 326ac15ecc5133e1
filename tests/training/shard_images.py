"""Images whose number can be seen, packed into shards, and what is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from mpo_snn.data.settings import DataSettings
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_values import recipe_from

CLASSES, SIZE = ("cat", "dog", "owl"), 16


def write_images(root: Path, train: int = 30, test: int = 9) -> Path:
    """A folder of PNG files of one colour each; its red value is the number of the image."""
    for part, count in (("train", train), ("val", test)):
        for number in range(count):
            folder = root / part / CLASSES[number % 3]
            folder.mkdir(parents=True, exist_ok=True)
            colour = (number, 80 * (number % 3), 0)
            Image.new("RGB", (SIZE, SIZE), colour).save(folder / f"{number:03d}.png")
    return root


def settings(path: Path | str, **changes: Any) -> DataSettings:
    return DataSettings("imagefolder", str(path), size=SIZE, buffer=5, **changes)


def recipe(path: Path, **data: Any) -> Recipe:
    return recipe_from(
        {
            "name": "streamed",
            "epochs": 2,
            "timesteps": 2,
            "network": {"channels": [4, 4]},
            "optimizer": {"batch_size": 8},
            "data": {
                "name": "imagefolder",
                "path": str(path),
                "size": SIZE,
                "buffer": 5,
                "resized_crop": True,
                "flip": True,
                "normalize": True,
                **data,
            },
        }
    )
