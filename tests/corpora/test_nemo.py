import csv

from repro.corpora import nemo
from repro.corpora.check import check


def test_a_sample_is_read_and_is_not_the_whole(nemo_root):
    report = check("nemo", nemo_root)
    facts = report.as_dict()
    assert not report.problems and not report.ok
    assert (facts["utterances"], facts["under_2s"]) == (96, 80)
    assert set(facts["counts"]) == {"EB0", "MP0", "WR0"}
    assert facts["counts"]["MP0"] == dict.fromkeys(("neutral", "happy", "sad", "angry"), 8)
    assert "speaker MP0: 8 happy, not 30" in report.differences
    assert "speaker IC0: 0 angry, not 90" in report.differences


def test_the_release_gives_the_published_counts_and_segments(nemo_root):
    """By the manifest of the makers' repository."""
    counts = {speaker: [0] * 4 for speaker in nemo.CORPUS.published}
    segments = 0
    with (nemo_root / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = nemo.NAME.fullmatch(row["file"])
            assert (name["speaker"], name["emotion"]) == (row["speaker"], row["emotion"])
            if row["emotion"] in nemo.EMOTION_OF:
                counts[row["speaker"]][list(nemo.EMOTION_OF).index(row["emotion"])] += 1
                segments += 1 + max(0, int(row["frames"]) - 48_000) // 24_000
    assert {speaker: tuple(of) for speaker, of in counts.items()} == nemo.CORPUS.published
    assert segments == nemo.CORPUS.training_segments
