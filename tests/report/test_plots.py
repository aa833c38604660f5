"""Figures: what they draw is what their tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from repro.evidence import metrics
from repro.report import plots


def points(ax: Axes, marker: str) -> list[tuple[float, float]]:
    """What an axis shows with one marker, but for the unseen discs of tips."""
    lines = [line for line in ax.lines if line.get_marker() == marker and line.get_alpha() != 0]
    return [xy for line in lines for xy in zip(*line.get_data(), strict=True)]


def test_gains_are_drawn_in_the_order_of_the_table_the_paper_s_first() -> None:
    runs = ["paper", "a", "nEMO, coarse, scale=segment-max"]
    rows = pd.DataFrame({"run": runs})
    for score, values in (("WA", [0.4, -16.2, 1.8]), ("UA", [0.5, -18.2, 1.7])):
        rows[score], rows[f"{score} low"] = values, [np.nan, values[1] - 8, values[2] - 3]
        rows[f"{score} high"] = [np.nan, values[1] + 9, values[2] + 4]
    fig = plots.gains(rows)
    for ax, score in zip(fig.axes, metrics.ACCURACIES, strict=True):
        assert points(ax, "D") == [(rows[score][0], 0)]
        assert points(ax, "o") == [(rows[score][1], 1), (rows[score][2], 2)]
        [intervals] = ax.collections
        ends = [path.vertices[:, 0].tolist() for path in intervals.get_paths()]
        assert ends[1:] == rows[[f"{score} low", f"{score} high"]][1:].to_numpy().tolist()
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == runs
    fig.canvas.draw()
    for texts in ([ax.title for ax in fig.axes], [ax.xaxis.label for ax in fig.axes]):
        left, right = (text.get_window_extent() for text in texts)
        assert left.x1 < right.x0, "beside each other"


def test_the_dots_of_a_pair_are_its_speakers() -> None:
    rows = [("a − b", "03", 5.0), ("a − b", "08", -2.0), ("a − c", "08", 1.0)]
    fig = plots.by_speaker(pd.DataFrame(rows, columns=["pair", "speaker", "points"]))
    assert [ax.get_title() for ax in fig.axes] == ["a − b", "a − c"]
    assert points(fig.axes[0], "o") == [(5.0, 0), (-2.0, 1)]
    assert points(fig.axes[1], "o") == [(1.0, 1)], "a speaker has one line in all panels"


def test_fig_2_draws_each_score_of_each_shape() -> None:
    shapes = ["2x2", "10x2", "40x2", "2x8"]
    summary = pd.DataFrame({"variant": shapes, "WA low": 20.0, "WA high": 60.0})
    for number, score in enumerate(("WA", *metrics.EMOTIONS)):
        summary[score] = [30.0 + number, 40, 50, 60]
        summary[[f"{score} low", f"{score} high"]] = 0.0, 100.0
    heights, widths = plots.filter_shapes(summary, 26.0).axes
    for ax, sizes, values in ((heights, [2, 10, 40], [30, 40, 50]), (widths, [2, 8], [30, 60])):
        [wa] = [line for line in ax.lines if line.get_label() == "WA"]
        assert [*wa.get_xdata()] == sizes and [*wa.get_ydata()] == values
        assert any(line.get_ydata()[0] == 26.0 for line in ax.lines), "the commonest emotion"


@pytest.mark.parametrize("names", [["attention", "gap"], ["gap", "bilinear", "attention"]])
def test_a_pooling_has_one_colour_whatever_stands_beside_it(names: list[str]) -> None:
    of = {"fold": "03", "seed": 0, "epoch": [1, 2], "loss": [1.0, 0.5]}
    fig = plots.histories(pd.concat([pd.DataFrame({"variant": n} | of) for n in names]), 1.4)
    colours = {line.get_label(): line.get_color() for line in fig.axes[0].lines}
    assert (colours["gap"], colours["attention"]) == ("C0", "C2")


def test_attention_by_frequency_has_a_line_for_all_and_one_for_each_emotion() -> None:
    profile = pd.DataFrame({"kHz": [0.5, 1.5], "all": [1.5, 0.5]})
    profile[metrics.EMOTIONS] = [[1.0] * 4, [2.0] * 4]
    [ax] = plots.by_frequency(profile).axes
    lines = {line.get_label(): [*line.get_ydata()] for line in ax.lines}
    assert lines["all"] == [1.5, 0.5] and lines["sad"] == [1.0, 2.0]
