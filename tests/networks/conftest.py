from __future__ import annotations

import pytest

from mpo_snn.networks import network_names

from .cases import CASES, Case


@pytest.fixture(params=network_names())
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]
