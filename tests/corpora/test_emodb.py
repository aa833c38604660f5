from __future__ import annotations

import pytest

from repro.corpora import corpus_hash, load_corpus
from repro.errors import ReproError

SPEAKERS = {
    "03": 39,
    "08": 42,
    "09": 30,
    "10": 21,
    "11": 35,
    "12": 22,
    "13": 36,
    "14": 41,
    "15": 34,
    "16": 39,
}


def test_the_release_gives_the_published_counts(emodb_root):
    table = load_corpus("emodb", emodb_root)
    assert len(table) == 339
    assert table["speaker"].value_counts().to_dict() == SPEAKERS
    assert table["emotion"].value_counts().to_dict() == {
        "neutral": 79,
        "happy": 71,
        "sad": 62,
        "angry": 127,
    }
    assert (table["samples"] < 32_000).sum() == 79
    assert table["samples"].sum() / 16_000 == pytest.approx(953.7, abs=0.05)


def test_the_folder_of_the_wav_files_will_do(emodb_root):
    above, inside = load_corpus("emodb", emodb_root), load_corpus("emodb", emodb_root / "wav")
    assert corpus_hash(above) == corpus_hash(inside)


def test_only_the_four_emotions_and_emodb_names_count(tmp_path, write_wav):
    for name in ("03a01Fa", "10b10W", "16a07Ld", "._03a01Nb", "03a01Xa", "readme", "3a01Fa"):
        write_wav(tmp_path / f"{name}.wav")
    table = load_corpus("emodb", tmp_path)
    assert list(table["utterance"]) == ["03a01Fa", "10b10W"]
    assert list(table["speaker"]) == ["03", "10"]
    assert list(table["emotion"]) == ["happy", "angry"]


def test_another_folder_is_refused(tmp_path, write_wav):
    write_wav(tmp_path / "speech.wav")
    with pytest.raises(ReproError, match="not EmoDB"):
        load_corpus("emodb", tmp_path)
