"""The results file: JSON Lines, one line for each finished fold.

Whatever trains appends to it, whatever shows reads from it. A line is written whole and synced
before the next begins, so the only damage that a killed run can do is a torn last line, which
reading ignores and the next append removes. A last line that only lacks its line end, as some
editors and copies leave it, counts. A line that cannot be written (a full disk) is cut off again.
Anything else that is not a finished fold is refused by its line number: no table is made from half
a file. A fold whose training diverged is finished too: its line says so, and holds no predictions.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from repro import config, files, paper
from repro.errors import ReproError
from repro.results import pictures

FORMAT = 1  # of a line that does not say; a change that today's readers would misread counts up
LINE_START = b'{"key"'
FOLD_COLUMNS = ["study", "variant", "preset", "corpus", "key", "fold", "seed"]
# What every row of a table says of its fold.
OF_A_FOLD = [*FOLD_COLUMNS, "corpus_hash", "average", "held_out", "precision", "statistics"]
PREDICTION_COLUMNS = ["utterance", "emotion", *paper.EMOTIONS]
# What a line also holds since version 0.2: scores by the other reading of Section 2.1, and lengths.
LOGITS = [f"{emotion} logit" for emotion in paper.EMOTIONS]
COUNTED = [*LOGITS, "samples"]
# What a line may hold of attention maps, see `repro.study.attention.measure`: `pitch` stands for
# periodicity, the height of the autocorrelation's peak, not for a fundamental frequency.
ATTENTION_COLUMNS = [
    *("bottom_up_energy", "bottom_up_pitch", "top_down_energy", "top_down_pitch", "spread")
]
PICTURES = ["segment", "bottom_up", "top_down"]


class Results(NamedTuple):
    """A results file as tidy tables; each row says which fold of which study it belongs to.

    All have the columns study, variant, preset, corpus, key, fold, seed, corpus_hash, average and
    held_out (`protocol.average` and `protocol.folds`), precision and statistics (as
    `provenance.made_by` says). What nothing was read for has none.

    Args:
        folds: a row per finished fold, with its experiment and what `provenance.made_by` says, but
            for those that diverged: nothing else speaks of them.
        history: a row per fold and epoch, with epoch (from 1) and loss.
        predictions: a row per fold and test utterance, with utterance, emotion (true), predicted,
            a score per emotion and, where the corpus is at hand, how many folds a seed of its
            variant has (folds_of_a_seed).
        attention: likewise, where attention maps were measured, with utterance, emotion, predicted
            and `ATTENTION_COLUMNS`, see `attention.measure`.
        examples: a row per utterance whose maps were kept, with utterance, emotion, predicted and
            `PICTURES`, as arrays [rows, columns].
        diverged: a row per fold whose training diverged.
        planned: how many folds each variant has in the end, where `study.read.held` can tell.
    """

    folds: pd.DataFrame
    history: pd.DataFrame
    predictions: pd.DataFrame
    attention: pd.DataFrame
    examples: pd.DataFrame
    diverged: pd.DataFrame
    planned: dict[str, int] | None = None


def identity(record: dict[str, Any]) -> tuple[str, str, str, str, str, int]:
    """Return what makes a finished fold the same as another, so that it need not run again."""
    names = (record[name] for name in ("study", "variant", "key"))
    return *names, record["corpus"]["hash"], record["fold"], record["seed"]


def has_diverged(record: dict[str, Any]) -> bool:
    """Return whether the training of a finished fold diverged, so that nothing was predicted."""
    return record.get("diverged", False)


def append(path: str | Path, record: dict[str, Any]) -> None:
    """Write one finished fold as a line and sync it to the disk.

    Raises:
        ReproError: the file cannot be written; it holds what it held before.
    """
    line = (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode()
    with _open(Path(path)) as (file, end):
        try:
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):  # what cannot be cut is a torn line, as after a kill
                file.truncate(end)
            raise


def require_writable(path: str | Path) -> None:
    """Find out whether folds can be written before hours are spent on the first.

    Raises:
        ReproError: the file cannot be written.
    """
    with _open(Path(path)):
        pass


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the finished folds of a results file; of two equal ones the first counts.

    Raises:
        ReproError: the file is missing or unreadable, or a line is not a finished fold.
    """
    records: dict[tuple[Any, ...], dict[str, Any]] = {}
    for _, record in read_whole_lines(path):
        records.setdefault(identity(record), record)
    return list(records.values())


def read_whole_lines(path: str | Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Give each line of a results file, as it is written and as the finished fold it holds.

    Raises:
        ReproError: the file is missing or unreadable, or a line is not a finished fold.
    """
    for number, line in enumerate(split(path)[0], 1):
        try:
            yield line, parse(line)
        except ValueError as fault:
            raise ReproError(
                f"{path}, line {number}: not a line that `repro run` writes ({fault}); "
                "move it out of the file"
            ) from fault


def split(path: str | Path) -> tuple[list[bytes], bytes]:
    """Return the whole lines of a results file, unread, and what is torn at its end.

    Raises:
        ReproError: the file is missing or unreadable, or its end is of another kind of file.
    """
    path = Path(path)
    *lines, last = files.read(path, "name a file that `repro run` has written").split(b"\n")
    _refuse_foreign(last, path)
    return ([*lines, last], b"") if _is_whole(last) else (lines, last)


def parse(line: bytes) -> dict[str, Any]:
    """Return the finished fold that a line holds.

    Raises:
        ValueError: it holds none; the text says what is wrong with it.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(record, dict):
        raise ValueError("not an object")
    if record.get("format", FORMAT) != FORMAT:
        raise ValueError("from a newer version of repro, which can read it")
    missing = [name for name in FITS if name not in record]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    checks = dict(FITS)
    if "attention" in record:
        checks["attention"] = lambda value: _is_attention(value, record["predictions"])
    for name, fits in checks.items():
        try:
            wrong = not fits(record[name])
        except (KeyError, TypeError, ValueError):
            wrong = True
        if wrong:
            raise ValueError(f"invalid {name}")
    if record.get("diverged", False) is not (not record["predictions"]["utterance"]):
        raise ValueError(f"invalid {'diverged' if 'diverged' in record else 'predictions'}")
    made_by = record["provenance"]  # in which an earlier version did not speak of the statistics
    on_cpu = str(made_by.get("device", "cpu")).startswith("cpu")
    made_by = {"statistics": "torch" if on_cpu else "cudnn"} | made_by
    return record | {"preset": config.spelled(record["preset"]), "provenance": made_by}


def read(path: str | Path, **only: Collection[Any]) -> Results:
    """Return a results file as tidy tables.

    Args:
        path: JSON Lines file that `repro run` wrote.
        only: by column, the values that rows may have, such as `study={"pooling"}`.

    Raises:
        ReproError: the file is missing or unreadable, or a line is not a finished fold.
    """
    return tables(read_lines(path), **only)


def tables(records: Iterable[dict[str, Any]], **only: Collection[Any]) -> Results:
    """Return finished folds as tidy tables; the arguments are those of `read`."""
    folds, histories, predictions, attention, examples, diverged = [], [], [], [], [], []
    for record in records:
        corpus, protocol = record["corpus"], record["experiment"]["protocol"]
        where = {name: record[name] for name in FOLD_COLUMNS}
        where |= {"corpus": corpus["name"], "corpus_hash": corpus["hash"]}
        where |= {"average": protocol["average"], "held_out": protocol["folds"]}
        made_by = record["provenance"]
        where |= {name: made_by[name] for name in ("precision", "statistics")}
        if any(where[name] not in allowed for name, allowed in only.items()):
            continue
        if has_diverged(record):
            diverged.append(pd.DataFrame([where]))
            continue
        folds.append(where | {"experiment": record["experiment"]} | made_by | where)
        epochs = range(1, len(record["history"]) + 1)
        histories.append(pd.DataFrame({"epoch": epochs, "loss": record["history"]}).assign(**where))
        table = pd.DataFrame({name: record["predictions"][name] for name in PREDICTION_COLUMNS})
        table["predicted"] = table[list(paper.EMOTIONS)].idxmax(axis=1)
        predictions.append(table.assign(**where))
        if "attention" in record:
            shown = table[["utterance", "emotion", "predicted"]].assign(**where)
            columns = {name: record["attention"][name] for name in ATTENTION_COLUMNS}
            attention.append(shown.join(pd.DataFrame(columns, dtype=float)))
            shown_maps = [
                {"utterance": each["utterance"]} | {p: pictures.unpack(each[p]) for p in PICTURES}
                for each in record["attention"]["examples"]
            ]
            maps = pd.DataFrame(shown_maps, columns=["utterance", *PICTURES])
            examples.append(shown.merge(maps, on="utterance"))
    runs = [pd.DataFrame(folds)] if folds else []
    parts = runs, histories, predictions, attention, examples, diverged
    nothing = pd.DataFrame(columns=OF_A_FOLD)  # of which pages may ask as of any table
    return Results(*(pd.concat(of, ignore_index=True) if of else nothing for of in parts))


# What a line holds -------------------------------------------------------------------------------


def is_text(value: object) -> bool:
    """Tell whether a value is a string without half characters, which have no code."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


def _is_number(value: Any) -> bool:
    """Tell whether a value is a number that float64 holds."""
    return isfinite(value) if type(value) is float else type(value) is int and abs(value) < 2**53


def _is_protocol(value: Any) -> bool:
    """Tell whether a protocol says what decides how its folds are put together and compared."""
    named = is_text(value["folds"]) and is_text(value["labels"])
    return named and value["average"] in ("pooled", "folds")


def _are_columns(columns: Iterable[Any], rows: int) -> bool:
    return all(type(column) is list and len(column) == rows for column in columns)


def _is_table(value: Any) -> bool:
    """Tell whether predictions are columns of one length, with each utterance once."""
    utterances, emotions, *scores = (value[name] for name in PREDICTION_COLUMNS)
    return (
        _are_columns(value.values(), len(utterances))
        and all(map(is_text, utterances))
        and len(set(utterances)) == len(utterances)
        and all(emotion in paper.EMOTIONS for emotion in emotions)
        and all(_is_number(score) for column in scores for score in column)
        and all(_is_number(x) for name in COUNTED for x in value.get(name, ()))
    )


def _is_attention(value: Any, predictions: dict[str, list[Any]]) -> bool:
    """Tell whether measures of attention maps belong to the predictions, and pictures are some."""
    utterances, examples = predictions["utterance"], value["examples"]
    columns = [value[name] for name in ATTENTION_COLUMNS]
    named = {example["utterance"] for example in examples}
    for example in examples:
        for name in PICTURES:
            pictures.unpack(example[name])
    return (
        _are_columns(columns, len(utterances))
        and all(x is None or (_is_number(x) and -1 <= x <= 1) for c in columns for x in c)
        and type(examples) is list
        and 0 < len(named) == len(examples)
        and named <= set(utterances)
    )


FITS: dict[str, Callable[[Any], bool]] = {
    "key": is_text,
    "study": is_text,
    "variant": is_text,
    "preset": is_text,
    "experiment": lambda value: _is_protocol(value["protocol"]),
    "corpus": lambda value: is_text(value["name"]) and is_text(value["hash"]),
    "fold": is_text,
    "seed": lambda value: type(value) is int and 0 <= value < 2**63,
    "history": lambda value: type(value) is list and all(map(_is_number, value)),
    "predictions": _is_table,
    "provenance": lambda value: (
        is_text(value["precision"]) and is_text(value.get("statistics", ""))
    ),
}


# The end of the file -----------------------------------------------------------------------------


@contextmanager
def _open(path: Path) -> Iterator[tuple[FileIO, int]]:
    """Open a file to append whole lines, its last line ended or cut; gives its length as well.

    Without a buffer: what a full disk refused must not be written later, behind the next line.
    """
    with files.refused(f"{path}: cannot write results"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as file:
            file.seek(0)
            last = file.read().rpartition(b"\n")[2]
            _refuse_foreign(last, path)
            if _is_whole(last):
                file.write(b"\n")
            elif last:
                file.truncate(file.tell() - len(last))
            yield file, file.seek(0, os.SEEK_END)


def _is_whole(last: bytes) -> bool:
    """Tell whether a line lacks nothing but its end: no part of a JSON object is JSON."""
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_foreign(last: bytes, path: Path) -> None:
    """Raise ReproError if what follows the last line end is not the beginning of a line of ours.

    Zeros are what a power cut leaves of a line whose length reached the disk before its text, and
    blanks what an editor leaves.
    """
    if last.strip(b"\0 \t\r") and not last.startswith(LINE_START[: len(last)]):
        raise ReproError(f"{path}: not a results file; name another")
