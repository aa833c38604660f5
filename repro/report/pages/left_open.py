"""The page "What the paper left open", and every table of sentences with several readings."""

import pandas as pd
from IPython.display import Markdown

from repro import paper
from repro.config import READINGS, assignment
from repro.report.pages import poolings


def readings() -> pd.DataFrame:
    """Return the sentences with more than one reading, and the field and value of each."""
    rows = []
    for r in READINGS:
        values = [assignment(r.field, value).partition("=")[2] for value, _ in r.alternatives]
        texts = [text for _, text in r.alternatives]
        others = [f"<code>{of}</code>: {text}" for of, text in zip(values, texts, strict=True)]
        field = f"<code>{r.field}</code>"
        rows.append((field, r.section, r.says, r.default, "<br>".join(others)))
    columns = ["field", "section", "the paper says", "here", "or else"]
    return pd.DataFrame(rows, columns=columns)


def counted() -> Markdown:
    """Return which WA of Table 1 can be a share of the utterances that IEMOCAP's release has."""
    of = poolings.IEMOCAP_UTTERANCES
    can, cannot = [], []
    for row in paper.TABLE_1.values():
        right = round(row.wa / 100 * of)
        if round(100 * right / of, 2) == row.wa:
            can.append(f"{row.wa:.2f} ({row.name}) can be {right:,} of them")
        else:
            below = int(row.wa / 100 * of)
            cannot.append(
                f"{row.wa:.2f} ({row.name}) cannot: {below:,} of them are {100 * below / of:.2f}%, "
                f"{below + 1:,} are {100 * (below + 1) / of:.2f}%"
            )
    return Markdown(
        f"Of the {of:,} utterances of the release, {'; '.join(can + cannot)}. So not all of Table "
        "1 is one run counted over all of these utterances. Either other utterances were used, or "
        "several runs were averaged, or the accuracies of the folds were (`protocol.average`), or "
        "a number was rounded wrongly."
    )


def answer() -> Markdown:
    """Return how many decisions there are, and which of them weigh most."""
    return Markdown(
        f"{len(READINGS)} settings of this book stand for places where the text leaves a choice; "
        "the study `readings` changes one of them at a time. Five open points seem to matter most, "
        "and the authors' program would settle them: whether the attention map has a softmax "
        "(`network.attention_softmax`) and is then added up or averaged "
        "(`network.attention_average`), how a spectrogram is scaled (`front_end.scale`), the "
        "widths of three layers with the places of max-pooling, and the speakers on whom the "
        "filter shapes were chosen. The text says nothing of the last two."
    )
