"""The first page of a report on the built-in corpus: what was trained, and that it learnt."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown
from scipy import stats

from repro.evidence import metrics
from repro.report.pages import wording
from repro.results import Results
from repro.study.grids import short_name

ONWARDS = """
**From here:**

- *The answer of this book.* `make book` builds the published pages, made from real speech.
- *Real speech in an hour or two.* `repro corpus fetch emodb data/emodb` gets EmoDB, which is free;
  `repro report --preset coarse --corpus emodb --root data/emodb --out build/emodb` makes this
  report from it.
- *Speech of your own.* `repro corpus check` and every other command take a folder or a table of
  recordings: see {doc}`../corpora`.
"""


def trained(found: dict[str, Results]) -> Markdown:
    """Return in two sentences what was trained on synthetic speech, and whether it works."""
    folds = pd.concat([data.folds for data in found.values()])
    rows = learnt(found)
    better = rows["loss, last epoch"] < rows["loss of guessing"]
    works = (
        "It works: every one of them ends training with a lower loss than guessing has."
        if better.all()
        else f"{', '.join(rows['network'][~better])} did not get below the loss of guessing."
    )
    networks = wording.many(len(folds), "network")
    minutes = wording.many(max(1, round(folds["seconds"].sum() / 60)), "minute")
    return Markdown(
        f"**This report has just trained {networks} in {minutes}, on speech from a synthesiser, "
        f"and tested each on voices that it had not heard. {works}** The numbers show that the "
        "path from sound to report is whole. They say nothing about emotion, so no claim of the "
        "paper is judged here."
    )


def learnt(found: dict[str, Results]) -> pd.DataFrame:
    """Return for each network of Table 1 and Fig. 2 how its loss fell, and its WA."""
    tables = []
    for data in found.values():
        loss = data.history.groupby(["variant", "epoch"])["loss"].mean().unstack()
        scores = metrics.summary(data.predictions).set_index("variant")
        shares = data.predictions.drop_duplicates("utterance")["emotion"].value_counts()
        tables.append(
            pd.DataFrame(
                {
                    "network": [short_name(name) for name in scores.index],
                    "trained": scores["folds"].to_numpy(),
                    "loss, first epoch": loss.loc[scores.index].iloc[:, 0].to_numpy(),
                    "loss, last epoch": loss.loc[scores.index].iloc[:, -1].to_numpy(),
                    "loss of guessing": stats.entropy(shares),
                    "WA (%)": scores["WA"].to_numpy(),
                    "WA of guessing (%)": metrics.majority(data.predictions),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
