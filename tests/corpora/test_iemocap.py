import csv
import struct
from pathlib import Path

import pytest
import tiny_iemocap

from repro.corpora import load_corpus
from repro.corpora.check import check
from repro.errors import ReproError


def write_sparse_wav(path: Path, samples: int) -> None:
    """16 kHz silence of that length; most file systems store its header only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 2 * samples
    head = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    with path.open("wb") as file:
        file.write(head + form + struct.pack("<4sI", b"data", size))
        file.truncate(44 + size)


@pytest.fixture(scope="module")
def release(tmp_path_factory, iemocap_manifest) -> Path:
    """A tree with all labelled utterances of the release, scripted and excited ones among them."""
    root = tmp_path_factory.mktemp("release") / "IEMOCAP_full_release"
    with iemocap_manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    wavs = tiny_iemocap.write(root, [(row["utterance"], row["label"]) for row in rows])
    for path, row in zip(wavs, rows, strict=True):
        write_sparse_wav(path, int(row["samples"]))
    return root


def test_the_release_gives_the_published_table(release):
    table = load_corpus("iemocap", release)
    assert list(table.columns) == ["utterance", "speaker", "emotion", "path", "samples"]
    assert table.attrs["corpus"] == "iemocap"
    assert len(table) == 2280
    assert table["utterance"].is_monotonic_increasing
    assert table["utterance"].is_unique
    assert (table["samples"] < 32_000).sum() == 434
    assert table["samples"].sum() / 16_000 / 3600 == pytest.approx(2.78, abs=0.005)


def test_the_check_of_the_release_counts_its_segments(release):
    report = check("iemocap", release)
    facts = report.as_dict()
    assert (facts["training_segments"], facts["test_segments"]) == (7039, 15470)
    assert facts["published_release"] is True
    assert len(report.problems) == 2280  # the files of this tree are silent
    assert all(problem.endswith(": silent") for problem in report.problems)


def test_excited_joins_happy_on_request(release):
    table = load_corpus("iemocap", release, labels="hap+exc")
    assert len(table) == 2280 + 663
    assert (table["emotion"] == "happy").sum() == 284 + 663


@pytest.fixture
def tree(tmp_path, write_wav) -> Path:
    """Five utterances that count and everything around them that does not."""
    root = tmp_path / "IEMOCAP"
    words = """Ses01F_impro04_M003 neu Ses01F_impro04_F001 ang Ses01M_impro01_F000 sad
    Ses01M_impro01_M000 hap Ses03M_impro08a_M012 neu Ses01F_impro04_F002 fru
    Ses01F_impro04_F003 xxx Ses01F_impro04_F004 exc Ses01F_script01_1_M003 neu"""
    turns = zip(*[iter(words.split())] * 2, strict=True)
    for i, path in enumerate(tiny_iemocap.write(root, turns)):
        write_wav(path, 1 + i / 10)
    evaluations = root / "Session1" / "dialog" / "EmoEvaluation"
    for name in ("._Ses01F_impro04.txt", "._Ses01F_impro99.txt"):
        (evaluations / name).write_bytes(b"\x00\x05\x16\x07\xff\xfe\x80")
    (evaluations / "Ses01F_impro04 copy.txt").write_text(
        "[1.0 - 2.0]\tSes01F_impro04_F999\tneu\t[2, 2, 2]\n"
    )
    (evaluations / "Categorical").mkdir()
    (evaluations / "Categorical" / "Ses01F_impro04_e1_cat.txt").write_text("no\tevaluation")
    (root / "Session6").mkdir()
    return root


def test_only_improvised_dialogues_and_four_labels_count(tree):
    table = load_corpus("iemocap", tree)
    assert list(zip(table["utterance"], table["speaker"], table["emotion"], strict=True)) == [
        ("Ses01F_impro04_F001", "Ses01F", "angry"),
        ("Ses01F_impro04_M003", "Ses01M", "neutral"),  # the man speaks, the woman wears markers
        ("Ses01M_impro01_F000", "Ses01F", "sad"),
        ("Ses01M_impro01_M000", "Ses01M", "happy"),
        ("Ses03M_impro08a_M012", "Ses03M", "neutral"),
    ]
    assert list(table["samples"]) == [17_600, 16_000, 19_200, 20_800, 22_400]


def test_the_root_may_be_one_folder_too_high_or_too_low(tree):
    want = list(load_corpus("iemocap", tree)["utterance"])
    assert list(load_corpus("iemocap", tree.parent)["utterance"]) == want
    assert list(load_corpus("iemocap", tree / "Session1")["utterance"]) == want


def test_a_release_without_improvised_utterances_is_refused(tmp_path):
    tiny_iemocap.write(tmp_path, [("Ses01F_script01_1_M003", "neu")])
    with pytest.raises(ReproError, match="no improvised utterance"):
        load_corpus("iemocap", tmp_path)
