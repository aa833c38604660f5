"""Look after results files: count what one holds, find what is wrong, make one of several."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from repro import files, results
from repro.errors import ReproError, warn

# What of a fold's provenance can change its scores: folds that differ in it are not compared.
MUST_BE_EQUAL = {"precision": "precisions", "statistics": "batch statistics"}


@dataclass(frozen=True)
class Tally:
    """How much of a study, preset and corpus one variant has, and what it lacks of the others'."""

    study: str
    preset: str
    corpus: str
    corpus_hash: str
    variant: str
    folds: int
    diverged: int  # of the folds
    seeds: list[int]
    settings: int  # how many different ones; more than 1 is a mix
    missing: list[str]


@dataclass(frozen=True)
class Outcome:
    """What a results file holds, and all that is wrong with it."""

    file: str
    folds: int
    tallies: list[Tally]
    faults: list[str]

    @property
    def ok(self) -> bool:
        """Return whether every line is a fold of its own and every variant has the same folds."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self) | {"ok": self.ok}

    def text(self) -> str:
        """Return everything as lines for a reader."""
        lines = [f"{self.file}: {self.folds} finished folds"]
        for tally in self.tallies:
            heading = f"{tally.study}, {tally.preset}, {tally.corpus} ({tally.corpus_hash})"
            if heading not in lines:
                lines.append(heading)
            seeds = ", ".join(map(str, tally.seeds))
            lost = f" ({tally.diverged} diverged)" if tally.diverged else ""
            lines.append(f"  {tally.variant:12} {tally.folds} folds{lost}, seeds: {seeds}")
        return "\n".join([*lines, *(f"wrong: {fault}" for fault in self.faults)])


def check(path: str | Path) -> Outcome:
    """Count the folds of a results file and list every fault; the file is left alone.

    Raises:
        ReproError: the file is missing, unreadable or of another kind.
    """
    lines, torn = results.split(path)
    faults = []
    folds: dict[tuple[Any, ...], tuple[int, dict[str, Any]]] = {}
    for number, line in enumerate(lines, 1):
        try:
            record = results.parse(line)
        except ValueError as fault:
            faults.append(f"line {number}: not a finished fold ({fault}); move it out of the file")
            continue
        first, same = folds.setdefault(results.identity(record), (number, record))
        if first != number:
            equal = "the same" if record["predictions"] == same["predictions"] else "OTHER"
            faults.append(
                f"line {number}: the fold of line {first} again ({_name(record)}), with {equal} "
                "predictions; the first counts"
            )
    if torn:
        faults.append(
            f"{len(torn)} bytes of an unfinished line at the end; the next fold cuts them"
        )
    records = [record for _, record in folds.values()]
    tallies = _tallies(records) if records else []
    faults += mixed(records)
    for tally in tallies:
        name = f"{tally.study} {tally.variant} ({tally.preset}, {tally.corpus})"
        faults += [f"{name}: missing {each}" for each in tally.missing]
        if tally.settings > 1:
            faults.append(f"{name}: folds of {tally.settings} different settings under one name")
    return Outcome(str(path), len(folds), tallies, faults)


def merge(sources: Sequence[str | Path], target: str | Path) -> int:
    """Write the folds of several results files into a new one, each fold once.

    Returns:
        How many folds it holds.

    Raises:
        ReproError: a file is not a results file, two of them hold the same fold with different
            predictions, or the target exists or cannot be written.
    """
    target = Path(target)
    if os.path.exists(target):
        raise ReproError(f"{target}: already exists; name a new file to merge into")
    content: list[bytes] = []
    seen: dict[tuple[Any, ...], tuple[str | Path, dict[str, Any]]] = {}
    for source in sources:
        for line, record in results.read_whole_lines(source):
            fold = results.identity(record)
            if fold not in seen:
                seen[fold] = source, record
                content.append(line + b"\n")
            elif record["predictions"] != seen[fold][1]["predictions"]:
                raise ReproError(
                    f"{seen[fold][0]} and {source} hold different predictions of one fold "
                    f"({_name(record)}); take it out of one of them"
                )
    with files.refused(f"{target}: cannot write results"):
        files.write_whole(target, b"".join(content))
    for what in mixed(record for _, record in seen.values()):
        warn(f"{target}: {what}; they cannot be compared")
    return len(content)


def _tallies(records: list[dict[str, Any]]) -> list[Tally]:
    """Count folds by run and variant, in the order of the file, but states of a corpus together.

    A fold is missing that another variant of the run has, of those that split the corpus alike. One
    with other labels, whose corpus is thereby another, is compared with those of the same name.
    """
    rows = []
    for record in records:
        corpus, protocol = record["corpus"], record["experiment"]["protocol"]
        row = {name: record[name] for name in ("study", "preset", "variant", "key")}
        row |= {name: corpus[name] for name in ("name", "hash")}
        row |= {name: protocol[name] for name in ("folds", "labels")}
        diverged = results.has_diverged(record)
        rows.append(row | {"unit": (record["fold"], record["seed"]), "diverged": diverged})
    tallies = []
    for (study, preset, corpus), run in pd.DataFrame(rows).groupby(
        ["study", "preset", "name"], sort=False
    ):
        for state, of_state in run.groupby("hash", sort=False):
            for variant, own in of_state.groupby("variant", sort=False):
                first = own.iloc[0]
                other = (run["hash"] == state) | (run["labels"] != first["labels"])
                alike = run[(run["folds"] == first["folds"]) & other]
                lacking = sorted({*alike["unit"]} - {*own["unit"]})
                missing = [f"fold {fold}, seed {seed}" for fold, seed in lacking]
                seeds = sorted({seed for _, seed in own["unit"]})
                lost = int(own["diverged"].sum())
                counts = len(own), lost, seeds, own["key"].nunique(), missing
                tallies.append(Tally(study, preset, corpus, str(state), str(variant), *counts))
    return tallies


def mixed(records: Iterable[dict[str, Any]]) -> list[str]:
    """Say which studies hold folds that differ in what of their provenance must be equal."""
    held: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for record in records:
        run = "{study} ({preset}, {corpus[name]})".format(**record)
        for name, what in MUST_BE_EQUAL.items():
            held[what, run][record["provenance"][name]] += 1
    return [
        f"{run}: folds of different {what}, "
        + " and ".join(f"{number} in {value}" for value, number in counts.items())
        for (what, run), counts in held.items()
        if len(counts) > 1
    ]


def _name(record: dict[str, Any]) -> str:
    return "{study} {variant}, fold {fold}, seed {seed}".format(**record)
