from operator import attrgetter

import pytest

from repro import config
from repro.config import FIELDS, READINGS, Experiment
from repro.model import check_network
from repro.study import grids
from repro.study.grids import Variant

FULL = ("coarse", "quick", "paper")


def changed_fields(one: Experiment, other: Experiment) -> dict[str, object]:
    of = {field: attrgetter(field) for field in FIELDS}
    return {field: get(other) for field, get in of.items() if get(one) != get(other)}


def by_name(grid: list[Variant]) -> dict[str, Experiment]:
    return {variant.name: variant.experiment for variant in grid}


# Grids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", FULL)
def test_readings_has_every_alternative_of_every_reading_alone(preset: str) -> None:
    base = config.preset(preset)
    variants = grids.readings(preset, base)
    against = {variant.name: variant.against for variant in variants}
    grid = by_name(variants)
    assert list(grid)[:3] == ["default", "gap", "bilinear"]
    assert grid["default"] == base
    found: dict[str, list[object]] = {}
    for variant in list(grid)[3:]:
        [(field, value)] = changed_fields(grid[against[variant]], grid[variant]).items()
        assert variant.startswith(f"{field}=")
        assert (against[variant] == "bilinear") == (field == "network.bilinear_norm")
        found.setdefault(field, []).append(value)
        check_network(grid[variant].network)
    later = tuple(m + 1 for m in base.training.milestones)
    expected = {r.field: [value for value, _ in r.alternatives] for r in READINGS}
    assert found == expected | {"training.milestones": [later]}
    assert len({experiment.key for experiment in grid.values()}) == len(grid)


def test_a_change_is_called_by_what_sets_it_on_the_command_line() -> None:
    base = config.preset("paper")
    grid = by_name(grids.readings("paper", base))
    assert grid["front_end.scale=segment-max"] == base.override("front_end.scale=segment-max")
    assert grid["network.pools=(2, 3, 4)"] == base.override("network.pools=(2, 3, 4)")
    assert grid["training.milestones=+1"].training.milestones == (22, 32, 42)
    assert grids.short_name("front_end.scale=segment-max") == "scale=segment-max"
    assert grids.short_name("default") == "default"


def test_later_milestones_need_milestones() -> None:
    assert "training.milestones=+1" not in grids.changes(config.preset("smoke"))
    assert "training.milestones=+1" in grids.changes(config.preset("demo"))


def test_what_the_base_has_already_is_no_change() -> None:
    base = config.preset("paper").override("front_end.scale=segment-log")
    assert "front_end.scale=segment-log" not in by_name(grids.readings("paper", base))
    base = config.preset("paper").override("protocol.folds=random")
    assert list(by_name(grids.protocol("paper", base))).count("protocol.folds=random") == 0


@pytest.mark.parametrize("preset", FULL)
def test_protocol_has_every_trap(preset: str) -> None:
    base = config.preset(preset)
    grid = by_name(grids.protocol(preset, base))
    assert list(grid) == ["default", *grids.TRAPS]
    for variant, experiment in grid.items():
        assert experiment == (base if variant == "default" else base.override(variant))


@pytest.mark.parametrize("preset", config.SHOWCASES)
def test_showcases_run_a_few_rows(preset: str) -> None:
    base = config.preset(preset)
    assert set(by_name(grids.readings(preset, base))) == {*grids.TO_THE_LETTER, *grids.FEW_READINGS}
    assert set(by_name(grids.protocol(preset, base))) == {"default", *grids.FEW_TRAPS}
    assert set(grids.FEW_TRAPS) <= set(grids.TRAPS)


# The readings that train best --------------------------------------------------------------------


PAPER = config.preset("paper")
GRID = grids.readings("paper", PAPER)


def chosen(of: dict[str, float]) -> dict[str, object]:
    return {change.reading.field: change.value for change in grids.chosen(GRID, of)}


def losses(**low: float) -> dict[str, float]:
    """A loss of 1 for every variant, but for some; names as in a grid, with _ for what is not."""
    found = dict.fromkeys(by_name(GRID), 1.0)
    assert set(low) <= set(found)
    return found | low


def test_each_field_takes_the_value_with_the_lowest_loss() -> None:
    scales = {"segment-max": 0.9, "segment-log": 0.7, "training-set": 0.8}
    low = {f"front_end.scale={name}": loss for name, loss in scales.items()}
    low |= {"network.pools=(2, 3, 4)": 1.1, "network.attention_bn=True": 0.99}
    of = losses(**low, **{"training.milestones=+1": 0.5})
    wanted = {"front_end.scale": "segment-log", "network.attention_bn": True}
    wanted |= {"training.milestones": (22, 32, 42)}
    assert chosen(of) == wanted
    best = by_name(grids.best_readings(GRID, of))
    assert set(best) == set(grids.AT_ITS_BEST)
    for name, pooling in grids.AT_ITS_BEST.items():
        expected = wanted | ({} if pooling == "attention" else {"network.pooling": pooling})
        assert changed_fields(PAPER, best[name]) == expected


def test_the_default_wins_a_tie_and_nothing_better_changes_nothing() -> None:
    assert chosen(losses()) == {}
    best = by_name(grids.best_readings(GRID, losses()))
    assert best["best readings, attention"] == PAPER


def test_the_bilinear_norm_is_compared_with_the_bilinear_network() -> None:
    norm = "network.bilinear_norm=sqrt-l2"
    assert chosen(losses(**{norm: 0.9, "bilinear": 0.8})) == {}
    assert chosen(losses(**{norm: 1.5, "bilinear": 2.0})) == {"network.bilinear_norm": "sqrt-l2"}


def test_a_choice_is_made_between_what_has_a_loss() -> None:
    of = losses(**{"network.bilinear_norm=sqrt-l2": 0.1, "front_end.bins=1-400": 0.9})
    del of["bilinear"], of["front_end.scale=segment-log"]
    assert chosen(of) == {"front_end.bins": "1-400"}
    del of["default"]
    assert not grids.best_readings(GRID, of)


OTHER_DATA = """front_end.short=drop front_end.short=drop-training front_end.tail=pad
training.class_weights=inverse-frequency protocol.labels=hap+exc protocol.folds=random
protocol.epoch=best-on-test protocol.score=logits"""


@pytest.mark.parametrize("variant", OTHER_DATA.split())
def test_what_changes_the_data_or_the_measure_of_loss_cannot_be_chosen(variant: str) -> None:
    assert chosen(losses(**{variant: 0.0})) == {}


def test_repeating_short_utterances_keeps_the_data_and_can_be_chosen() -> None:
    of = losses(**{"front_end.short=repeat": 0.5, "front_end.short=drop": 0.1})
    assert chosen(of) == {"front_end.short": "repeat"}
