"""The page "Filter shapes": the best height and width (Section 3.2)."""

from IPython.display import Markdown

from repro import paper
from repro.evidence import claims, metrics
from repro.evidence.learning import learning
from repro.report.pages import wording
from repro.results import Results
from repro.study.grids import short_name, variants


def answer(data: Results) -> Markdown:
    """Return the best height and width here and in the paper."""
    predictions = metrics.comparable(data.predictions)
    found = learning(data._replace(predictions=predictions))
    of_variant = found.set_index("variant")["WA"]
    best = []
    for side in ("height", "width"):
        sweep = of_variant[list(claims.sweep(of_variant.index, side).values())]
        if len(sweep) > 2:  # of two, one is the paper's choice and the other the smallest
            name, worst = short_name(sweep.idxmax()), f"{sweep.min():.1f}%"
            best.append(f"at {name} ({sweep.max():.1f}%, worst {worst}) when the {side} varies")
    judged = [
        verdict
        for verdict in claims.judge(data.predictions)
        if claims.TESTS[verdict.claim.id].study == "filter-shapes"
    ]
    on = wording.title(predictions["corpus"].iloc[0])
    theirs = " and ".join(f"{h}×{w}" for h, w in paper.STEM_SHAPES)
    planned = predictions["corpus"].iloc[0] in claims.CONFIRMING
    if planned and not variants("filter-shapes", "coarse").keys() <= set(of_variant.index):
        best = []  # of a part of the plan no size is named
    never = [name for name in paper.EMOTIONS if name not in set(data.predictions["predicted"])]
    said = [
        _decided(judged),
        f"Of the {len(found)} shapes tested on the same speakers of {on}, the best WA is "
        f"{' and '.join(best)}; the paper chose {theirs}."
        if best
        else "No best size is named: it takes three of a sweep, tested on the same speakers"
        + f", and on {on} all that are planned" * planned
        + ".",
        f"No network here ever answers {' or '.join(never)}." * bool(never),
        wording.guessing(found, predictions),
        f"Training ends at a loss, in the median of a shape, between {found['loss'].min():.2f} and "
        f"{found['loss'].max():.2f}; guessing has {found['loss of guessing'].iloc[0]:.2f}.",
        wording.steps(data.folds),
    ]
    return Markdown(" ".join(filter(None, said)))


def _decided(judged: list[claims.Verdict]) -> str:
    """Return which claims on shapes are decided here; if none is, why."""
    texts = {
        word: [each.claim.text for each in judged if each.verdict == word]
        for word in ("contradicted", "supported")
    }
    said = [f"{word.title()} here: {'; '.join(of)}." for word, of in texts.items() if of]
    if said:
        rest = len(judged) - sum(map(len, texts.values()))
        of_rest = f"The paper's other claims on filter shapes are not decided ({rest})."
        return f"**{' '.join(said)}** {of_rest if rest else ''}".strip()
    reasons = "; ".join(dict.fromkeys(verdict.note for verdict in judged if verdict.note))
    why = f": {reasons}" if reasons else ""  # intervals alone may leave them open
    return f"**None of the paper's claims on filter shapes is decided here{why}.**"
