import shutil
from pathlib import Path

import pytest
import tiny_iemocap

from repro import corpora
from repro.corpora import corpus_hash, load_corpus
from repro.corpora.check import check
from repro.corpora.table import Utterance, to_table
from repro.errors import ReproError


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name": "casia"}, "choose from synthetic, iemocap, emodb, ravdess, nemo, cremad"),
        ({"name": "iemocap"}, "--root"),
        ({"name": "cremad"}, "--root$"),
        ({"name": "nemo"}, "repro corpus fetch nemo DIR"),
        ({"name": "emodb", "root": "/no/such/folder"}, "/no/such/folder: no such folder"),
        ({"name": "emodb", "root": ".", "labels": "hap+exc"}, "no excited utterances"),
        ({"name": "iemocap", "root": ".", "labels": "all"}, "choose from hap, hap\\+exc"),
        ({"name": "synthetic", "root": "/no/such/folder"}, "/no/such/folder: no such folder"),
        ({"name": "planted-40ms", "root": "/no/such/folder"}, "/no/such/folder: no such folder"),
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
    others = {"utterance": "x", "speaker": "09", "emotion": "sad", "samples": 1}
    for column, value in others.items():
        changed = first.copy()
        changed.loc[0, column] = value
        seen.add(corpus_hash(changed))
    renamed = first.copy()
    renamed.attrs["corpus"] = "other"
    assert len(seen | {corpus_hash(renamed)}) == 6


# What a reader may get wrong ---------------------------------------------------------------------


def assert_refused_and_reported(name, root, reason):
    """The corpus is not read, and `check` does not say that it is in order."""
    with pytest.raises(ReproError, match=reason) as caught:
        load_corpus(name, root)
    assert "\n" not in str(caught.value)
    report = check(name, root)
    assert not report.ok
    assert str(caught.value) in report.problems


def test_an_emotion_outside_the_four_is_refused(tmp_path, write_wav, own_corpus):
    odd = write_wav(tmp_path / "one.wav")
    own_corpus(Utterance("one", "ada", "anger", odd))
    reason = f"{odd}: 'one' is labelled 'anger'; leave it out, or label it neutral"
    assert_refused_and_reported("mine", tmp_path, reason)


def test_two_utterances_of_one_name_are_refused(tmp_path, write_wav):
    name = "03-01-01-01-01-01-01.wav"
    first, second = (write_wav(tmp_path / copy / "Actor_01" / name, rate=48_000) for copy in "ab")
    reason = f"{second}: '{name[:-4]}' is also the name of {first}; remove one of them"
    assert_refused_and_reported("ravdess", tmp_path, reason)


@pytest.mark.parametrize("names", [(7, "ada"), ("one", 7), ("half \udcff", "ada")])
def test_names_that_results_cannot_hold_are_refused(tmp_path, write_wav, own_corpus, names):
    own_corpus(Utterance(*names, "sad", write_wav(tmp_path / "one.wav")))
    assert_refused_and_reported("mine", tmp_path, "one.wav: .*cannot be written to a results file")


def test_names_of_any_script_are_read(tmp_path, write_wav):
    path = write_wav(tmp_path / "one.wav")
    [row] = to_table("mine", [Utterance("早い", "Zoë\u00a0Ω", "sad", path)]).itertuples()
    assert (row.utterance, row.speaker) == ("早い", "Zoë\u00a0Ω")


# File names that tell speaker and emotion --------------------------------------------------------


# Corpus, folder, files that count with speaker and emotion, files that do not.
NAMES = """
emodb wav 03a01Fa/03/happy 10b10W/10/angry 13A01TB/13/sad
16a07Ld ._03a01Nb 03a01Xa readme 3a01Fa

cremad AudioWAV 1001_DFA_ANG_XX/1001/angry 1091_IEO_HAP_HI/1091/happy
1001_DFA_DIS_XX 1001_DFA_FEA_XX 2001_A_B

nemo samples EB0_anger_1/EB0/angry WR0_sadness_90/WR0/sad
EB0_fear_1 EB0_surprised_2 ._EB0_anger_2

ravdess Actor_12 03-01-01-01-01-01-12/12/neutral 03-01-03-02-01-01-12/12/happy
03-01-04-01-01-01-12/12/sad 03-01-05-02-01-02-12/12/angry 03-01-02-01-01-01-12
03-01-06-01-01-01-12 03-02-03-01-01-01-12 01-01-03-01-01-01-12 ._03-01-05-01-01-02-12
"""


@pytest.mark.parametrize("words", [each.split() for each in NAMES.split("\n\n")])
def test_only_names_and_emotions_of_the_corpus_count(tmp_path, write_wav, words):
    name, folder, *files = words
    for file in files:
        write_wav(tmp_path / folder / f"{file.split('/')[0]}.wav")
    above, inside = load_corpus(name, tmp_path), load_corpus(name, tmp_path / folder)
    assert corpus_hash(above) == corpus_hash(inside)
    found = zip(above["utterance"], above["speaker"], above["emotion"], strict=True)
    assert ["/".join(row) for row in found] == [file for file in files if "/" in file]


@pytest.mark.parametrize(
    ("name", "stray", "reason"),
    [
        ("emodb", "speech", "not EmoDB"),
        ("cremad", "EB0_anger_1", "not CREMA-D"),
        ("nemo", "03a01Fa", "not nEMO"),
        ("ravdess", "speech", "not RAVDESS"),
        ("iemocap", "speech", "not IEMOCAP"),
        ("planted-40ms", "speech", "not planted signals"),
    ],
)
def test_another_folder_is_refused(tmp_path, write_wav, name, stray, reason):
    write_wav(tmp_path / f"{stray}.wav")
    with pytest.raises(ReproError, match=reason):
        load_corpus(name, tmp_path)


# Copies that were made on another system ---------------------------------------------------------


EMODB = ["03a01Fa.wav", "08a01Wa.wav", "08b02Na.wav"]
RAVDESS = [f"Actor_{actor}/03-01-05-01-01-01-{actor}.wav" for actor in ("01", "12")]
IEMOCAP = [f"Session1/sentences/wav/Ses01F_impro04/Ses01F_impro04_{t}.wav" for t in ("F0", "M1")]


def capital_suffix(name):
    return name[:-3] + "WAV"


@pytest.mark.parametrize("which", [slice(None), slice(1)], ids=["all", "one"])
@pytest.mark.parametrize(
    ("name", "files", "rename"),
    [
        ("emodb", EMODB, capital_suffix),
        ("ravdess", RAVDESS, str.upper),
        ("iemocap", IEMOCAP, str.upper),
        ("iemocap", IEMOCAP, capital_suffix),
    ],
)
def test_file_names_in_capitals_are_read(tmp_path, write_wav, name, files, which, rename):
    paths = [write_wav(tmp_path / file, rate=48_000) for file in files]
    if name == "iemocap":
        tiny_iemocap.write(tmp_path, [(path.stem, "neu") for path in paths])
    before = load_corpus(name, tmp_path)
    assert len(before) == len(files)
    for path in paths[which]:
        path.rename(path.with_name(rename(path.name)))
    assert corpus_hash(load_corpus(name, tmp_path)) == corpus_hash(before)


# Where built-in corpora are made -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["synthetic", "planted-40ms"])
def test_a_cache_in_the_home_folder_is_found_there(name, tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", "~/cache")
    real = corpora.synthetic._write_tree
    monkeypatch.setattr(corpora.synthetic, "_write_tree", lambda tree, *_: real(tree, 2, 1, 0))
    sound = Path(load_corpus(name)["path"][0])
    assert sound.is_relative_to(home / "cache" / "repro")
    shutil.rmtree(sound.parent)  # as a cleaner of caches does, which goes by age
    assert Path(load_corpus(name)["path"][0]) == sound
    assert list(here.iterdir()) == []
