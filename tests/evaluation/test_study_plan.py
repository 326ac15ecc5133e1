from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mpo_snn.errors import MpoError, RecipeError, StudyError
from mpo_snn.evaluation.study_check import equal_configurations
from mpo_snn.evaluation.study_folder import check_trials, run_path
from mpo_snn.evaluation.study_parsing import parse_configurations, parse_numbers, parse_seeds
from mpo_snn.evaluation.study_plan import (
    DEFAULT_CONFIGURATIONS,
    SHIPPED,
    STUDIES,
    Plan,
    StudyOptions,
    overridden,
    trials_of,
)
from mpo_snn.evaluation.study_tuning import choose_slope, fixed_slope, tuning_trials
from mpo_snn.settings import MPOSettings
from mpo_snn.training.recipe_file import differing_keys, load_recipe
from mpo_snn.training.rundir import create_run


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("3", (3,)), ("0, 7,2-3", (0, 7, 2, 3))]
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3-1", "the range 3-1 runs backwards"),
        ("a", "allowed is a list such as"),
        ("", "allowed is a list such as"),
        ("-1", "allowed is a list such as"),
        ("1,1", "1 comes more than once"),
        ("0-2,1", "1 comes more than once"),
        ("0-99999", "at most 1000"),
    ],
)
def test_wrong_seeds(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse_seeds(text)


def test_every_configuration_changes_what_it_names_and_nothing_else() -> None:
    recipe = load_recipe("digits")
    changed = {name: differing_keys(recipe, c.of(recipe)) for name, c in SHIPPED.items()}
    assert changed == {
        "mpo": [],
        "full": [],
        "no-dist": ["mpo.lambda_dist"],
        "no-width": ["mpo.adapt_width", "mpo.lambda_width"],
        "no-das": ["mpo.height"],
        "no-sfh": ["mpo.neuron_gain"],
        "baseline": ["method"],
        "tuned": ["method"],
        "adjusted": [],
        "unadjusted": ["mpo.adapt_width", "mpo.lambda_width", "mpo.neuron_gain"],
    }
    assert set(DEFAULT_CONFIGURATIONS) == set(STUDIES)


def test_the_whole_method_does_not_depend_on_what_the_recipe_has() -> None:
    digits = load_recipe("digits")
    other = MPOSettings(
        granularity="channel",
        adapt_width=False,
        width_update="gradient",
        width_momentum=0.5,
        width_pull=True,
        statistic="final",
        lambda_width=0.0,
        lambda_dist=0.5,
        target_mean="threshold",
        target_std=0.5,
        height_rate=0.1,
        height_gamma=2.0,
        height_dead_band=0.0,
        height_norm="peak",
        gain_momentum=0.5,
    )
    for name in ("full", "no-dist", "no-width", "no-das", "no-sfh"):
        configuration = SHIPPED[name]
        assert configuration.of(replace(digits, mpo=other)) == configuration.of(digits)


def test_configurations_of_ones_own() -> None:
    text = "full,fixed,narrow=--neuron.width 0.2 --network.channels=[8,8],b=--mpo.height off"
    full, fixed, narrow, b = parse_configurations(text)
    assert full is SHIPPED["full"]
    assert dict(fixed.overrides) == {"method": "fixed"}
    recipe = narrow.of(load_recipe("digits"))
    assert (recipe.neuron.width, recipe.network.channels) == (0.2, (8, 8))
    assert b.of(load_recipe("digits")).mpo.height == "off"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fulll", "unknown configuration 'fulll'"),
        ("full,", "unknown configuration ''"),
        ("full,full", "full comes more than once"),
        ("full=--neuron.width 1", "is named 'full', which has a meaning already"),
        ("a/b=--neuron.width 1", "is named 'a/b'"),
        ("a=neuron.width 1", "cannot read configuration"),
        ("a=--neuron.width", "cannot read configuration"),
        ("a=", "cannot read configuration"),
        ("a='", "No closing quotation"),
        ("a=--seed 3", "seeds are given by --seeds"),
    ],
)
def test_wrong_configurations(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse_configurations(text)


def test_wrong_overrides_are_refused_by_the_recipe() -> None:
    recipe = load_recipe("digits")
    for key, message in (("neuron.wdth", "did you mean neuron.width"), ("seed.x", "seed.x")):
        with pytest.raises(RecipeError, match=message):
            overridden(recipe, {key: 1.0}, "this")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sweep": (0, 4)}, "sweep is 0,4"),
        ({"sweep": (4, 4)}, "two different T"),
        ({"slopes": (-1.0,)}, "slopes is -1"),
        ({"slopes": ()}, "slopes is empty"),
        ({"gaussian": (float("nan"),)}, "gaussian is nan"),
        ({"salt_and_pepper": (1.5,)}, "salt_and_pepper is 1.5"),
        ({"tuning_share": 1.0}, "tuning_share is 1"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        StudyOptions(**options)  # type: ignore[arg-type]


def test_numbers() -> None:
    assert parse_numbers("sweep", "4,8", int) == (4, 8)
    with pytest.raises(StudyError, match=r"sweep is '4,x', allowed is a list of whole numbers"):
        parse_numbers("sweep", "4,x", int)


def test_the_best_mean_wins_and_the_smaller_slope_of_equal_ones() -> None:
    assert choose_slope({1.0: [0.5, 0.7], 2.0: [0.9, 0.2], 4.0: [0.6, 0.7]}) == 4.0
    assert choose_slope({4.0: [0.3, 0.6], 2.0: [0.6, 0.3]}) == 2.0
    assert choose_slope({1.0: [0.5], 2.0: [None]}) == 1.0
    with pytest.raises(StudyError, match="diverged at every slope"):
        choose_slope({1.0: [None], 2.0: [0.9, None]})


def test_tuning_holds_training_data_out_and_keeps_the_slope() -> None:
    from mpo_snn.networks.neuron import build_neuron

    trials = tuning_trials(load_recipe("digits"), StudyOptions(slopes=(2.0, 5.0)))
    assert [t.name for t in trials] == [
        f"tuning-slope{k}-s{s}" for k in (2, 5) for s in (1000, 1001)
    ]
    for trial in trials:
        assert trial.recipe.data.evaluated_on == "validation"
        assert trial.recipe.method == "fixed"
    assert float(build_neuron(trials[-1].recipe.neuron, 4).slope) == pytest.approx(5.0)
    assert "data.validation" not in fixed_slope(2.0)


def test_runs_of_another_recipe_are_refused_by_name(tmp_path: Path) -> None:
    recipe = load_recipe("digits")
    (trial,) = trials_of(recipe, [SHIPPED["full"]], [3])
    create_run(trial.recipe, run_path(tmp_path, trial))
    check_trials(tmp_path, [trial])
    changed = overridden(recipe, {"neuron.beta": 0.6, "epochs": 2}, "this")
    with pytest.raises(MpoError, match=r"full-s3 had other epochs, neuron\.beta"):
        check_trials(tmp_path, trials_of(changed, [SHIPPED["full"]], [3]))


@pytest.mark.parametrize(
    ("line", "is_same"),
    [
        ("baseline,a=--method fixed --mpo.lambda_dist 5", True),
        ("baseline,a=--method fixed --rival.recdis_lambda 5", True),
        ("dspike,a=--method dspike --neuron.width 0.1", True),
        ("dietsnn,a=--method dietsnn --neuron.width 0.1", True),
        ("dspike,a=--method dspike --rival.dspike_change 0.1", False),
        ("mpo,a=--mpo.lambda_dist 5", False),
        ("baseline,a=--method fixed --neuron.width 0.1", False),
    ],
)
def test_what_a_method_does_not_read_makes_no_difference(line: str, is_same: bool) -> None:
    configurations = parse_configurations(line)
    plan = Plan("ablation", load_recipe("digits"), (0,), configurations, Path("out"), "")
    assert bool(equal_configurations(plan)) is is_same
