import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from repro.corpora import CORPORA, planted, table
from repro.corpora.check import check


def test_the_report_of_emodb(emodb_root):
    report = check("emodb", emodb_root)
    facts = report.as_dict()
    assert report.ok
    assert (facts["utterances"], facts["under_2s"]) == (339, 79)
    assert facts["published_release"] is True
    assert facts["counts"]["03"] == {"neutral": 11, "happy": 7, "sad": 7, "angry": 14}
    assert facts["hours"] * 3600 == pytest.approx(953.7, abs=0.05)
    assert json.loads(json.dumps(facts)) == facts

    # One segment if padded, else the whole ones at the hops of 1 s and 0.4 s.
    lengths = report.lengths
    for name, hop in (("training_segments", 16_000), ("test_segments", 6_400)):
        assert facts[name] == sum(1 if n < 32_000 else 1 + (n - 32_000) // hop for n in lengths)

    text = report.text()
    assert "339, 79 under 2 s" in text and "yes, the counts agree" in text
    totals = [int(line.split()[-1]) for line in text.splitlines()[4:14]]
    assert totals == [39, 42, 30, 21, 35, 22, 36, 41, 34, 39]


def test_every_problem_is_listed(tmp_path, write_wav):
    write_wav(tmp_path / "03a01Fa.wav", 1.0)
    (tmp_path / "03a01Na.wav").write_bytes(b"no sound at all")
    (tmp_path / "03a01Ta.wav").write_bytes(b"")
    soundfile.write(tmp_path / "03a01Wa.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "08a01Fa.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "08a01Na.wav", np.full(9, np.nan), 16_000, subtype="FLOAT")
    write_wav(tmp_path / "08a01Wa.wav", 3.0, 44_100, channels=2)
    (tmp_path / "08a01Ta.wav").symlink_to(tmp_path / "gone.wav")
    report = check("emodb", tmp_path)
    assert not report.ok
    assert [problem.replace(f"{tmp_path}/", "") for problem in report.problems] == [
        "03a01Na.wav: not a readable sound file (Format not recognised); replace it",
        "03a01Ta.wav: not a readable sound file (Format not recognised); replace it",
        "03a01Wa.wav: empty: no samples by its header; replace it",
        "08a01Fa.wav: silent",
        "08a01Na.wav: samples that are not finite; replace the file",
        "08a01Ta.wav: missing: no such sound file; check the path",
        "08a01Wa.wav: 44100 Hz, not 16000",
        "08a01Wa.wav: 2 channels, not 1",
    ]
    facts = report.as_dict()
    assert facts["utterances"] == 8 and facts["published_release"] is False
    assert list(report.lengths) == [16_000, 16_000, 48_000]
    assert all(problem in report.text() for problem in report.problems)


def test_an_incomplete_release_is_not_the_published_one(tmp_path, emodb_root):
    shutil.copytree(emodb_root / "wav", tmp_path / "wav")
    (tmp_path / "wav" / "03a01Fa.wav").unlink()
    report = check("emodb", tmp_path)
    assert report.problems == () and not report.ok  # a file is gone, and no label tells which
    assert "speaker 03: 6 happy, not 7" in report.differences
    assert "no, the counts differ" in report.text()
    assert "speaker 03: 6 happy, not 7" in report.text()


def test_a_release_whose_recordings_were_cut_is_not_the_published_one(tmp_path, emodb_root):
    shutil.copytree(emodb_root / "wav", tmp_path / "wav")
    longest = max((tmp_path / "wav").glob("*N?.wav"), key=lambda path: path.stat().st_size)
    speech, rate = soundfile.read(longest)
    soundfile.write(longest, speech[: 2 * rate], rate, subtype="PCM_16")
    [difference] = check("emodb", tmp_path).differences
    assert re.fullmatch(r"51[0-3] training segments, not 514", difference)


def test_a_built_in_corpus_is_said_to_lie_in_its_folder(tmp_path, monkeypatch):
    planted.make(planted.BY_NAME["planted-40ms"], tmp_path / "made")
    built_in = replace(CORPORA["planted-40ms"], ensure=lambda: tmp_path / "made")
    monkeypatch.setitem(CORPORA, "planted-40ms", built_in)
    assert check("planted-40ms", None).root == str(tmp_path / "made")


def test_a_speaker_may_be_called_total(tmp_path, write_wav, own_corpus):
    sounds = [write_wav(tmp_path / f"{n}.wav", 1.0) for n in range(3)]
    speakers = zip(("ada", "total", "total"), sounds, strict=True)
    own_corpus(*(table.Utterance(path.stem, who, "sad", path) for who, path in speakers))
    said = check("mine", tmp_path).text()
    lines = [line.split()[-1] for line in said.splitlines() if line.startswith("total")]
    assert lines == ["2", "3"]


def test_counts_that_nobody_published(tmp_path, write_wav, own_corpus):
    sound = write_wav(tmp_path / "mine" / "ada.wav", 1.0)
    own_corpus(table.Utterance("ada", "ada", "sad", sound))
    planted.make(planted.BY_NAME["planted-40ms"], tmp_path / "planted")
    for name, folder, said in (
        ("mine", "mine", "none to compare with"),
        ("planted-40ms", "planted", "does not apply: made by this program"),
    ):
        report = check(name, tmp_path / folder)
        assert report.ok and report.as_dict()["published_release"] is None
        assert f"published release   {said}" in report.text()


def test_a_corpus_of_nothing_is_no_corpus(tmp_path, own_corpus):
    own_corpus()
    report = check("mine", tmp_path)
    assert report.problems == (f"{tmp_path}: no utterance found; check the folder",)


def test_quiet_speech_is_not_silence(tmp_path, emodb_root):
    speech, rate = soundfile.read(emodb_root / "wav" / "03a01Fa.wav")
    soundfile.write(tmp_path / "03a01Fa.wav", speech / 100, rate, subtype="PCM_16")
    assert check("emodb", tmp_path).problems == ()
