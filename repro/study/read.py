"""What a results file holds of a study, trained first where it is missing."""

import os
import shlex
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd

from repro import config, crossval, paper, results
from repro.config import Experiment
from repro.corpora import CORPORA, IEMOCAP_SHAPED, corpus_hash, name_of
from repro.errors import AllDivergedError, NoResultsError, NoSuchReadingError, ReproError
from repro.results import Results
from repro.study.grids import STUDIES, short_name, variants
from repro.study.ledger import Ledger, Record, fold_of, open_ledger
from repro.study.plan import Run, prepare
from repro.study.run import run


def collect(asked: Run) -> Results:
    """Return a study's results: train what is missing, and read them.

    Nothing is trained if no seed is asked for, or if the corpus is not at hand, as it needs a
    folder and has none (`root` is None): then what the results file holds is all there is, finished
    or not. Without a results file, results go to a folder that is removed again.

    Raises:
        NoResultsError: nothing is trained, as the corpus is not at hand or no seed is asked for,
            and the file holds no fold of the study.
        ReproError: something in the corpus, the settings or the results file is wrong; or, without
            the corpus, the file holds the study on two states of it or with two settings.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = replace(asked, results=asked.results or Path(folder) / "results.jsonl")
        if asked.seeds and (asked.results is None or asked.at_hand):
            run(kept)
        return held(kept)


def held(asked: Run) -> Results:
    """Return what a results file holds of a study, as `collect` does, but train nothing.

    A file may also hold other studies, other settings, and earlier states of the corpus. What was
    trained alike for another study or preset counts: here it has the names that are asked for.
    `planned` has the number of folds by variant, guessed where the corpus is not at hand.

    Raises:
        NoResultsError: the file holds no fold of the study.
        ReproError: the corpus or the results file cannot be read; or, without the corpus, the file
            holds the study on two states of it or with two settings.
    """
    ledger = open_ledger(asked.file)
    found, folds = (_compared if asked.at_hand else _alone)(asked, ledger)
    if found.folds.empty:
        raise _nothing(asked, found)
    begun = 1 + int(pd.concat([found.folds, found.diverged])["seed"].max())
    return found._replace(planned={name: begun * n for name, n in folds.items()})


def _compared(asked: Run, ledger: Ledger) -> tuple[Results, dict[str, int]]:
    """Read a study on its corpus as it is now, and how many folds each variant has of a seed."""
    plan = prepare(asked)
    grid = [*plan.grid.values(), *plan.second_stage(ledger)]
    hashes = {corpus_hash(table) for table in plan.tables.values()}
    # Of the first, another study may have trained all folds.
    seeds = {*range(max(asked.seeds, 1))}
    seeds |= {record["seed"] for record in ledger.records if record["study"] == asked.study}
    found = results.tables(
        record
        for variant in grid
        for record in ledger.of(asked.study, asked.preset, variant, hashes, seeds)
    )
    folds = {variant.name: len(plan.folds(variant)) for variant in grid}
    predictions = found.predictions.assign(folds_of_a_seed=found.predictions["variant"].map(folds))
    return found._replace(predictions=predictions), folds


def _alone(asked: Run, ledger: Ledger) -> tuple[Results, dict[str, int]]:
    """Do the same where the corpus is not at hand, with the folds of its name."""
    own_corpora = STUDIES[asked.study].own_corpora
    found = results.tables(
        line
        for line in study_lines(ledger, asked.study, asked.preset)
        if (own_corpora or line["corpus"]["name"] == name_of(asked.corpus))
        and (not asked.named or short_name(line["variant"]) in asked.named)
    )
    if found.folds.empty:
        return found, {}
    labels = [each["protocol"]["labels"] for each in found.folds["experiment"]]
    folds = found.folds.assign(labels=labels)
    for what, of, mixed in (
        ("corpus_hash", ["corpus", "labels"], "states of the corpus"),
        ("key", ["corpus", "variant"], "settings of one variant"),
    ):
        if (folds.groupby(of)[what].nunique() > 1).any():
            raise ReproError(
                f"{asked.results}: {asked.study}, {asked.preset}, holds folds of several {mixed}; "
                "move those that should not count out of the file"
            )
    corpus, counts = found.folds["corpus"].iloc[0], {}
    with suppress(ReproError):  # settings of another version
        counts = {name: planned_folds(corpus, v.experiment) for name, v in asked.grid().items()}
    return found, {name: count for name, count in counts.items() if count}


def _nothing(asked: Run, found: Results) -> NoResultsError:
    """Return an error that says how to get the results of a study that has none."""
    if len(found.diverged):
        what = f"of `{asked.only}` in the study" if asked.only else "of the study"
        return AllDivergedError(
            f"Every training {what} `{asked.study}` with the preset `{asked.preset}` diverged: "
            "lower `training.learning_rate`"
        )
    on, options = "", []
    if not STUDIES[asked.study].own_corpora:
        on, options = f" on {name_of(asked.corpus)}", ["--corpus", asked.corpus]
        if root := asked.root or ("" if asked.at_hand else "DIR"):
            options += ["--root", str(root)]
    if asked.only:
        options += ["--only", asked.only]
    preset, changes = config.parted(asked.preset)
    options += ["--preset", preset, *(part for each in changes for part in ("--set", each))]
    command = shlex.join(["repro", "run", asked.study, *options])
    said = f"`{command} --results {asked.study}.jsonl` runs it"
    if os.path.exists(asked.file):
        said += f", and `repro results merge` puts it together with {asked.file}"
    return NoResultsError(
        f"The study `{asked.study}` has not been run{on} with the preset `{asked.preset}`: {said}"
    )


def planned_folds(corpus: str, experiment: Experiment) -> int:
    """Return how many folds a corpus gives; 0 for one that it cannot be split or labelled for."""
    if experiment.protocol.labels != "hap" and corpus not in IEMOCAP_SHAPED:
        return 0
    published = CORPORA[corpus].published if corpus in CORPORA else {}
    # Of a corpus that is not known here, as many speakers as the paper has. Names of utterances
    # matter where folds are split by them, and lengths where short ones are left out.
    rows = [
        (f"{speaker}_{number}", str(speaker), paper.SEGMENT_SECONDS * paper.SAMPLE_RATE)
        for speaker in published or range(paper.FOLDS)
        for number in range(paper.FOLDS)
    ]
    table = pd.DataFrame(rows, columns=["utterance", "speaker", "samples"])
    with suppress(NoSuchReadingError):
        return len(crossval.make_folds(table, experiment))
    return 0


def study_lines(ledger: Ledger, study: str, setting: str) -> list[Record]:
    """Return the lines of a study and preset, with what only counts their scores differently.

    Variants that are trained as others are have no line of their own: here they have one for each
    fold of the others. The setting is the preset with its overrides, as lines name it.
    """
    of_study = [r for r in ledger.records if r["study"] == study]
    lines = [r for r in of_study if r["preset"] == setting]
    hashes, seeds = {r["corpus"]["hash"] for r in of_study}, {r["seed"] for r in of_study}
    try:
        grid = variants(study, setting)
    except ReproError:  # of another version, or the user's own
        return lines
    found = [line for v in grid.values() for line in ledger.of(study, setting, v, hashes, seeds)]
    there = {(line["variant"], *fold_of(line)) for line in found}
    return found + [line for line in lines if (line["variant"], *fold_of(line)) not in there]
