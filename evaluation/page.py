"""The page: `report.html`, one self-contained file, drawn from the report's dictionary alone.

Every figure on the page stands in a `<data>` element that names the report's key it comes from
(`data-of="summary.density"`) and holds the exact value beside what is shown.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from mpo_snn.page.environment import page_environment
from mpo_snn.page.look_up import look_up
from mpo_snn.page.quantities import (
    ABSENT,
    show_bytes,
    show_count,
    show_density,
    show_energy,
    show_percent,
    show_points,
    show_ratio,
    show_rr,
    show_seconds,
)

from .confusion import MOST_BESIDE, MOST_CLASSES, most_confused
from .equivalence_charts import equivalence_charts
from .page_charts import drawn_graph, layer_charts, robustness_charts, sample_charts
from .record import groups_of

TEMPLATES = "mpo_snn.evaluation"
"""The package whose templates the pages of this stage are."""
SHOW = {
    "bytes": show_bytes,
    "count": show_count,
    "density": show_density,
    "energy": show_energy,
    "percent": show_percent,
    "points": show_points,
    "ratio": show_ratio,
    "rr": show_rr,
    "seconds": show_seconds,
}


def render_page(report: dict[str, Any]) -> str:
    """Draw the page.

    Args:
        report: what `build_report` gave, or the same read back from `report.json`.
    """
    environment = page_environment(TEMPLATES)
    environment.filters.update(SHOW)

    def figure(path: str, quantity: str) -> Markup:
        value = look_up(report, path)
        if value is None:
            return Markup('<data data-of="{}" value="">{}</data>').format(path, ABSENT)
        shown = SHOW[quantity](value)
        return Markup('<data data-of="{}" value="{}">{}</data>').format(path, value, shown)

    return environment.get_template("report.html").render(
        report=report,
        figure=figure,
        charts=layer_charts(report) | sample_charts(report),
        graph=drawn_graph(report),
        robustness=robustness_charts(report["robustness"]),
        most_confused=most_confused(report["decisions"]),
        most_classes=MOST_CLASSES,
        is_broad=len(report["decisions"]["classes"]) > MOST_BESIDE,
        groups=groups_of(report["equivalence"]),
        pictures=equivalence_charts(report["equivalence"]),
    )
