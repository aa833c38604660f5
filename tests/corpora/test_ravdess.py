from itertools import product

import pytest

from repro.corpora import load_corpus
from repro.corpora.check import check


@pytest.fixture
def tree(tmp_path, write_wav):
    root = tmp_path / "RAVDESS"
    spoken = ("03-01-01-01", "03-01-03-02", "03-01-04-01", "03-01-05-01")
    calm, fearful, sung, with_pictures = "03-01-02-01", "03-01-06-01", "03-02-03-01", "01-01-03-01"
    for name in (*spoken, calm, fearful, sung, with_pictures):
        write_wav(root / "Actor_01" / f"{name}-01-01-01.wav", 3.0, 48_000)
    write_wav(root / "Actor_01" / "._03-01-05-01-01-02-01.wav", 3.0, 48_000)
    write_wav(root / "Actor_12" / "03-01-05-02-01-02-12.wav", 1.5, 48_000, channels=2)
    (root / "Actor_12" / "notes.txt").write_text("stray")
    return root


def test_file_names_tell_speaker_and_emotion(tree):
    table = load_corpus("ravdess", tree)
    assert list(zip(table["utterance"], table["speaker"], table["emotion"], strict=True)) == [
        ("03-01-01-01-01-01-01", "01", "neutral"),
        ("03-01-03-02-01-01-01", "01", "happy"),
        ("03-01-04-01-01-01-01", "01", "sad"),
        ("03-01-05-01-01-01-01", "01", "angry"),
        ("03-01-05-02-01-02-12", "12", "angry"),
    ]
    assert list(table["samples"]) == [48_000] * 4 + [24_000]


def test_the_root_may_be_one_folder_too_high(tree):
    assert len(load_corpus("ravdess", tree.parent)) == 5


def test_48_khz_and_stereo_are_no_problem_of_this_corpus(tree):
    report = check("ravdess", tree)
    assert report.problems == ()
    assert report.as_dict()["published_release"] is False


def test_the_whole_release_is_known(tmp_path, write_wav):
    first = write_wav(tmp_path / "03-01-01-01-01-01-01.wav", 0.1, 48_000)
    for actor in range(1, 25):
        folder = tmp_path / "release" / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        strengths = ["01-01", *(f"{e}-{i}" for e in ("03", "04", "05") for i in ("01", "02"))]
        for strength, take in product(strengths, ("01-01", "01-02", "02-01", "02-02")):
            (folder / f"03-01-{strength}-{take}-{actor:02d}.wav").hardlink_to(first)
    facts = check("ravdess", tmp_path / "release").as_dict()
    assert facts["utterances"] == 672
    assert facts["published_release"] is True
