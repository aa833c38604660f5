"""The results file: JSON Lines, one line for each finished fold.

Whatever trains appends to it, whatever shows reads from it. A line is written whole and synced
before the next begins, so the only damage that a killed run can do is a torn last line, which
reading ignores and the next append removes.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pandas as pd

from repro import paper
from repro.errors import ReproError

FIELDS = (
    "key",
    "study",
    "variant",
    "preset",
    "experiment",
    "corpus",
    "fold",
    "seed",
    "history",
    "predictions",
    "provenance",
)
LINE_START = b'{"key"'
FOLD_COLUMNS = ["study", "variant", "preset", "corpus", "key", "fold", "seed"]


class Results(NamedTuple):
    """A results file as tidy tables; each row says which fold of which study it belongs to."""

    folds: pd.DataFrame  # a row per finished fold, with its experiment and provenance
    history: pd.DataFrame  # a row per fold and epoch: epoch, loss
    predictions: pd.DataFrame  # a row per fold and test utterance: emotion, predicted, scores


def identity(record: dict[str, Any]) -> tuple[str, str, str, str, str, int]:
    """Return what makes a finished fold the same as another, so that it need not run again."""
    names = (record[name] for name in ("study", "variant", "key"))
    return *names, record["corpus"]["hash"], record["fold"], record["seed"]


def append(path: str | Path, record: dict[str, Any]) -> None:
    """Write one finished fold as a line and sync it to the disk.

    Raises:
        ReproError: the file cannot be written.
    """
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    with _open(Path(path)) as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


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
        ReproError: the file is missing or unreadable, or a line is no finished fold.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise ReproError(f"{path}: no such results file; make it with `repro run`") from error
    except OSError as error:
        raise ReproError(f"{path}: cannot read results ({error.strerror})") from error
    records: dict[tuple[Any, ...], dict[str, Any]] = {}
    *lines, torn = text.split(b"\n")
    _refuse_foreign(torn, path)
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            missing = [name for name in FIELDS if name not in record]
            if not missing:
                records.setdefault(identity(record), record)
        except (ValueError, TypeError, KeyError):
            missing = ["JSON"]
        if missing:
            raise ReproError(
                f"{path}, line {number}: not a line that `repro run` writes "
                f"(missing: {', '.join(missing)}); move it out of the file"
            )
    return list(records.values())


def read(path: str | Path, **only: str) -> Results:
    """Read a results file into tidy tables.

    Args:
        path: JSON Lines file that `repro run` wrote.
        only: values of columns that rows must have, such as `study="pooling"`.

    Raises:
        ReproError: the file is missing or unreadable, or a line is no finished fold.
    """
    folds, histories, predictions = [], [], []
    for record in read_lines(path):
        where = {name: record[name] for name in FOLD_COLUMNS}
        where |= {"corpus": record["corpus"]["name"], "corpus_hash": record["corpus"]["hash"]}
        where["average"] = record["experiment"]["protocol"]["average"]
        if any(where[name] != value for name, value in only.items()):
            continue
        folds.append(where | {"experiment": record["experiment"]} | record["provenance"])
        epochs = range(1, len(record["history"]) + 1)
        histories.append(pd.DataFrame({"epoch": epochs, "loss": record["history"]}).assign(**where))
        table = pd.DataFrame(record["predictions"])
        table["predicted"] = table[list(paper.EMOTIONS)].idxmax(axis=1)
        predictions.append(table.assign(**where))
    return Results(pd.DataFrame(folds), _concat(histories), _concat(predictions))


def _concat(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a file to append whole lines."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            _cut_torn_line(file, path)
            yield file
    except OSError as error:
        raise ReproError(f"{path}: cannot write results ({error.strerror})") from error


def _cut_torn_line(file: BinaryIO, path: Path) -> None:
    """Cut a last line without an end: its fold was not finished."""
    if not os.fstat(file.fileno()).st_size:
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = content.rfind(b"\n") + 1
        torn = content[end:]
    _refuse_foreign(torn, path)
    file.truncate(end)


def _refuse_foreign(torn: bytes, path: Path) -> None:
    """Raise ReproError if what follows the last line end is not the beginning of a line of ours."""
    if not torn.startswith(LINE_START[: len(torn)]):
        raise ReproError(f"{path}: not a results file; give --results another name")
