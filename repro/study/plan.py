"""A run as it is asked for, and the folds that it consists of."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd
import torch

from repro import crossval, results
from repro.config import Experiment, FrontEnd, spelled
from repro.corpora import at_hand, corpus_hash, load_corpus
from repro.device import Precision, choose_precision
from repro.errors import NoSuchReadingError, ReproError
from repro.model import check_network, is_first_layer
from repro.results.provenance import batch_statistics
from repro.study.grids import STUDIES, Variant, short_name, variants
from repro.study.ledger import Ledger, Record, Trained, trained_as

MOST_SEEDS = 1000
Source = tuple[str | None, str]  # a corpus of the study's own, if any, and `protocol.labels`
Tables = dict[Source, pd.DataFrame]
Progress = Callable[[str, int, int], None]  # what is training, epochs done, epochs in all


@dataclass(frozen=True)
class Run:
    """What to train, on what, and where its results go.

    Args:
        study: one of `grids.STUDIES`.
        corpus: name of the corpus; `root` is its folder, unless it is the built-in one. Or a table
            of one's own, see `corpora.own`. A study with corpora of its own reads neither.
        root: see `corpus`.
        preset: with what is changed of it, see `config.preset`; results files name it as
            `config.spelled` writes it.
        results: JSON Lines file to append to; a killed run goes on from what it holds. Only
            `read.collect` can do without.
        device: `cpu`, `cuda`, or `auto`: a GPU if torch can use one.
        precision: `fp32`, `bf16`, or `auto`: that of the folds which the file holds already; if it
            holds none, float32.
        seeds: how many seeds, counted from 0; with none nothing is trained.
        only: these variants and no others, with commas between their names, in full or as pages
            show them.
        ray: spread the folds over this cluster, see `cluster.train`; by default they run here.
        gpus_per_fold: on a cluster, the share of a GPU that a fold gets; by default a quarter.
    """

    study: str
    corpus: str = "synthetic"
    root: str | Path | None = None
    preset: str = "smoke"
    results: str | Path | None = None
    device: str = "auto"
    precision: str = "auto"
    seeds: int = 1
    only: str | None = None
    ray: str | None = None
    gpus_per_fold: float | None = None

    def __post_init__(self) -> None:
        """Spell the preset as results files do, and refuse what a run would have to ignore.

        Raises:
            ReproError: there is no such study or number of seeds, or the study has no use for an
                option of a cluster.
        """
        object.__setattr__(self, "preset", spelled(str(self.preset)))  # papermill reads `2` as 2
        if type(self.seeds) is not int or not 0 <= self.seeds <= MOST_SEEDS:
            raise ReproError(f"seeds {self.seeds}: give a whole number from 0 to {MOST_SEEDS}")
        if self.study not in STUDIES:
            raise ReproError(f"no study {self.study!r}: choose one of {', '.join(STUDIES)}")
        if self.ray and not STUDIES[self.study].networks:
            raise ReproError(f"{self.study} take a minute on one machine: omit --ray")
        if self.gpus_per_fold is not None and (not self.ray or self.device == "cpu"):
            raise ReproError(
                "--gpus-per-fold shares out the GPUs of a Ray cluster: give --ray, and not "
                "--device cpu"
            )

    @property
    def file(self) -> Path:
        """The results file.

        Raises:
            ReproError: none is named.
        """
        if self.results is None:
            raise ReproError(f"{self.study}: name a results file (`results`)")
        return Path(str(self.results))  # papermill reads the name `2024` as a number

    @property
    def at_hand(self) -> bool:
        """Whether the corpus that was asked for can be read, as `corpora.at_hand` tells."""
        return at_hand(self.corpus, self.root)

    @property
    def named(self) -> list[str]:
        """The variants that `only` names, as pages show them."""
        if self.only is None:
            return []
        return [*map(short_name, re.split(r",(?! )", self.only))]  # `40 ms, 2x2` is one name

    def grid(self) -> dict[str, Variant]:
        """Return the variants that are asked for, by name.

        Raises:
            ReproError: there is no such preset or variant, or an override does not fit.
        """
        grid, named = variants(self.study, self.preset), self.named
        for name in named:
            if name not in map(short_name, grid):
                raise ReproError(
                    f"no variant {name!r} in the study {self.study}: choose from {', '.join(grid)}"
                )
        return {name: grid[name] for name in grid if not named or short_name(name) in named}


class Task(NamedTuple):
    """One fold of one variant.

    Args:
        heading: the start of its line in the results file.
        variant: how it is trained and counted.
        fold: who is held out.
        table: the corpus.
    """

    heading: dict[str, Any]
    variant: Variant
    fold: crossval.Fold
    table: pd.DataFrame

    @property
    def experiment(self) -> Experiment:
        """What is trained, whatever the variant makes of its scores."""
        return self.variant.experiment.trained

    @property
    def epochs(self) -> int:
        """How many there are to wait for."""
        return 1 if self.variant.system else self.experiment.training.epochs

    @property
    def label(self) -> str:
        """The task's name for the progress bar."""
        return "{study} {variant}, {fold} held out, seed {seed}".format(**self.heading)

    @property
    def inputs(self) -> tuple[Source, FrontEnd | str]:
        """What its features depend on: the corpus, and the front end or the system."""
        return source_of(self.variant), self.variant.system or self.experiment.front_end


class Plan(NamedTuple):
    """A run, of which the corpus has been read.

    Args:
        run: what is asked for.
        grid: its variants that the corpus can be split and labelled for.
        tables: the corpus, by `source_of` the variants.
        refused: why, by name, the corpus refuses the others.
    """

    run: Run
    grid: dict[str, Variant]
    tables: Tables
    refused: dict[str, str]

    def tasks(self, grid: Sequence[Variant] | None = None) -> list[Task]:
        """Return every fold of some variants (by default the first stage's), seed by seed."""
        grid = [*self.grid.values()] if grid is None else grid
        seeds = range(self.run.seeds)
        return [task for seed in seeds for each in grid for task in self.folds(each, seed)]

    def folds(self, variant: Variant, seed: int = 0) -> list[Task]:
        """Return the folds of a variant."""
        table, trained = self.tables[source_of(variant)], variant.experiment.trained
        heading = {
            "key": trained.key,
            "study": self.run.study,
            "variant": variant.name,
            "preset": self.run.preset,
            "experiment": asdict(trained),
            "corpus": {"name": table.attrs["corpus"], "hash": corpus_hash(table)},
        }
        folds = crossval.make_folds(table, trained)
        of_seed = [heading | {"fold": fold.held_out, "seed": seed} for fold in folds]
        return [Task(of, variant, fold, table) for of, fold in zip(of_seed, folds, strict=True)]

    def losses(self, held: Ledger) -> dict[str, float]:
        """Return the last training loss of each variant, averaged over the folds of seed 0.

        A variant of which folds are missing, or diverged, has none.
        """
        found: dict[str, float] = {}
        for variant in self.grid.values():
            folds = self._first_seed(variant, held)
            ended = [r["history"][-1] for r in folds if r and not results.has_diverged(r)]
            if len(ended) == len(folds):
                found[variant.name] = fmean(ended)
        return found

    def second_stage(self, held: Ledger, *, tried: bool = False) -> list[Variant]:
        """Return the variants that the study decides on by the training losses of its others.

        They are decided on once all others have been trained, or at least `tried`: one that cannot
        be trained does not cancel them. That it was so a file shows by holding any of them.
        """
        second = STUDIES[self.run.study].second
        if second is None or self.run.only:
            return []
        found = second([*self.grid.values()], self.losses(held))
        for variant in found:
            check_network(variant.experiment.network)
        theirs = {(self.run.study, each.name, each.experiment.trained.key) for each in found}
        begun = any(results.identity(record)[:3] in theirs for record in held.records)
        if tried or begun or all(all(self._first_seed(each, held)) for each in self.grid.values()):
            return found
        return []

    def _first_seed(self, variant: Variant, held: Ledger) -> list[Record | None]:
        """Return the folds of seed 0, None for those that have to be trained."""
        return [held.find(task.heading, variant) for task in self.folds(variant)]

    def precision(self, tasks: Sequence[Task], held: Ledger) -> Precision:
        """Return in which precision to train folds of which some may be held.

        Folds are compared with each other, so all have that of the first: `auto` takes it. The
        networks of Section 3.2 compute in float32, whatever is asked for.

        Raises:
            ReproError: another one is asked for, or one that is unknown.
        """
        chosen = choose_precision(self.run.precision)
        if all(is_first_layer(task.experiment.network) for task in tasks):
            return "fp32"
        theirs = _made(tasks, held, "precision")
        if len(theirs) != 1 or chosen in theirs:
            return chosen
        [found] = theirs
        if self.run.precision != "auto":
            raise ReproError(
                f"{self.run.results}: holds folds of this study that were trained in {found}: go "
                f"on with --precision {found}, or name another file for {self.run.precision}"
            )
        return choose_precision(found)

    def require_statistics(self, held: Ledger, device: torch.device) -> None:
        """Make sure that a device adds up batch statistics as the folds that are held have it.

        Raises:
            ReproError: it does not.
        """
        theirs, ours = _made(self.tasks(), held, "statistics"), batch_statistics(device)
        if theirs and ours not in theirs:
            raise ReproError(
                f"{self.run.results}: holds folds of this study with batch statistics of another "
                f"kind ({' and '.join(sorted(theirs))}, here they are {ours}): name another file"
            )


def _made(tasks: Sequence[Task], held: Ledger, what: str) -> set[str]:
    """Return all that the provenance of the networks that are held says of one thing.

    These are the networks of the same studies, and those of others that count in their place.
    """
    headings = [(task.heading, task.variant) for task in tasks if not task.variant.system]
    found = [record for heading in headings for record, _ in held.trained(*heading)]
    runs = {_run_of(heading) for heading, _ in headings}
    found += [record for record in held.records if _run_of(record) in runs]
    return {record["provenance"][what] for record in found}


def _run_of(heading: dict[str, Any]) -> tuple[str, str, str]:
    """Return the study, the preset and the corpus's hash of a line, or of the start of one."""
    return heading["study"], heading["preset"], heading["corpus"]["hash"]


def source_of(variant: Variant) -> Source:
    """Return which table a variant is trained on; None stands for the corpus that is asked for."""
    return variant.corpus, variant.experiment.protocol.labels


def prepare(run: Run) -> Plan:
    """Return what a run consists of: its corpus is read, and what that refuses is left out.

    Raises:
        ReproError: a setting does not fit, the corpus cannot be read, or it refuses the first
            variant, on which a study stands.
    """
    kept: dict[str, Variant] = {}
    tables: Tables = {}
    refused: dict[str, str] = {}
    for name, variant in run.grid().items():
        own, labels = source = source_of(variant)
        try:
            if source not in tables:
                root = None if own else run.root
                tables[source] = load_corpus(own or run.corpus, root, labels=labels)
            crossval.make_folds(tables[source], variant.experiment)
            kept[name] = variant
        except NoSuchReadingError as reason:
            if not kept:
                raise
            refused[name] = str(reason)
    return Plan(run, kept, tables, refused)


def missing(tasks: Sequence[Task], held: Ledger) -> list[Task]:
    """Return the tasks that have to be trained: one for each training that is not held.

    Raises:
        ReproError: one is held that cannot be counted, and would be trained again each time.
    """
    left: dict[Trained, Task] = {}
    there = {results.identity(record) for record in held.records}
    for task in tasks:
        if held.find(task.heading, task.variant) is None:
            if results.identity(task.heading) in there:
                raise ReproError(
                    f"{task.label}: the results file holds this fold as another version of repro "
                    "wrote it, and it cannot be counted so; name another file"
                )
            alike = trained_as(task.heading, task.experiment, task.variant.name)
            if alike not in left or task.variant.attends:
                left[alike] = task
    return [*left.values()]
