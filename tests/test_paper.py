import pytest

from repro import paper


def test_the_input_of_section_2_1_fits_together() -> None:
    assert paper.BINS * paper.BIN_HZ == paper.HIGHEST_HZ
    assert pytest.approx(paper.SEGMENT_SECONDS) == paper.FRAMES * paper.SHIFT_SECONDS


def test_table_1_is_ahead_of_earlier_systems_as_the_paper_claims() -> None:
    gap, attention = paper.TABLE_1["gap"], paper.TABLE_1["attention"]
    assert gap.wa > max(row.wa for row in paper.TABLE_1_EARLIER)
    # Section 4: about 3 points of WA and 4 of UA above the best earlier system.
    assert attention.wa - max(row.wa for row in paper.TABLE_1_EARLIER) == pytest.approx(3, abs=0.1)
    assert attention.ua - max(row.ua for row in paper.TABLE_1_EARLIER) == pytest.approx(4, abs=0.2)
