"""The first page, "Does it replicate?": the answer in one sentence, and a verdict on each claim."""

from __future__ import annotations

from collections import Counter

import pandas as pd
from IPython.display import HTML, Markdown

from repro import claims
from repro.pages import common, wording

# Verdicts from the best to the least: a sign and a colour for each, so that neither stands alone.
MARKS = {
    "supported": ("✔", "#1a7f37"),
    "contradicted": ("✘", "#b3261e"),
    "undecided": ("?", "#7a5c00"),
    "not testable here": ("–", "#57606a"),
}


def answer(predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the first page in one sentence."""
    main = "attention-best"
    judged = claims.judge(predictions)
    of_main = next(v for v in judged if v.claim.id == main)
    counts: Counter[str] = Counter(v.verdict for v in judged)
    if counts["not testable here"] == len(judged):
        return Markdown(f"**That is not answered here**: {_why_untested(judged)}.")
    listed = ", ".join(f"{counts[name]} {name}" for name in MARKS if counts[name])
    corpus = wording.TITLES[predictions["corpus"].iloc[0]]
    evidence = "; ".join(map(str, of_main.parts)) or of_main.note
    return Markdown(
        f"**On {corpus} ({wording.run_in_full(predictions)}), of the paper's {len(judged)} claims: "
        f"{listed}.** The main one, that {of_main.claim.text}, is {of_main.verdict} ({evidence})."
    )


def marks(predictions: pd.DataFrame) -> HTML:
    """Show every claim with a coloured mark for its verdict, and the effects that it rests on.

    Those that the results decide come first, the others in the order of the paper. Where studies
    were run in different ways, also how that was run which a verdict comes from.
    """
    order = list(MARKS)
    judged = sorted(claims.judge(predictions), key=lambda v: order.index(v.verdict))
    rows = pd.DataFrame(
        {
            "verdict": [_mark(v.verdict) for v in judged],
            "claim": [v.claim.text for v in judged],
            "effect [95% interval]": [
                "<br>".join(map(_unbroken, map(str, v.parts))) or v.note for v in judged
            ],
        }
        | wording.run_column(predictions, judged)
    )
    return common.table(rows)


def _why_untested(judged: list[claims.Verdict]) -> str:
    notes = list(dict.fromkeys(v.note for v in judged))
    return "; ".join(notes)


def _mark(verdict: str) -> str:
    sign, colour = MARKS[verdict]
    return (
        f'<span style="background:{colour};color:white;border-radius:3px;padding:0 0.4em;'
        f'white-space:nowrap">{sign} {verdict}</span>'
    )


def _unbroken(part: str) -> str:
    """Let a line end behind what was measured, and not within the effect and its interval."""
    what, _, effect = part.partition(": ")
    return f'{what}: <span style="white-space:nowrap">{effect}</span>'
