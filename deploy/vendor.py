"""What the vendor's own toolchain takes, as files of a deployment directory."""

from __future__ import annotations

from mpo_snn.errors import DeployError

from .deployment import Deployment
from .speck_quantize import SpeckNetwork
from .speck_vendor import speck_files
from .xylo_quantize import XyloIntegers
from .xylo_vendor import xylo_files


def loading_files(deployment: Deployment) -> dict[str, bytes | str]:
    """Content by name; empty where there is no toolchain to speak of."""
    profile, integers = deployment.profile, deployment.integers
    if isinstance(integers, XyloIntegers):
        return xylo_files(integers, profile)
    if isinstance(integers, SpeckNetwork):
        try:
            return dict(speck_files(integers, profile))
        except DeployError as error:
            return {"load_on_speck.txt": f"{error}\n"}
    return {}
