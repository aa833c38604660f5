"""What the README shows of the results: one picture, and the verdicts between two markers.

`make edition` writes both from the results of the published edition; no number is typed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import pandas as pd

from repro import claims, paper, plots, results
from repro.errors import ReproError
from repro.pages import common, first, poolings, speed, wording
from repro.report import PRECISIONS, Source
from repro.results import Results

BEGIN = "<!-- verdicts: written by make edition -->"
END = "<!-- end of verdicts -->"
PICTURE = Path("book") / "_static" / "readme.svg"
NOTHING = (
    "Not known yet: no result on real speech has been published here. The picture shows what the "
    "paper reports on IEMOCAP, and waits for ours."
)


def update(project: Path, source: Source, *, corpus: str) -> None:
    """Draw the picture and write the verdicts into the README of a project, if it has one.

    Args:
        project: its folder.
        source: results on real speech, below the folder, and the preset that counts; the file need
            not exist yet.
        corpus: name of the corpus that counts.

    Raises:
        ReproError: the README has lost its markers.
    """
    readme = project / "README.md"
    if not readme.is_file():
        return
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ReproError(f"{readme}: it must hold the lines {BEGIN} and {END}; put them back")
    found = published(project, source, corpus)
    readme_picture(found.predictions, project / PICTURE)
    trained = found.where(study="pooling") if len(found.folds) else found
    besides = [project / name for name in source.besides]
    readings = {"study": {"readings"}, "corpus": {corpus}, "preset": {source.preset}}
    notes = [
        common.fitted(trained, corpus) if len(trained.folds) else None,
        *(
            first.other_presets(poolings.other_presets(corpus, source.preset, str(file)))
            for file in besides
        ),
        *(first.at_its_best(_read(file, **readings)) for file in besides),
        speed.gain("precision", *(project / name for name in PRECISIONS)),
    ]
    shown = verdicts(found.predictions, [note.data for note in notes if note])
    text = f"{before}{begin}\n{shown}\n{end}{after}"
    readme.write_text(text, encoding="utf-8")


def published(project: Path, source: Source, corpus: str) -> Results:
    """Read the results that the claims are judged by; empty tables if there are none."""
    studies = {"pooling", "filter-shapes"}
    wanted = {"study": studies, "corpus": {corpus}, "preset": {source.preset}}
    return _read(project / source.results, **wanted)


def _read(file: Path, **wanted: set[str]) -> Results:
    """Read a results file; empty tables if it is not there."""
    if file.is_file():
        return results.read(file, **wanted)
    return Results(*(pd.DataFrame() for _ in Results._fields))


def readme_picture(predictions: pd.DataFrame, path: Path) -> None:
    """Draw Table 1 here and in the paper as SVG, with the same bytes for the same data."""
    ours = predictions[predictions["study"] == "pooling"] if len(predictions) else predictions
    if len(ours):
        rows, label = poolings.beside_paper(ours), _run(ours)
    else:
        published = {
            s: [getattr(p, s.lower()) for p in paper.TABLE_1.values()] for s in ("WA", "UA")
        }
        rows = pd.DataFrame({f"paper {score}": values for score, values in published.items()})
        rows = poolings.with_paper_interval(rows.assign(variant=list(paper.TABLE_1)))
        label = ""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context():  # whatever style the caller has set
        matplotlib.rcdefaults()
        plots.use_style()
        plots.poolings(rows, label).savefig(path, metadata={"Date": None})


def verdicts(predictions: pd.DataFrame, notes: Sequence[str] = ()) -> str:
    """Return the verdicts in brief, as Markdown.

    Args:
        predictions: that the claims are judged by.
        notes: what a reader must know beside them, such as the gain under other presets.
    """
    if predictions.empty:
        return NOTHING
    judged = claims.judge(predictions)
    tested = [v for v in judged if v.verdict != "not testable here"]
    run = wording.run_column(predictions, tested)
    corpus = wording.title(predictions["corpus"].iloc[0])
    columns = {
        "claim of the paper": [v.claim.text for v in tested],
        f"on {corpus}" if run else f"on {_run(predictions)}": [v.verdict for v in tested],
        "effect [95% interval]": ["; ".join(map(str, v.parts)) for v in tested],
    } | run
    rows = [columns, ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    text = [first.answer(judged, predictions).data]
    if tested:
        text.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    text += notes
    if untested := first.untested(judged):
        text.append(untested.data)
    text += [common.about_preset(p, sweep=True) for p in dict.fromkeys(predictions["preset"])]
    return "\n\n".join(filter(None, text))


def _run(predictions: pd.DataFrame) -> str:
    """Say in few words what was run."""
    corpus = wording.title(predictions["corpus"].iloc[0])
    return f"{corpus}, {wording.run_in_full(predictions)}"
