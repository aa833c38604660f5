"""What a results file holds of a study, trained first where it is missing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from repro import results
from repro.corpora import BUILT_IN, corpus_hash
from repro.errors import NoResultsError, ReproError
from repro.study.grids import variants
from repro.study.plan import applicable, second_stage
from repro.study.run import run


def read(
    study: str, *, corpus: str, root: str | Path | None, preset: str, results_file: str | Path
) -> results.Results:
    """Read from a results file what `run` with these arguments trains.

    A file may also hold other studies, other settings, and earlier states of the corpus. Equal
    settings that were trained under the name of another preset are the same experiment: here they
    have the name that is asked for.

    Raises:
        ReproError: the corpus or the results file cannot be read.
    """
    grid, tables, _ = applicable(variants(study, preset), corpus, root)
    grid |= second_stage(study, grid, tables, results_file)
    found = results.read(
        results_file,
        study={study},
        key={experiment.key for experiment in grid.values()},
        corpus_hash={corpus_hash(table) for table in tables.values()},
    )
    return results.Results(*(t if t.empty else t.assign(preset=preset) for t in found))


def collect(
    study: str,
    *,
    corpus: str,
    root: str | Path | None,
    preset: str,
    results_file: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    seeds: int = 1,
    only: str | None = None,
) -> results.Results:
    """Give a study's results: train what is missing, and read them.

    A corpus that needs a folder and has none (`root` is None) is not at hand: then what the results
    file holds under the name of the preset is all there is, finished or not. Without a results
    file, results go to a folder that is removed again. The other arguments are those of `run`.

    Raises:
        NoResultsError: the corpus is not at hand, and the file holds no fold of the study.
        ReproError: something in the corpus, the settings or the results file is wrong; or, without
            the corpus, the file holds the study on two states of it or with two settings.
    """
    with tempfile.TemporaryDirectory() as folder:
        if results_file is None or at_hand(corpus, root):
            if study == "recovery":
                corpus, root = "synthetic", None
            results_file = results_file or Path(folder) / "results.jsonl"
            run(
                study,
                corpus=corpus,
                root=root,
                preset=preset,
                results_file=results_file,
                device=device,
                precision=precision,
                seeds=seeds,
                only=only,
            )
        found = held(study, corpus=corpus, root=root, preset=preset, results_file=results_file)
    return found if only is None else found.where(variant=only)


def at_hand(corpus: str, root: str | Path | None) -> bool:
    """Tell whether a corpus can be read: it is built in, or its folder is named."""
    return corpus in BUILT_IN or root is not None


def held(
    study: str, *, corpus: str, root: str | Path | None, preset: str, results_file: str | Path
) -> results.Results:
    """Give what a results file holds of a study, as `collect` does, but train nothing.

    Raises:
        NoResultsError: the corpus is not at hand, and the file holds no fold of the study.
        ReproError: the corpus or the results file cannot be read; or, without the corpus, the file
            holds the study on two states of it or with two settings.
    """
    if at_hand(corpus, root):
        return read(study, corpus=corpus, root=root, preset=preset, results_file=results_file)
    return _read_alone(study, corpus, preset, Path(results_file))


def _read_alone(study: str, corpus: str, preset: str, results_file: Path) -> results.Results:
    """Read a study from a results file where its corpus is not at hand to compare with."""
    wanted: dict[str, set[str]] = {"study": {study}, "preset": {preset}}
    if study != "recovery":  # which has corpora of its own
        wanted["corpus"] = {corpus}
    found = results.read(results_file, **wanted) if os.path.exists(results_file) else None
    if found is None or found.folds.empty:
        on, options = f" on {corpus}", f" --corpus {corpus} --root DIR"
        if study == "recovery":
            on = options = ""
        command = f"`repro run {study}{options} --preset {preset} --results {study}.jsonl`"
        raise NoResultsError(
            f"The study `{study}` has not been run{on} with the preset `{preset}`: {command} runs "
            f"it, and `repro results merge` puts it together with {results_file}"
        )
    labels = [each["protocol"]["labels"] for each in found.folds["experiment"]]
    folds = found.folds.assign(labels=labels)
    for what, of in (("corpus_hash", ["corpus", "labels"]), ("key", ["corpus", "variant"])):
        if (folds.groupby(of)[what].nunique() > 1).any():
            mixed = "states of the corpus" if what == "corpus_hash" else "settings of one variant"
            raise ReproError(
                f"{results_file}: {study}, {preset}, holds folds of several {mixed}; move those "
                "that should not count out of the file"
            )
    return found
