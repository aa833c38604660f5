from __future__ import annotations

import pytest

from repro.corpora import cremad, load_corpus
from repro.corpora.check import check
from repro.errors import ReproError


def test_only_the_four_emotions_and_cremad_names_count(tmp_path, write_wav):
    names = ("1001_DFA_ANG_XX", "1091_IEO_HAP_HI", "1001_DFA_DIS_XX", "1001_DFA_FEA_XX", "2001_A_B")
    for name in names:
        write_wav(tmp_path / "AudioWAV" / f"{name}.wav")
    for root in (tmp_path, tmp_path / "AudioWAV"):
        table = load_corpus("cremad", root)
        assert list(table["utterance"]) == ["1001_DFA_ANG_XX", "1091_IEO_HAP_HI"]
        assert list(table["speaker"]) == ["1001", "1091"]
        assert list(table["emotion"]) == ["angry", "happy"]
    differences = check("cremad", tmp_path).differences
    assert "speaker 1001: 0 neutral, not 12" in differences
    assert "speaker 1008: 0 happy, not 13" in differences


def test_the_release_is_of_48_men_and_43_women_in_4900_utterances():
    corpus = cremad.CORPUS
    assert len(corpus.published) == 91 and corpus.women < set(corpus.published)
    assert len(corpus.women) == 43
    assert [sum(of) for of in zip(*corpus.published.values(), strict=True)] == [
        1087, 1271, 1271, 1271
    ]  # fmt: skip


def test_another_folder_is_refused(tmp_path, write_wav):
    write_wav(tmp_path / "EB0_anger_1.wav")
    with pytest.raises(ReproError, match="not CREMA-D"):
        load_corpus("cremad", tmp_path)
