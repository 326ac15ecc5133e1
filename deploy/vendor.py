"""What the vendor's own toolchain takes, as files of a deployment directory."""

from __future__ import annotations

from .deployment import Deployment
from .xylo_vendor import xylo_script


def loading_files(deployment: Deployment) -> dict[str, bytes | str]:
    """Content by name; empty where there is no toolchain to speak of."""
    if deployment.profile.family == "xylo":
        return dict(xylo_script(deployment.profile))
    return {}
