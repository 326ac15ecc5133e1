from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mpo_snn.evaluation.study_frame import EMPTY, has_data
from mpo_snn.evaluation.study_membranes import reach
from mpo_snn.evaluation.study_plan import Configuration
from mpo_snn.evaluation.study_results import told, write_results
from mpo_snn.evaluation.study_series import look_of

from .drawn_studies import MODULES, draw, membrane, named

MOST = 21
"""Configurations that a figure has to tell apart: all that are shipped, and all rivals."""


def all_figures(study: str, count: int, patch: pytest.MonkeyPatch) -> dict[str, Figure]:
    return dict(draw(study, named(count), patch)[1].figures)


def shown(figure: Figure) -> list[Axes]:
    """The panels, without the places of a grid that have none."""
    return [axes for axes in figure.axes if axes.axison]


def words(figure: Figure) -> str:
    """The heading, and all words around and in the panels."""
    legend = [text.get_text() for found in figure.legends for text in found.get_texts()]
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    labels = [axes.get_ylabel() for axes in figure.axes]
    return "\n".join([figure.get_suptitle(), *legend, *inside, *labels])


def boxes(figure: Figure) -> list[Bbox]:
    """Of the heading, the legend, and each panel with its labels, less what two may touch by."""
    figure.draw_without_rendering()
    assert figure._suptitle is not None
    panels = [axes.get_tightbbox() for axes in shown(figure)]
    found = [figure._suptitle.get_window_extent(), *panels]
    found += [legend.get_window_extent() for legend in figure.legends]
    return [box.padded(-1.0) for box in found if box is not None]


@pytest.mark.parametrize(
    "keys", [("color", "linestyle", "marker"), ("color", "linestyle"), ("color", "marker")]
)
def test_no_two_series_look_alike(keys: tuple[str, ...]) -> None:
    looks = [look_of(n) for n in range(MOST)]
    assert len({tuple(look[key] for key in keys) for look in looks}) == MOST


def test_lines_without_markers_are_told_apart_by_their_style() -> None:
    looks = [look_of(n, dots=False) for n in range(MOST)]
    assert all("marker" not in look for look in looks)
    assert len({(look["color"], look["linestyle"]) for look in looks}) == MOST


@pytest.mark.parametrize("study", ["timesteps", "robustness", "dynamics"])
def test_every_configuration_has_a_line_and_a_key_of_its_look(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = all_figures(study, MOST, monkeypatch)
    for name in figures.keys() - {"membranes", "width-and-sigma"}:
        looks = [
            {
                (to_hex(line.get_color()), line.get_linestyle(), line.get_marker())
                for line in holder.get_lines()
            }
            for holder in (*shown(figures[name]), *figures[name].legends)
        ]
        assert all(len(found) == MOST and found == looks[0] for found in looks)


@pytest.mark.parametrize("count", [1, 3, MOST])
@pytest.mark.parametrize("study", list(MODULES))
def test_nothing_covers_anything_and_nothing_is_cut_off(
    study: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for figure in all_figures(study, count, monkeypatch).values():
        found = boxes(figure)
        assert not any(a.overlaps(b) for a, b in combinations(found, 2))
        page = figure.bbox
        assert all(
            page.x0 <= box.x0 and page.y0 <= box.y0 and box.x1 <= page.x1 and box.y1 <= page.y1
            for box in found
        )
        assert all(axes.bbox.height > 50 and axes.bbox.width > 50 for axes in figure.axes)


@pytest.mark.parametrize("study", list(MODULES))
def test_every_figure_says_of_what_it_is(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, results = draw(study, named(2), monkeypatch)
    for name, figure in results.figures.items():
        middle = "mean" if name == "membranes" else "mean ± s.d."
        assert figure.get_suptitle().startswith(f"{plan.recipe.name}, {middle} of 3 seeds")


@pytest.mark.parametrize(
    ("study", "name"),
    [
        ("ablation", "ablation"),
        ("timesteps", "timesteps"),
        ("robustness", "robustness"),
        ("dynamics", "training-curves"),
    ],
)
@pytest.mark.parametrize(("share", "split"), [(0.0, "test"), (0.2, "validation")])
def test_accuracy_says_of_which_split(
    study: str, name: str, share: float, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, results = draw(study, named(2), monkeypatch, validation=share)
    drawn = results.figures[name]
    labels = {axes.get_xlabel() for axes in drawn.axes} | {axes.get_ylabel() for axes in drawn.axes}
    assert f"{split} accuracy / %" in labels
    assert "accuracy / %" not in labels
    if study != "dynamics":
        assert all(f"{split} accuracy" in table.title for table in results.tables)


def test_ablation_names_the_reference_of_its_dotted_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mean of baseline" in words(all_figures("ablation", 3, monkeypatch)["ablation"])
    alone = draw("ablation", named(1), monkeypatch)[1].figures["ablation"]
    assert "mean of" not in words(alone).replace("mean ± s.d. of", "")


def test_heights_of_membranes_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("mpo", "baseline", "klif")
    configurations = [Configuration(name, name, {"method": "fixed"}) for name in names]
    figure = draw("dynamics", configurations, monkeypatch)[1].figures["membranes"]
    figure.draw_without_rendering()
    for first in range(2):
        assert len({axes.get_ylim() for axes in figure.axes[first::2]}) == 1
    assert all(any(t.get_text() for t in axes.get_yticklabels()) for axes in figure.axes)
    cut = [[t.get_text() for t in axes.texts] for axes in figure.axes]
    assert cut[:4] == [[]] * 4
    assert cut[4:] == [["cut off, up to 5.2"]] * 2
    assert "density" in words(figure)
    assert "threshold" in words(figure)


def test_the_axis_of_membranes_reaches_to_nearly_all_of_them() -> None:
    assert reach([{-2.0: 0.5, 0.3: 0.5}]) == (-2, 2, 0.0)
    low, high, beyond = reach([membrane(False), {-float("inf"): 0.01, 0.0: 0.985, 2.5: 0.005}])
    assert (low, high) == (-6, 4)
    assert beyond == pytest.approx(0.01)


def test_what_lies_beyond_the_axis_of_membranes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = all_figures("dynamics", 2, monkeypatch)["membranes"]
    low, high = figure.axes[0].get_xlim()
    beyond = sum(share for edge, share in membrane(False).items() if not low <= edge < high)
    said = figure.get_suptitle().partition("at most ")[2].partition(" %")[0]
    assert 100 * beyond <= float(said) <= 100 * beyond + 0.01


@pytest.mark.parametrize("study", list(MODULES))
def test_a_figure_without_data_is_not_written(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    plan, results = draw(study, named(2), monkeypatch)
    written = write_results(plan, results, 1.0)
    assert len(written) == 2 + 2 * len(results.figures)
    assert told(results) == list(results.notes)
    plan, lost = draw(study, named(2), monkeypatch, diverged=("mpo", "baseline"))
    assert lost.figures.keys() == results.figures.keys()
    assert len(write_results(plan, lost, 1.0)) == 2
    assert not list(Path("out/figures").iterdir())
    assert all(name in told(lost)[-1] for name in lost.figures)
    assert told(lost)[-1].startswith("nothing to show, so not written: figures/")


def test_a_panel_without_data_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = [f"{c.name}-T8-s{seed}" for c in named(2) for seed in range(3)]
    figure = draw("timesteps", named(2), monkeypatch, diverged=longest)[1].figures["timesteps"]
    assert has_data(figure)
    silent = [
        axes.get_ylabel() for axes in figure.axes if EMPTY in [t.get_text() for t in axes.texts]
    ]
    assert silent == ["rate error / %", "gradient degradation / %"]


def test_a_configuration_that_diverged_is_named_and_has_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ablation = draw("ablation", named(2), monkeypatch, diverged=["mpo"])[1].figures["ablation"]
    assert "diverged" in words(ablation)
    noise = draw("robustness", named(2), monkeypatch, diverged=["mpo"])[1].figures["robustness"]
    assert [text.get_text() for text in noise.legends[0].get_texts()] == ["baseline"]


def test_the_same_results_give_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    written = []
    for _ in range(2):
        write_results(*draw("robustness", named(3), monkeypatch), 1.0)
        written.append({p.name: p.read_bytes() for p in Path("out/figures").iterdir()})
    assert written[0] == written[1]
