from __future__ import annotations

import shutil

import pytest

from repro.corpora import corpus_hash, load_corpus
from repro.errors import ReproError


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name": "casia"}, "choose from synthetic, iemocap, emodb, ravdess"),
        ({"name": "iemocap"}, "--root"),
        ({"name": "ravdess"}, "--root"),
        ({"name": "emodb"}, "repro corpus fetch emodb DIR"),
        ({"name": "emodb", "root": "/no/such/folder"}, "/no/such/folder: no such folder"),
        ({"name": "emodb", "root": ".", "labels": "hap+exc"}, "no excited utterances"),
        ({"name": "iemocap", "root": ".", "labels": "all"}, "choose from hap, hap\\+exc"),
        ({"name": "synthetic", "root": "/no/such/folder"}, "/no/such/folder: no such folder"),
    ],
)
def test_wrong_arguments_are_explained_in_one_line(arguments, reason):
    with pytest.raises(ReproError, match=reason) as caught:
        load_corpus(**arguments)
    assert "\n" not in str(caught.value)


def test_a_corpus_hash_depends_on_content_and_not_on_place(tmp_path, write_wav):
    here, there = tmp_path / "here", tmp_path / "there"
    write_wav(here / "03a01Fa.wav", 1.0)
    write_wav(here / "08a01Wa.wav", 2.0)
    shutil.copytree(here, there)
    first, second = load_corpus("emodb", here), load_corpus("emodb", there)
    assert corpus_hash(first) == corpus_hash(second)
    assert len(corpus_hash(first)) == 12

    seen = {corpus_hash(first)}
    for column, value in (
        ("utterance", "x"),
        ("speaker", "09"),
        ("emotion", "sad"),
        ("samples", 1),
    ):
        changed = first.copy()
        changed.loc[0, column] = value
        seen.add(corpus_hash(changed))
    renamed = first.copy()
    renamed.attrs["corpus"] = "other"
    assert len(seen | {corpus_hash(renamed)}) == 6
