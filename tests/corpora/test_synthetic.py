from pathlib import Path
from unittest.mock import Mock

import pytest
import soundfile
from conftest import python

from repro.corpora import load_corpus, synthetic
from repro.corpora.check import check
from repro.errors import ReproError


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return synthetic.make(tmp_path_factory.mktemp("corpus") / "tree")


def test_the_default_corpus_has_ten_speakers_and_four_emotions(corpus):
    table = load_corpus("synthetic", corpus)
    counts = table.groupby(["speaker", "emotion"]).size()
    assert len(counts) == 40
    assert set(counts) == {5}
    assert sorted(table["speaker"].unique()) == [f"Ses0{n}{s}" for n in range(1, 6) for s in "FM"]
    seconds = table["samples"] / 16_000
    assert 0.8 < seconds.min() < 1.5
    assert 4.5 < seconds.max() < 7
    assert 0.2 < (seconds < 2).mean() < 0.5
    assert check("synthetic", corpus).ok


def test_there_are_utterances_that_a_loader_must_refuse(corpus):
    evaluations = list(corpus.glob("Session?/dialog/EmoEvaluation/*.txt"))
    text = "".join(p.read_text() for p in evaluations if not p.name.startswith("._"))
    assert all(f"\t{label}\t" in text for label in ("exc", "fru", "xxx"))
    assert "_script01_1_" in text
    binary = [path for path in evaluations if path.name.startswith("._")]
    assert binary
    with pytest.raises(UnicodeDecodeError):
        binary[0].read_text(encoding="utf-8")
    heard = set(load_corpus("synthetic", corpus)["path"])
    spoken = {str(path) for path in corpus.rglob("*.wav") if not path.name.startswith("._")}
    assert heard < spoken
    more = load_corpus("synthetic", corpus, labels="hap+exc")
    assert 200 < len(more) < 210


def test_emotions_differ_as_the_literature_says(corpus):
    table = load_corpus("synthetic", corpus)
    table["seconds"] = table["samples"] / 16_000
    table["level"] = [(soundfile.read(path)[0] ** 2).mean() for path in table["path"]]
    means = table.groupby("emotion")[["seconds", "level"]].mean()
    assert [*means["level"].sort_values().index] == ["sad", "neutral", "happy", "angry"]
    assert means["seconds"]["angry"] < means["seconds"]["neutral"] < means["seconds"]["sad"]


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path):
    first = synthetic.make(tmp_path / "first", speakers=3, per_emotion=1, seed=7)
    again = synthetic.make(tmp_path / "again", speakers=3, per_emotion=1, seed=7)
    code = f"synthetic.make({str(tmp_path / 'elsewhere')!r}, speakers=3, per_emotion=1, seed=7)"
    code = f"from repro.corpora import synthetic; {code}"
    python("-c", code, cwd=Path(__file__).parents[2], check=True)
    other = synthetic.make(tmp_path / "other", speakers=3, per_emotion=1, seed=8)
    assert contents(first) == contents(again) == contents(tmp_path / "elsewhere")
    assert contents(first) != contents(other)
    speakers = sorted(load_corpus("synthetic", first)["speaker"].unique())
    assert speakers == ["Ses01F", "Ses01M", "Ses02F"]


@pytest.mark.parametrize("speakers", [1, 11])
def test_there_are_only_so_many_voices(tmp_path, speakers):
    with pytest.raises(ReproError, match=f"2 to 10 speakers, not {speakers}"):
        synthetic.make(tmp_path / "tree", speakers=speakers)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for used in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(ReproError, match=r"folder is not empty|a file, and no folder"):
            synthetic.make(used)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_an_empty_folder_is_filled_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "elsewhere" / ".repro-left-by-a-kill").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for name in (".", tmp_path / "link"):
        synthetic.make(Path(name), speakers=2, per_emotion=1)
    made = contents(tmp_path / "here")
    assert len(made) > 8 and contents(Path()) == made == contents(tmp_path / "elsewhere")
    assert {path.name for path in tmp_path.iterdir()} == {"here", "link", "elsewhere"}


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(synthetic, "_write_session", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        synthetic.ensure()
    assert list((tmp_path / "repro").iterdir()) == []


def test_a_speech_synthesis_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    child = tmp_path / "child.py"
    child.write_text("import no_such_module")
    monkeypatch.setattr(synthetic, "CHILD", child)
    with pytest.raises(ReproError, match=r"No module named 'no_such_module'.*praat-parselmouth"):
        synthetic.make(tmp_path / "tree", speakers=2, per_emotion=1)
    assert not (tmp_path / "tree").exists()


def test_two_processes_may_make_the_corpus_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    real, begun, made = synthetic._write_tree, [], []

    def overtaken(tree: Path, *arguments: int) -> None:
        """Another process completes the corpus while this one is at work."""
        real(tree, 2, 1, 0)
        if not begun:
            begun.append(tree)
            made.append(synthetic.ensure().stat().st_ino)

    monkeypatch.setattr(synthetic, "_write_tree", overtaken)
    folder = synthetic.ensure()
    assert list((tmp_path / "repro").iterdir()) == [folder]
    assert [folder.stat().st_ino] == made, "the other may be reading it"
    assert len(load_corpus("synthetic", folder)) == 8


def test_another_process_may_complete_the_corpus_at_the_last_moment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write, move, begun, made = synthetic._write_tree, Path.rename, [], []
    monkeypatch.setattr(synthetic, "_write_tree", lambda tree, *_: write(tree, 2, 1, 0))

    def overtaken(path: Path, target: Path) -> Path:
        """It does so between the two moves: when nothing has been found to be moved away."""
        if target.name == "replaced" and not begun:
            begun.append(path)
            made.append(synthetic.ensure().stat().st_ino)
            raise FileNotFoundError
        return move(path, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    assert [synthetic.ensure().stat().st_ino] == made
