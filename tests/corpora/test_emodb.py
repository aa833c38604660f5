from __future__ import annotations

import pytest

from repro.corpora import load_corpus


def test_the_release_gives_the_published_counts(emodb_root):
    table = load_corpus("emodb", emodb_root)
    assert len(table) == 339
    speakers = ["03", "08", "09", *map(str, range(10, 17))]
    counts = dict(zip(speakers, [39, 42, 30, 21, 35, 22, 36, 41, 34, 39], strict=True))
    assert table["speaker"].value_counts().to_dict() == counts
    counts = {"neutral": 79, "happy": 71, "sad": 62, "angry": 127}
    assert table["emotion"].value_counts().to_dict() == counts
    assert (table["samples"] < 32_000).sum() == 79
    assert table["samples"].sum() / 16_000 == pytest.approx(953.7, abs=0.05)
