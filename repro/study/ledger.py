"""What a results file holds, by what was trained.

A line of the file is a variant of a study on a corpus, with who is held out and a seed. A training
is a network with the same three, and several lines may count one: the default of `readings` is the
attention network of `pooling`, and leaving short utterances out of the test changes only whose
scores count. What is trained alike is trained once, and each variant counts its scores in its way.
"""

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

from repro import paper, results, spectrogram
from repro.config import SHORT_IN_TRAINING, Experiment, from_dict
from repro.study.grids import Variant

Record = dict[str, Any]  # a line of a results file, see `results.parse`


class Trained(NamedTuple):
    """What names a training, whatever study it is of and however its scores count."""

    network: str  # see `network_id`
    corpus: str  # its hash
    fold: str  # who is held out
    seed: int


class Ledger:
    """The finished folds of a results file."""

    def __init__(self, records: Iterable[Record] = ()):
        self.records: list[Record] = []
        self._alike: dict[Trained, list[tuple[Record, Experiment]]] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Enter a finished fold."""
        self.records.append(record)
        # Which an experiment raises that is of another version, or the user's own.
        with suppress(ValueError, RecursionError):
            experiment = from_dict(record["experiment"])
            alike = trained_as(record, experiment, record["variant"])
            self._alike.setdefault(alike, []).append((record, experiment))

    def trained(self, heading: Record, variant: Variant) -> list[tuple[Record, Experiment]]:
        """Return the folds of which the network is that of a variant's fold, however scored."""
        return self._alike.get(trained_as(heading, variant.experiment, variant.name), [])

    def find(self, heading: Record, variant: Variant) -> Record | None:
        """Return a fold's line as a variant counts it; None if it has to be trained.

        The heading says study, preset, corpus, fold and seed.
        """
        names = {"study": heading["study"], "variant": variant.name, "preset": heading["preset"]}
        own, others = [], []
        for record, experiment in self.trained(heading, variant):
            if all(record[name] == names[name] for name in ("study", "variant")):
                own.append((record, experiment))
            elif "attention" in record or results.has_diverged(record) or not variant.attends:
                others.append((record, experiment))
        found = (_counted(*line, variant.experiment) for line in own + others)
        return next((record | names for record in found if record), None)

    def of(
        self,
        study: str,
        setting: str,
        variant: Variant,
        corpora: Collection[str],
        seeds: Collection[int],
    ) -> list[Record]:
        """Return the folds of a variant of a study as it counts them.

        The setting is the preset with its overrides. Corpora, by their hashes, and seeds are those
        that count: more may be there, as another study was trained with more.
        """
        what = network_id(variant.experiment, variant.name)
        found = (
            self.find(lines[0][0] | {"study": study, "preset": setting}, variant)
            for training, lines in self._alike.items()
            if training.network == what and training.corpus in corpora and training.seed in seeds
            if variant.corpus in (None, lines[0][0]["corpus"]["name"])
        )
        return [record for record in found if record]


def open_ledger(path: str | Path) -> Ledger:
    """Return the folds of a results file, which need not exist.

    Raises:
        ReproError: it is unreadable, or a line is not a finished fold.
    """
    return Ledger(results.read_lines(path) if os.path.exists(path) else ())


def trained_as(heading: Record, experiment: Experiment, variant: str) -> Trained:
    """Return the training of a fold."""
    return Trained(network_id(experiment, variant), *fold_of(heading))


def network_id(experiment: Experiment, variant: str) -> str:
    """Return the key of what is trained; where that is no network, with the variant's name."""
    key = experiment.trained.key
    return key if experiment.network.stems else f"{variant} {key}"


def fold_of(heading: Record) -> tuple[str, str, int]:
    """Return the hash of a line's corpus, who is held out, and the seed."""
    return heading["corpus"]["hash"], heading["fold"], heading["seed"]


def _counted(record: Record, trained: Experiment, wanted: Experiment) -> Record | None:
    """Count the scores of a line as another experiment does that trains the same network.

    None if the line, as of an earlier version, does not hold what that takes.
    """
    if trained == wanted:
        return record
    table, of = record["predictions"], record["experiment"]
    score, short = wanted.protocol.score, wanted.front_end.short
    if score != trained.protocol.score:
        if score != "logits" or not set(results.LOGITS) <= table.keys():
            return None
        table = table | dict(zip(paper.EMOTIONS, map(table.get, results.LOGITS), strict=True))
    if short != trained.front_end.short:
        if short not in SHORT_IN_TRAINING or "samples" not in table:
            return None
        long_enough = [samples >= spectrogram.SEGMENT for samples in table["samples"]]
        table = _rows(table, long_enough)
        if maps := record.get("attention"):
            measures = {name: maps[name] for name in results.ATTENTION_COLUMNS}
            shown = [each for each in maps["examples"] if each["utterance"] in table["utterance"]]
            left = _rows(measures, long_enough) | {"examples": shown}
            record = record | {"attention": left}
    protocol = of["protocol"] | {"average": wanted.protocol.average, "score": score}
    experiment = of | {"protocol": protocol, "front_end": of["front_end"] | {"short": short}}
    return record | {"key": wanted.key, "experiment": experiment, "predictions": table}


def _rows(columns: dict[str, list[Any]], wanted: list[bool]) -> dict[str, list[Any]]:
    return {name: list(compress(column, wanted)) for name, column in columns.items()}
