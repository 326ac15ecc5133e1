"""Every reader that is known."""

from __future__ import annotations

from .nirtorch import NIRTORCH
from .norse import NORSE
from .plain import PLAIN
from .portable import PORTABLE
from .reader import Reader
from .rockpool import ROCKPOOL
from .sinabs import SINABS
from .snntorch import SNNTORCH
from .spikingjelly import SPIKINGJELLY
from .spyx import SPYX

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        SNNTORCH,
        NORSE,
        SPIKINGJELLY,
        SINABS,
        ROCKPOOL,
        SPYX,
        NIRTORCH,
        PORTABLE,
        PLAIN,
    )
}
"""Every reader by the name that --reader takes."""
