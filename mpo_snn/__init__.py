"""Spiking networks: trained with MPO, exported to NIR, proven equal, and costed.

The public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpo_snn.adaptation import adapt as adapt
    from mpo_snn.errors import MpoError as MpoError
    from mpo_snn.importer.build import from_nir as from_nir
    from mpo_snn.leaky import MPOLeaky as MPOLeaky
    from mpo_snn.mpo import MPO as MPO
    from mpo_snn.neurons import reset_hidden as reset_hidden
    from mpo_snn.settings import MPOSettings as MPOSettings
    from mpo_snn.settings import NeuronSettings as NeuronSettings
    from mpo_snn.synaptic import MPOSynaptic as MPOSynaptic
    from mpo_snn.unroll import Unrolled as Unrolled

__version__ = "0.1.0"

_HOME = {
    "MPO": "mpo",
    "MPOLeaky": "leaky",
    "MPOSettings": "settings",
    "MPOSynaptic": "synaptic",
    "MpoError": "errors",
    "NeuronSettings": "settings",
    "Unrolled": "unroll",
    "adapt": "adaptation",
    "from_nir": "importer.build",
    "reset_hidden": "neurons",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mpo_snn' has no attribute '{name}'")
    return getattr(importlib.import_module(f"mpo_snn.{_HOME[name]}"), name)
