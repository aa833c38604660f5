import pytest

from repro import paper


def test_the_input_of_section_2_1_fits_together() -> None:
    assert paper.SAMPLE_RATE == 16_000
    assert paper.BINS * paper.BIN_HZ == paper.HIGHEST_HZ
    assert pytest.approx(paper.SEGMENT_SECONDS) == paper.FRAMES * paper.SHIFT_SECONDS
    assert paper.TRAIN_HOP_SECONDS == 1.0
    assert paper.TEST_HOP_SECONDS == 0.4


def test_table_1_is_ahead_of_earlier_systems_as_the_paper_claims() -> None:
    gap, attention = paper.TABLE_1["gap"], paper.TABLE_1["attention"]
    assert gap.wa > max(row.wa for row in paper.TABLE_1_EARLIER)
    # Section 4: about 3 points of WA and 4 of UA above the best earlier system.
    assert attention.wa - max(row.wa for row in paper.TABLE_1_EARLIER) == pytest.approx(3, abs=0.1)
    assert attention.ua - max(row.ua for row in paper.TABLE_1_EARLIER) == pytest.approx(4, abs=0.2)


def test_the_sweeps_hold_the_two_best_shapes_and_cover_the_published_ranges() -> None:
    for side in (paper.SWEEP_HEIGHTS, paper.SWEEP_WIDTHS):
        assert list(side) == sorted(set(side))
        assert side[0] == paper.SWEEP_FIXED == 2
    assert paper.SWEEP_HEIGHTS[-1] == 100
    assert paper.SWEEP_WIDTHS[-1] == 80
    assert 10 in paper.SWEEP_HEIGHTS and 8 in paper.SWEEP_WIDTHS
    assert paper.STEM_SHAPES == ((10, 2), (2, 8))
