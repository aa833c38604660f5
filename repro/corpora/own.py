"""A corpus of one's own: a table of sound files, their speakers and emotions (Section 3.1).

The file of the table, `my.csv`, `my.tsv` or `my.jsonl`, stands wherever a corpus is named. Which of
the paper's emotions its labels are may stand behind it: `my.csv[joy=happy,anger=angry]`.
"""

import csv
import json
import os
import re
from io import StringIO
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from repro import files
from repro.corpora.record import Corpus
from repro.corpora.table import ANY_EMOTION, Utterance
from repro.errors import ReproError
from repro.paper import EMOTIONS

NAME = re.compile(r"(?P<file>.+\.(?:csv|tsv|jsonl))(?:\[(?P<labels>.*)\])?", re.IGNORECASE)
COLUMNS = ["path", "speaker", "emotion"]
EMPTY = "the table is empty; give it a line for each file, below the names of its columns"
LISTED = 8  # labels that a message counts


def file_of(corpus: str) -> Path | None:
    """Return the file of a corpus that is a table; None for any other name."""
    match = NAME.fullmatch(corpus)
    # Not `expand`, as the name of a file may begin with ~.
    return Path(os.path.expanduser(match["file"])) if match else None


def with_labels(corpus: str, labels: list[str] | None) -> str:
    """Return the corpus with mappings of its labels, each such as `joy=happy,anger=angry`.

    Raises:
        ReproError: the corpus is no table, or its labels are mapped already.
    """
    if not labels:
        return corpus
    if not file_of(corpus) or corpus.endswith("]"):
        raise ReproError(f"--labels goes with a table such as --corpus my.csv, not with {corpus}")
    return f"{corpus}[{','.join(labels)}]"


def record(corpus: str) -> Corpus:
    """Return the record of a corpus that is a table."""
    file = file_of(corpus)
    assert file
    return Corpus(
        name=file.name,
        title=file.name,
        description="a table of one's own",
        licence="not known",
        read=lambda folder, _: utterances(corpus, folder),
        ensure=lambda: file.parent,
        rate=None,
        channels=None,
    )


def utterances(corpus: str, folder: Path) -> list[Utterance]:
    """Return the utterances of a table that are of the four emotions, in its order.

    Its paths are relative to the folder.

    Raises:
        ReproError: the table cannot be read, or a line of it cannot be used.
    """
    file, table = _labelled(corpus)
    known = table[table["emotion"] != ""]
    if known.empty:
        raise ReproError(
            f"{file}: no line is labelled {ANY_EMOTION}, but {_counted(table['label'])}; say "
            "what they stand for, as in --labels joy=happy,anger=angry"
        )
    paths = [
        folder / (path if os.path.isfile(folder / path) else _with_slashes(path))
        for path in known["path"]
    ]
    missing = known["path"][[not os.path.isfile(path) for path in paths]]
    _refuse(file, missing, f", but there is none in {folder}; correct it, or name another folder")
    again = known["path"][pd.Index(map(os.path.realpath, paths)).duplicated()]
    _refuse(file, again, ", the recording of an earlier line; remove one of the two")
    columns = (known[name] for name in Utterance._fields[:3])
    return [Utterance(*row) for row in zip(*columns, paths, strict=True)]


def left_out(corpus: str) -> str:
    """Say which utterances of a table have none of the four emotions; empty if all have one.

    Raises:
        ReproError: as for `utterances`.
    """
    _, table = _labelled(corpus)
    unknown = table.loc[table["emotion"] == "", "label"]
    if unknown.empty:
        return ""
    return f"left out as of none of the four emotions: {_counted(unknown)}"


def _labelled(corpus: str) -> tuple[Path, pd.DataFrame]:
    """Return a table's file and its lines: utterance, path, speaker, label, emotion.

    All are text, and an emotion that is not of the four is empty. The index has the line numbers.
    """
    match, file = NAME.fullmatch(corpus), file_of(corpus)
    assert match and file
    mapping = _mapping(match["labels"] or "")
    table = _cells(file).rename(columns=str.strip)
    if "path" not in table and "file" in table:  # as audformat has it
        table = table.rename(columns={"file": "path"})
    capitals = {name: name.lower() for name in table if name.lower() in {*COLUMNS} - {*table}}
    table = table.rename(columns=capitals)
    if absent := [name for name in COLUMNS if name not in table]:
        raise ReproError(
            f"{file}: line 1: no column {', '.join(absent)}, but {', '.join(table)}; a table has "
            "the columns path, speaker and emotion, with commas between them, or tabs and no "
            "quotation marks in a .tsv"
        )
    table = table.map(str.strip)
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise ReproError(f"{file}: {EMPTY}")
    table = table[[name for name in ("utterance", *COLUMNS) if name in table]]
    for name in table.columns[table.columns.duplicated()]:
        raise ReproError(f"{file}: line 1: two columns {name}; rename one of them")
    for name in table:
        if name != "path":  # one speaker, however accents are written
            table[name] = table[name].str.normalize("NFC")
        _refuse(file, table.loc[table[name] == "", name], "; fill it in, or remove the line")
    if "utterance" not in table:
        paths = table["path"].map(_with_slashes)
        stems = paths.map(lambda path: PurePath(path).stem)
        table["utterance"] = stems.mask(stems.duplicated(keep=False), paths)
    for name in ("path", "utterance"):
        twice = table.loc[table[name].duplicated(), name]
        _refuse(file, twice, ", as in an earlier line; remove one of the two")
    table["label"] = table["emotion"]
    if unused := [label for label in mapping if label not in {*EMOTIONS, *table["label"]}]:
        raise ReproError(f"--labels: no line of {file} is labelled {', '.join(unused)}")
    table["emotion"] = table["label"].map(mapping).fillna("")
    return file, table


def _with_slashes(path: str) -> str:
    """Return a path that may have been written on Windows."""
    return path.replace("\\", "/")


def _mapping(labels: str) -> dict[str, str]:
    """Return which of the four emotions each label stands for; each stands for itself."""
    mapping: dict[str, str] = {}
    for pair in filter(None, labels.split(",")):
        label, _, emotion = map(str.strip, pair.partition("="))
        if emotion not in EMOTIONS or not label:
            raise ReproError(
                f"--labels: {pair!r} is not LABEL=EMOTION, such as joy=happy, where EMOTION is "
                f"{ANY_EMOTION}"
            )
        if mapping.setdefault(label, emotion) != emotion:
            raise ReproError(f"--labels: {label} stands for two emotions; choose one")
    return dict(zip(EMOTIONS, EMOTIONS, strict=True)) | mapping


def _cells(file: Path) -> pd.DataFrame:
    """Return the cells of a table as text; the index has the line numbers."""
    text = _text(file)
    if file.suffix.lower() == ".jsonl":
        return _objects(file, text)
    # Between tabs a quotation mark is a character like any other.
    tabs: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    how = tabs if file.suffix.lower() == ".tsv" else {"strict": True}
    reader = csv.reader(StringIO(text, newline=""), **how)
    rows: dict[int, list[str]] = {}
    begin = 1  # a cell may go over several lines
    try:
        for cells in reader:
            rows[begin] = cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ReproError(f"{file}: line {begin}: cannot be read ({error}); correct it") from error
    columns = rows.pop(1, [])
    if not (rows and any(columns)):
        raise ReproError(f"{file}: {EMPTY}")
    for line, cells in rows.items():
        if len(cells) > len(columns):
            counts = f"{len(cells)} cells, where line 1 has {len(columns)}"
            raise ReproError(f"{file}: line {line}: {counts}; correct it")
        cells += [""] * (len(columns) - len(cells))
    return pd.DataFrame([*rows.values()], [*rows], columns)


def _objects(file: Path, text: str) -> pd.DataFrame:
    """Return the objects of JSON Lines as a table of text."""
    rows = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line).items()
        except (ValueError, AttributeError, RecursionError) as error:
            raise ReproError(f"{file}: line {number}: not a JSON object; correct it") from error
        rows[number] = {name: "" if cell is None else str(cell) for name, cell in cells}
    if not rows:
        raise ReproError(f"{file}: {EMPTY}")
    return pd.DataFrame.from_dict(rows, orient="index", dtype=str).fillna("")


def _text(file: Path) -> str:
    """Return the text of a table, without a mark of its encoding at its start."""
    try:
        return files.read(file, "check the path of the table").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ReproError(f"{file}: line {line}: not UTF-8; save the table in UTF-8") from error


def _refuse(file: Path, wrong: pd.Series, what: str) -> None:
    """Raise ReproError that names line and column of the first of some wrong cells."""
    if wrong.empty:
        return
    (line, cell), *others = wrong.items()
    value = repr(cell) if cell else "empty"
    more = f" ({len(others)} more)" if others else ""
    raise ReproError(f"{file}: line {line}: column {wrong.name} is {value}{what}{more}")


def _counted(labels: pd.Series) -> str:
    """Return labels with how often each occurs, the commonest first."""
    counts = labels.value_counts()
    said = [f"{label} ({count})" for label, count in counts[:LISTED].items()]
    return ", ".join(said + ["…"] * (len(counts) > LISTED))
