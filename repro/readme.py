"""What the README shows of the results: one picture, and the verdicts between two markers.

`make edition` writes both from the results of the published edition; no number is typed in.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd

from repro import claims, pages, paper, plots, results
from repro.errors import ReproError

BEGIN = "<!-- verdicts: written by make edition -->"
END = "<!-- end of verdicts -->"
PICTURE = Path("book") / "_static" / "readme.svg"
NOTHING = (
    "Not known yet: no result on real speech has been published here. The picture shows what the "
    "paper reports on IEMOCAP, and waits for ours."
)


def update(project: Path, results_file: Path, *, corpus: str, preset: str) -> None:
    """Draw the picture and write the verdicts into the README of a project, if it has one.

    Args:
        project: its folder.
        results_file: results on real speech; it need not exist yet.
        corpus: name of the corpus that counts.
        preset: name of the preset that counts.

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
    predictions = published(results_file, corpus, preset)
    readme_picture(predictions, project / PICTURE)
    text = f"{before}{begin}\n{verdicts(predictions)}\n{end}{after}"
    readme.write_text(text, encoding="utf-8")


def published(results_file: Path, corpus: str, preset: str) -> pd.DataFrame:
    """Read the predictions that the claims are judged by; an empty table if there are none."""
    if not results_file.is_file():
        return pd.DataFrame()
    studies = {"pooling", "filter-shapes"}
    wanted = {"study": studies, "corpus": {corpus}, "preset": {preset}}
    return results.read(results_file, **wanted).predictions


def readme_picture(predictions: pd.DataFrame, path: Path) -> None:
    """Draw Table 1 here and in the paper as SVG, with the same bytes for the same data."""
    ours = predictions[predictions["study"] == "pooling"] if len(predictions) else predictions
    if len(ours):
        rows, label = pages.beside_paper(ours), _run(ours)
    else:
        published = {
            s: [getattr(p, s.lower()) for p in paper.TABLE_1.values()] for s in ("WA", "UA")
        }
        rows = pd.DataFrame({f"paper {score}": values for score, values in published.items()})
        rows = pages.with_paper_interval(rows.assign(variant=list(paper.TABLE_1)))
        label = ""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context():  # whatever style the caller has set
        matplotlib.rcdefaults()
        plots.use_style()
        plots.poolings(rows, label).savefig(path, metadata={"Date": None})


def verdicts(predictions: pd.DataFrame) -> str:
    """Return the verdicts in brief, as Markdown."""
    if predictions.empty:
        return NOTHING
    rows = claims.table(claims.judge(predictions))
    lines = [f"| claim of the paper | on {_run(predictions)} |", "| --- | --- |"]
    lines += [f"| {row.claim} | {row.verdict} |" for row in rows.itertuples()]
    return "\n".join(lines)


def _run(predictions: pd.DataFrame) -> str:
    """Say in few words what was run."""
    corpus, preset = (predictions[name].iloc[0] for name in ("corpus", "preset"))
    speakers, seeds = (predictions[name].nunique() for name in ("fold", "seed"))
    return f"{corpus}, preset {preset}, {speakers} speakers, {seeds} seed{'s' * (seeds > 1)}"
