"""The page "Filter shapes": the best height and width (Section 3.2)."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

from repro import paper
from repro.evidence import claims, metrics
from repro.report.pages import wording
from repro.study.grids import short_name


def answer(predictions: pd.DataFrame) -> Markdown:
    """Return the best height and width here and in the paper."""
    if unfit := wording.no_order("shapes", predictions):
        return Markdown(unfit)
    ours = metrics.summary(predictions).set_index("variant")
    best = {}
    for side in ("height", "width"):
        sweep = ours.loc[list(claims.sweep(ours.index, side).values()), "WA"]
        best[side] = f"{short_name(sweep.idxmax())} ({sweep.max():.1f}%, worst {sweep.min():.1f}%)"
    paper_height, paper_width = (f"{h}×{w}" for h, w in paper.STEM_SHAPES)
    return Markdown(
        f"The best WA is at {best['height']} when the height varies and at {best['width']} when "
        f"the width does; the paper chose {paper_height} and {paper_width}. "
        f"{wording.guessing(ours, predictions)}"
    )
