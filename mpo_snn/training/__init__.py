"""Training: recipes, the loop (Lightning's), and the run directory that it leaves behind.

Names are loaded when they are first used: a recipe can be read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpo_snn.training.fit import fit as fit
    from mpo_snn.training.recipe import Recipe as Recipe
    from mpo_snn.training.recipe_file import load_recipe as load_recipe
    from mpo_snn.training.rundir import Run as Run
    from mpo_snn.training.rundir import open_run as open_run

_HOME = {
    "Recipe": "recipe",
    "Run": "rundir",
    "fit": "fit",
    "load_recipe": "recipe_file",
    "open_run": "rundir",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mpo_snn.training' has no attribute '{name}'")
    return getattr(importlib.import_module(f"mpo_snn.training.{_HOME[name]}"), name)
