"""A corpus of one's own: a table in place of a reader."""

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_corpus
from conftest import Command

from repro import cli, results
from repro.corpora import at_hand, corpus_hash, load_corpus, own
from repro.corpora.check import check, remarks
from repro.errors import NoSuchReadingError, ReproError

PAGE = (Path(__file__).parents[2] / "book" / "corpora.md").read_text(encoding="utf-8")
[EXAMPLE] = re.findall(r"```text\n(path,.*?)```", PAGE, re.DOTALL)
LINES = PAGE.replace("\\\n", " ")
CHECK, RUN = (
    shlex.split(line)[1:] for line in re.findall(r"^repro .*my\.csv.*$", LINES, re.MULTILINE)[:2]
)
FILES = [line.split(",")[0] for line in EXAMPLE.splitlines()[1:]]
LABELS = "[joy=happy,anger=angry]"
FOUND = """ada/001.wav Ada neutral / ada/002.wav Ada happy / ben/001.wav Ben angry
ben/002.wav Ben sad"""


@pytest.fixture
def folder(tmp_path: Path, write_wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the page's example, which is the current one; any rate will do."""
    for file in FILES:
        write_wav(tmp_path / file, 1.0, rate=44_100, channels=2)
    (tmp_path / "my.csv").write_text(EXAMPLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(corpus: str, root: Path | None = None) -> list[list[str]]:
    table = load_corpus(corpus, root)
    assert table.attrs["corpus"] == own.file_of(corpus).name  # type: ignore[union-attr]
    return table[["utterance", "speaker", "emotion"]].to_numpy().tolist()


def found(text: str) -> list[list[str]]:
    return [row.split() for row in text.replace("\n", " / ").split(" / ")]


def test_the_example_of_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "repro: my.csv: left out as of none of the four emotions: fear (1)"
    cli.app(CHECK, standalone_mode=False)
    out, err = capsys.readouterr()
    assert out.startswith("my.csv in .\n") and "problems            none" in out
    assert err.splitlines() == [said]
    assert check(f"my.csv{LABELS}", None).ok

    small = [f"--set={each}" for each in [*tiny_corpus.SMALL, "training.epochs=1"]]
    cli.app([*RUN, *small, "--device=cpu"], standalone_mode=False)
    out, err = capsys.readouterr()
    assert out == "6 folds trained, results in my.jsonl\n"
    assert err.splitlines()[0] == said
    held = results.read_lines("my.jsonl")
    state = corpus_hash(load_corpus(f"my.csv{LABELS}"))
    assert {tuple(record["corpus"].values()) for record in held} == {("my.csv", state)}
    assert {record["fold"] for record in held} == {"Ada", "Ben"}


AS_JSON = "\n\n".join(
    json.dumps(dict(zip(("path", "speaker", "emotion"), line.split(","), strict=True)))
    for line in EXAMPLE.splitlines()[1:]
)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("my.csv", EXAMPLE.rstrip()),
        ("my.csv", "\ufeff" + EXAMPLE.replace("\n", "\r\n")),
        ("MY.CSV", EXAMPLE.replace("path", "file").replace("\n", ",0,\n").replace("n,0,", "n,a,b")),
        ("my.csv", EXAMPLE.replace(",", " , ").replace("\n", "\n\n") + ",,\n"),
        ("my.csv", EXAMPLE.replace("\n", ",,\n")),
        ("my.csv", EXAMPLE.replace("path,speaker", "Path,SPEAKER").replace("/", "\\")),
        ("my.csv", EXAMPLE.replace("\n", ",0,1\n").replace("n,0,1", "n,Path,Utterance")),
        ("my.tsv", EXAMPLE.replace(",", "\t").replace("\n", '\t"well\n')),
        ("my [1].csv", EXAMPLE.replace("path", '"path"')),
        ("my.tsv", EXAMPLE.replace(",", "\t")),
        ("my.jsonl", AS_JSON),
    ],
)
def test_a_table_is_read_in_any_of_its_forms(folder: Path, file: str, content: str) -> None:
    (folder / "tables").mkdir()
    (folder / "tables" / file).write_bytes(content.encode())
    assert rows(f"tables/{file}{LABELS}", folder) == found(FOUND)
    (folder / file).write_bytes(content.encode())
    assert rows(f"{folder / file}{LABELS}") == found(FOUND)


def test_an_utterance_is_called_by_its_file_or_as_the_table_says(folder: Path) -> None:
    names = EXAMPLE.splitlines()
    (folder / "few.csv").write_text("\n".join([*names[:3], names[5]]), encoding="utf-8")
    assert rows("few.csv[joy=sad,fear=angry]") == found(
        "001 Ada neutral / 002 Ada sad / 003 Ben angry"
    )
    table = "utterance,emotion,speaker,path\nx,sad,05,ada/001.wav\n7,joy,06,ada/002.wav\n"
    (folder / "few.csv").write_text(table, encoding="utf-8")
    assert rows("few.csv[joy=happy]") == found("7 06 happy / x 05 sad")


def test_a_corpus_is_what_its_labels_make_of_it_wherever_it_lies(folder: Path) -> None:
    states = {corpus_hash(load_corpus(f"my.csv{labels}")) for labels in ("", LABELS, "[joy=sad]")}
    assert len(states) == 3
    shutil.copytree(folder, folder / "copy")
    assert corpus_hash(load_corpus(f"copy/my.csv{LABELS}")) in states
    assert at_hand(f"my.csv{LABELS}", None) and not at_hand("gone.csv", None)


def test_what_a_table_lacks_is_said(folder: Path) -> None:
    report = check("my.csv[fear=angry]", folder)
    assert report.remarks == (
        "my.csv: left out as of none of the four emotions: joy (1), anger (1)",
        "my.csv: no utterance is happy; networks have all four classes",
    )
    assert report.as_dict()["remarks"] == list(report.remarks) and report.ok


def test_speakers_that_may_be_one_are_named(folder: Path) -> None:
    names = iter(["01", "1", "Ada B", "adab", "10"])
    table = re.sub("Ada|Ben", lambda _: next(names), EXAMPLE)
    (folder / "my.csv").write_text(table, encoding="utf-8")
    assert check("my.csv[joy=sad,anger=angry,fear=happy]", None).remarks == (
        "my.csv: 01 and 1 count as different speakers",
        "my.csv: Ada B and adab count as different speakers",
    )


def test_one_speaker_is_too_few(folder: Path) -> None:
    (folder / "my.csv").write_text(EXAMPLE.replace("Ben", "Ada"), encoding="utf-8")
    report = check(f"my.csv{LABELS}", None)
    assert report.problems == ("my.csv: one speaker; to hold one out takes at least two",)
    assert not report.ok


def test_labels_may_be_given_one_by_one(folder: Path, command: Command) -> None:
    labels = ("--labels=joy=happy", "--labels", "anger=angry")
    shown = command("corpus", "check", "my.csv", *labels, "--json")
    assert json.loads("\n".join(shown.out)) == check(f"my.csv{LABELS}", None).as_dict()


HEAD = "path,speaker,emotion\n"
GOOD = HEAD + "ada/001.wav,Ada,sad\n"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "my.csv: the table is empty"),
        (HEAD, "my.csv: the table is empty"),
        ("\n\n", "my.csv: the table is empty"),
        (GOOD.replace("speaker", "who"), "line 1: no column speaker, but path, who, emotion"),
        (GOOD.replace(",", ";"), "line 1: no column path, speaker, emotion, but path;speaker;"),
        (GOOD.replace("path", "path ,path"), "line 1: two columns path; rename"),
        (GOOD.replace("emotion", "emotion,emotion"), "line 1: two columns emotion; rename"),
        (GOOD + "ada/002.wav,Ada\n", "line 3: column emotion is empty"),
        (GOOD + "\n,Ada,sad\n\n,,sad\n", r"line 4: column path is empty.* \(1 more\)"),
        (GOOD + "ada/002.wav,Ada,sad,x\n", "line 3: 4 cells, where line 1 has 3"),
        (GOOD.replace("sad", "sad,"), "line 2: 4 cells, where line 1 has 3"),
        (GOOD + '"ada,Ada,sad\n', r"line 3: cannot be read \(unexpected end of data\)"),
        (GOOD + '\n"a"b,Ada,sad\n', "line 4: cannot be read"),
        (GOOD + '"a\nb",Ada,sad\nc,Ada,\n', "line 5: column emotion is empty"),
        (GOOD + "gone.wav,Ada,sad\n", r"line 3: column path is 'gone\.wav', but there is none in "),
        (GOOD + "ada/001.wav,Ben,joy\n", r"line 3: column path is 'ada/001.wav', as in an earlier"),
        (GOOD + "./ada/001.wav,Ben,sad\n", r"line 3: column path is './ada/001.wav', the record"),
        (
            "path,speaker,emotion,utterance\nada/001.wav,Ada,sad,a\nada/002.wav,Ada,sad,a\n",
            "line 3: column utterance is 'a', as in an earlier line",
        ),
        (GOOD.encode() + "ada/002.wav,Zoë,sad\n".encode("latin-1"), "line 3: not UTF-8"),
        (GOOD.encode("utf-16"), "line 1: not UTF-8"),
        (GOOD.replace("sad", "Sad"), r"no line is labelled neutral, happy, .* but Sad \(1\)"),
    ],
)
def test_a_fault_of_a_table_is_one_line(folder: Path, content: bytes | str, fault: str) -> None:
    (folder / "my.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    for use in (load_corpus, lambda name: check(name, None)):
        with pytest.raises(ReproError, match=rf"^my\.csv: .*{fault}|^{fault}") as caught:
            use("my.csv")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["[1]", "{"])
def test_a_line_that_is_no_object_is_named(folder: Path, line: str) -> None:
    (folder / "my.jsonl").write_text(f"{AS_JSON.splitlines()[0]}\n{line}\n", encoding="utf-8")
    with pytest.raises(ReproError, match="line 2: not a JSON object"):
        load_corpus("my.jsonl")


@pytest.mark.parametrize(
    ("corpus", "fault"),
    [
        ("gone.csv", r"gone\.csv: cannot be read"),
        ("ada.csv", r"ada\.csv: not a file"),
        ("my.csv[joy=glad]", "'joy=glad' is not LABEL=EMOTION"),
        ("my.csv[sad=happy,sad=angry]", "sad stands for two emotions"),
        ("my.csv[joy=sad,joy=happy]", "joy stands for two emotions"),
        ("my.csv[joy]", "'joy' is not LABEL=EMOTION"),
        ("my.xls", r"unknown corpus 'my\.xls'; .* such as my\.csv"),
    ],
)
def test_what_names_no_table_or_emotion_is_refused(folder: Path, corpus: str, fault: str) -> None:
    (folder / "ada.csv").mkdir()
    with pytest.raises(ReproError, match=fault):
        load_corpus(corpus)


def test_the_name_of_a_table_may_begin_as_a_home_folder_does(folder: Path) -> None:
    (folder / "my.csv").rename(folder / "~my.csv")
    read = load_corpus(f"./~my.csv{LABELS}")
    assert read.attrs["corpus"] == "~my.csv"
    assert remarks({(None, "hap"): read})[0].startswith("~my.csv: left out")


@pytest.mark.skipif(os.name != "posix", reason="names of files are text")
def test_a_table_whose_name_is_no_text_is_refused(folder: Path) -> None:
    name = os.fsdecode(b"my\xff.csv")
    (folder / "my.csv").rename(name)
    with pytest.raises(ReproError, match="cannot be written to a results file; name the table"):
        load_corpus(f"{name}{LABELS}")


def test_what_a_table_cannot_have_is_refused(folder: Path) -> None:
    with pytest.raises(ReproError, match=r"--labels goes with a table .*, not with emodb"):
        own.with_labels("emodb", ["joy=happy"])
    with pytest.raises(ReproError, match=r"--labels: no line of .*my\.csv is labelled joi$"):
        load_corpus("my.csv[joi=happy]")
    with pytest.raises(NoSuchReadingError, match=r"^my\.csv has no excited utterances"):
        load_corpus("my.csv", labels="hap+exc")
    with pytest.raises(ReproError, match=r"^gone\.csv: cannot be read"):
        cli.app(["report", "--corpus=gone.csv"], standalone_mode=False)
