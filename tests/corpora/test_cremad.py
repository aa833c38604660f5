from repro.corpora import cremad
from repro.corpora.check import check


def test_the_release_is_of_48_men_and_43_women_in_4900_utterances():
    corpus = cremad.CORPUS
    assert len(corpus.published) == 91 and corpus.women < set(corpus.published)
    assert len(corpus.women) == 43
    totals = [sum(of) for of in zip(*corpus.published.values(), strict=True)]
    assert totals == [1087, 1271, 1271, 1271]


def test_speakers_without_recordings_are_differences(tmp_path, write_wav):
    write_wav(tmp_path / "1001_DFA_ANG_XX.wav")
    differences = check("cremad", tmp_path).differences
    assert "speaker 1001: 0 neutral, not 12" in differences
    assert "speaker 1008: 0 happy, not 13" in differences
