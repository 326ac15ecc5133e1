"""`model.safetensors`: the weights of a finished run, and what it takes to use them.

The metadata of the file says what a sample looks like and holds a checksum of the tensors, so that
a damaged file is refused. Equal weights give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpo_snn.errors import RunError
from mpo_snn.files import write_file

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class InputDescription:
    """What the network of a run takes and what its outputs mean.

    Attributes:
        input_shape: shape of a sample, (channels, height, width); of one frame for events.
        class_names: what each output is called.
        input_scaling: how raw values became the samples, in words.
    """

    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    input_scaling: str


def write_weights(path: Path, tensors: Mapping[str, Tensor], about: InputDescription) -> None:
    """Write tensors and description as a whole or not at all.

    Raises:
        OutputError: if the disk refuses.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    description = {**asdict(about), "sha256": _checksum(save(tensors))}
    # One key: safetensors writes several in an order that differs from process to process.
    write_file(path, save(tensors, {_KEY: json.dumps(description)}))


def read_weights(path: Path) -> tuple[dict[str, Tensor], InputDescription]:
    """The tensors, on the CPU, and their description.

    Raises:
        RunError: if the file cannot be read or is damaged.
    """
    from safetensors.torch import load

    content, about = _read(path)
    return load(content), about


def describe_weights(path: Path) -> InputDescription:
    """The description alone; the file is checked as `read_weights` does.

    Raises:
        RunError: if the file cannot be read or is damaged.
    """
    return _read(path)[1]


def _read(path: Path) -> tuple[bytes, InputDescription]:
    try:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + _header_length(content)])
        found = json.loads(header["__metadata__"][_KEY])
        about = InputDescription(
            tuple(found["input_shape"]), tuple(found["class_names"]), found["input_scaling"]
        )
        intact = found["sha256"] == _checksum(content)
    except OSError as error:
        raise RunError(f"cannot read '{path}': {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"cannot read '{path}': it is damaged. {_WAY_OUT}") from error
    if not intact:
        raise RunError(f"cannot use '{path}': its checksum does not match. {_WAY_OUT}")
    return content, about


_KEY = "mpo_snn"
_WAY_OUT = "Delete it and use `mpo-train --resume` on its run, which writes it anew."


def _header_length(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _checksum(content: bytes) -> str:
    """SHA-256 of the tensors' bytes, which follow the header."""
    return hashlib.sha256(content[8 + _header_length(content) :]).hexdigest()
