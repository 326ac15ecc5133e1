"""Whether the packages of the extra `onnx` are there, told before anything needs them."""

from __future__ import annotations

import importlib.util

from mpo_snn.errors import ExportError

_PACKAGES = ("onnx", "onnxruntime")


def require_onnx() -> None:
    """Check that onnx and onnxruntime can be imported.

    Raises:
        ExportError: naming what is missing and how it is installed.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ExportError(
            f"cannot use ONNX: {' and '.join(missing)} {verb} not installed;"
            " pip install 'mpo-snn[onnx]' installs both."
        )
