import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny_corpus
from made_up import answers, utterances
from matplotlib.figure import Figure

from repro import config, paper, results
from repro.corpora import planted
from repro.evidence import recovery
from repro.report import plots
from repro.report.pages import recovery as page
from repro.study import grids
from repro.study.plan import Run
from repro.study.read import held
from repro.study.run import run

CHANCE = 25.0


@cache
def predictions(
    accuracy: Callable[[planted.Scale, int], float],
    preset: str = "quick",
    speakers: int = 5,
    per_class: int = 20,
) -> pd.DataFrame:
    """Made-up results: of each class and speaker, a share of the utterances is right."""
    table = utterances(speakers, per_class)
    parts = []
    for variant, each in grids.variants("recovery", preset).items():
        scale = recovery.scale_of(variant)
        right = table["number"] < round(accuracy(scale, recovery.reach_of(variant)) * per_class)
        run = {"study": "recovery", "preset": preset, "variant": variant}
        run |= {"key": each.experiment.key, "corpus": scale.corpus, "corpus_hash": scale.corpus}
        parts.append(answers(table, right, **run))
    return pd.concat(parts, ignore_index=True)


def sharp(scale: planted.Scale, reach: int) -> float:
    return 0.9 if reach >= scale.size else 0.25


def early(scale: planted.Scale, reach: int) -> float:
    return 0.9


def never(scale: planted.Scale, reach: int) -> float:
    return 0.25


# The point of half rise --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([25, 25, 85, 85], np.sqrt(20 * 40)),  # 55 is halfway between the second and the third
        ([25, 55, 85, 85], 20),
        ([25, 40, 70, 85], np.sqrt(20 * 40)),
        ([25, 25, 70, 85], 20 * 2 ** (30 / 45)),
        ([85, 85, 85, 85], 10),  # there from the start
        ([25, 85, 25, 85], np.sqrt(10 * 20)),  # the first rise counts
        ([20, 22, 24, 25], np.nan),  # never above chance
    ],
)
def test_half_rise(accuracy: list[float], expected: float) -> None:
    reaches = np.array([10, 20, 40, 80])
    found = recovery.half_rise(reaches, np.array(accuracy, float), CHANCE)
    assert found == pytest.approx(expected, nan_ok=True)


# Recovered scales --------------------------------------------------------------------------------


def test_a_sweep_that_rises_at_the_planted_scale_gives_it_away() -> None:
    table = recovery.recovered(predictions(sharp))
    assert table["scale"].to_list() == [scale.text for scale in planted.SCALES]
    assert table["speakers"].unique() == [5] and table["chance"].unique() == [CHANCE]
    for row in table.itertuples():
        sizes = grids.WIDTHS if row.unit == "ms" else grids.HEIGHTS
        reaches = [10 * size for size in sizes]
        above = min(reach for reach in reaches if reach >= row.planted)
        below = max(reach for reach in reaches if reach < row.planted)
        assert row.recovered == pytest.approx(np.sqrt(above * below))
        assert row.low <= row.recovered <= row.high
        assert not row.at_most and not row.early
    assert (table["half WA"] == CHANCE).all() and (table["best WA"] == 90).all()
    assert (table["half reach"] <= table["planted"] / 2).all()


def test_a_rise_before_the_planted_scale_is_called_early() -> None:
    table = recovery.recovered(predictions(early)).set_index("scale")
    assert table["early"].all() and table["at_most"].all()
    assert table.loc["160 ms", "recovered"] == pytest.approx(20)
    assert (table["low"] == table["high"]).all()


def test_a_sweep_that_learns_nothing_gives_no_scale() -> None:
    table = recovery.recovered(predictions(never))
    assert table[["recovered", "low", "high"]].isna().all(axis=None)
    assert not table["early"].any()
    said = page.answer(table).data
    assert (page.recovered(table)["recovered"] == "none").all()
    # Nothing is said of scales that were not found, and five speakers are not too few.
    assert not re.search("larger|interval|times", said)


def test_few_speakers_give_no_interval() -> None:
    table = recovery.recovered(predictions(sharp, speakers=2))
    assert set(page.recovered(table)["smallest as good"]) == {"–"}
    assert table["recovered"].notna().all() and table[["low", "high"]].isna().all(axis=None)


def test_an_interval_covers_speakers_that_differ() -> None:
    data = predictions(sharp)
    # For one of the five every filter of 80 ms planted is as good as any other.
    late = (data["fold"] == "00") & (data["corpus"] == "planted-80ms")
    kept = data[~late]
    others = data[late].assign(predicted=data.loc[late, "emotion"])
    row = recovery.recovered(pd.concat([kept, others])).set_index("scale").loc["80 ms"]
    assert row["low"] < row["recovered"] <= row["high"] and row["high"] - row["low"] > 1


# Grids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", config.PRESETS)
def test_the_filter_meets_every_position_of_the_axis_it_is_swept_over(preset: str) -> None:
    grid = grids.variants("recovery", preset)
    every = {recovery.reach_of(variant) for variant in grid}
    for variant, of in grid.items():
        experiment = of.experiment
        scale = recovery.scale_of(variant)
        ((height, width),) = experiment.network.stems
        down, along = experiment.network.stride
        if scale.unit == "ms":
            assert along == 1 and height == paper.SWEEP_FIXED and 10 * width in every
        else:
            assert down == 1 and width == paper.SWEEP_FIXED and 10 * height in every
        assert preset != "paper" or experiment.network.stride == (1, 1)
        assert experiment.network.trunk == () and experiment.network.pooling == "gap"
        assert experiment.training.max_segments is None
        assert experiment.front_end == config.FrontEnd()
    swept = {(recovery.scale_of(variant), recovery.reach_of(variant)) for variant in grid}
    assert len(swept) == len(grid)
    for scale in {scale for scale, _ in swept}:
        reaches = [reach for each, reach in swept if each == scale]
        assert min(reaches) < scale.size < max(reaches)


def test_quick_plants_every_scale_and_holds_out_enough_for_intervals() -> None:
    grid = grids.variants("recovery", "quick")
    scales = {recovery.scale_of(variant).text for variant in grid}
    assert scales == {"40 ms", "80 ms", "160 ms", "50 Hz", "100 Hz", "200 Hz"}
    assert {v.experiment.protocol.max_folds for v in grid.values()} == {5}


# Running it --------------------------------------------------------------------------------------


def test_each_variant_has_its_own_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "r.jsonl"
    overrides = ["training.epochs=1", "training.max_segments=16", "protocol.max_folds=2"]
    overrides += ["network.stem_channels=2", "network.stride=(50, 50)"]
    settings = {"device": "cpu", "precision": "fp32", "preset": tiny_corpus.changed(overrides)}
    assert run(Run("recovery", results=path, **settings)) == 8
    assert run(Run("recovery", results=path, **settings)) == 0
    records = results.read_lines(path)
    assert {(r["variant"], r["corpus"]["name"]) for r in records} == {
        ("80 ms, 2x2", "planted-80ms"),
        ("80 ms, 2x16", "planted-80ms"),
        ("100 Hz, 2x2", "planted-100hz"),
        ("100 Hz, 20x2", "planted-100hz"),
    }
    assert len({r["corpus"]["hash"] for r in records}) == 2
    assert all(len(r["predictions"]["utterance"]) == 24 for r in records)
    read = held(Run("recovery", results=path, **settings))
    assert len(read.folds) == 8 and set(read.folds["variant"]) == {r["variant"] for r in records}
    table = recovery.sweeps(read.predictions)
    assert table["reach"].to_list() == [20, 160, 20, 200]
    assert table["planted"].to_list() == [80, 80, 100, 100]


# Pages -------------------------------------------------------------------------------------------


def test_the_page_sets_recovered_beside_planted() -> None:
    found = recovery.recovered(predictions(sharp))
    table = page.recovered(found)
    assert table["planted"].to_list() == [scale.text for scale in planted.SCALES]
    assert table["recovered"].str.match(r"\d+ \[\d+, \d+\] (ms|Hz)").all()
    text = page.answer(found).data
    assert "are not shown to do better than chance." in text and "scales always give larger" in text
    found_early = recovery.recovered(predictions(early))
    assert page.recovered(found_early)["recovered"].str.startswith("at most ").all()
    text = page.answer(found_early).data
    # Half of what was planted is 20 + 30 ms at 40 ms, 20 + 90 Hz at 50 Hz and 50 + 90 Hz at 100 Hz.
    assert "better than chance at 80 ms, 160 ms, 200 Hz, which" in text
    assert "do not always give larger" in text, "all are the same"
    assert "**No: at 0 of 6 planted scales the 95% interval of what is recovered holds" in text
    bounds = {"low": 0.9 * found["planted"], "high": [30, *(1.1 * found["planted"][1:])]}
    others = ", ".join(scale.text for scale in planted.SCALES[1:])
    text = page.answer(found.assign(**bounds)).data
    assert text.startswith("**In part: ") and f"holds what was planted: {others}.**" in text
    bounds["high"][0] = 50
    assert page.answer(found.assign(**bounds)).data.startswith("**Yes: at 6 of 6")
    text = page.answer(recovery.recovered(predictions(sharp, speakers=2))).data
    assert "interval" not in text, "there are too few for any"


def peaked(scale: planted.Scale, reach: int) -> float:
    return 0.9 - abs(np.log2(reach / (2 * scale.size))) / 10 if reach >= scale.size else 0.25


def test_the_first_size_as_good_as_the_best_is_set_beside_what_was_planted() -> None:
    found = recovery.recovered(predictions(peaked))
    assert found["best reach"].to_list() == [80, 150, 300, 100, 200, 400]
    assert found.loc[found["at_least"], "scale"].to_list() == ["160 ms", "200 Hz"]
    assert found["smallest reach"].to_list() == found["best reach"].to_list()
    smallest = (found["smallest reach"].astype(str) + " " + found["unit"]).to_list()
    assert page.recovered(found)["smallest as good"].to_list() == smallest
    said = page.answer(found).data
    assert "the height gives 2.0 times what" in said
    assert "100 Hz would stand for patterns of 50 Hz." in said
    assert "the width gives 1.9 to 2.0 times what" in said, "but where the best is the largest"
    assert "80 ms would stand for patterns of 40 to 43 ms." in said


def test_the_notice_says_what_the_study_changes() -> None:
    text = page.notice("quick").data
    assert "batches of 16" in text and "5 of 10 draws" in text and "every 25th position" in text
    assert "every" not in page.notice("paper").data


def test_the_figure_has_a_panel_for_each_scale() -> None:
    fig = sweeps(sharp)
    panels = [ax for ax in fig.axes if ax.get_visible()]
    assert [ax.get_title() for ax in panels] == [f"planted: {s.text}" for s in planted.SCALES]
    for ax, scale in zip(panels, planted.SCALES, strict=True):
        upright = [line for line in ax.lines if list(line.get_xdata()) == [scale.size] * 2]
        assert len(upright) == 1
        chance = [line for line in ax.lines if list(line.get_ydata()) == [CHANCE] * 2]
        assert len(chance) == 1
    assert len(sweeps(sharp, "smoke", speakers=2).axes) == 2


def sweeps(*made_up: Any, **settings: Any) -> Figure:
    data = predictions(*made_up, **settings)
    return plots.sweeps(recovery.sweeps(data), recovery.recovered(data))
