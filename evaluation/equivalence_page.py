"""The page of an equivalence record alone: one self-contained file."""

from __future__ import annotations

from typing import Any

from mpo_snn.page.environment import page_environment

from .equivalence_charts import equivalence_charts
from .page import TEMPLATES
from .record import groups_of
from .report import verdict


def render_equivalence(record: dict[str, Any]) -> str:
    """Draw the page.

    Args:
        record: what the exporter recorded of a comparison, as `mpo-verify --output` writes it.
    """
    template = page_environment(TEMPLATES).get_template("equivalence_page.html")
    return template.render(
        record=record,
        verdict=verdict(record),
        groups=groups_of(record),
        pictures=equivalence_charts(record),
    )
