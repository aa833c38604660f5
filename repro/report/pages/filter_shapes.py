"""The page "Filter shapes": the best height and width (Section 3.2)."""

from __future__ import annotations

from IPython.display import Markdown

from repro import paper
from repro.evidence import claims, metrics
from repro.report.pages import wording
from repro.results import Results
from repro.study.grids import short_name


def answer(data: Results) -> Markdown:
    """Return the best height and width here and in the paper."""
    predictions = data.predictions
    if unfit := wording.no_order("shapes", predictions):
        return Markdown(unfit)
    ours = metrics.summary(predictions)
    of_variant = ours.set_index("variant")["WA"]
    best = []
    for side in ("height", "width"):
        sweep = of_variant[list(claims.sweep(of_variant.index, side).values())]
        if len(sweep) > 1:
            name, worst = short_name(sweep.idxmax()), f"{sweep.min():.1f}%"
            best.append(f"at {name} ({sweep.max():.1f}%, worst {worst}) when the {side} varies")
    paper_height, paper_width = (f"{h}×{w}" for h, w in paper.STEM_SHAPES)
    never = [name for name in paper.EMOTIONS if name not in set(predictions["predicted"])]
    said = [
        f"Of the {len(ours)} shapes tried, the best WA is {' and '.join(best)}; the paper chose "
        f"{paper_height} and {paper_width}.",
        f"No network here ever answers {' or '.join(never)}." * bool(never),
        wording.guessing(ours, predictions),
        wording.steps(data.folds),
    ]
    return Markdown(" ".join(filter(None, said)))
