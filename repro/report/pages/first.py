"""The first page of a report that shows the machinery: what was trained, and that it learnt."""

import pandas as pd
from IPython.display import Markdown

from repro.corpora import BUILT_IN
from repro.evidence import metrics
from repro.evidence.learning import learning
from repro.report.pages import wording
from repro.results import Results
from repro.study.grids import short_name

ONWARDS = """
**From here:**

- *The answer of this book.* `make book` builds the published pages, made from real speech.
- *Real speech in a few hours.* `repro corpus fetch emodb data/emodb` gets EmoDB, which is free;
  `repro report --pages 03 --preset coarse --corpus emodb --root data/emodb --out build/emodb`
  compares the poolings on it. Without `--pages 03` every page is about EmoDB, in a day or more.
- *Speech of your own.* A table of files, speakers and emotions stands wherever a corpus is named,
  as in `repro corpus check my.csv`; the page on corpora says how.
"""


def trained(found: dict[str, Results], corpus: str) -> Markdown:
    """Return in two sentences what was trained to show the machinery, and whether it works."""
    if not found:
        return Markdown("**Nothing has been trained yet.**")
    folds = pd.concat([data.folds for data in found.values()])
    rows = learnt(found)
    better = rows["loss, last epoch"] < rows["loss of guessing"]
    works = (
        "It works: of every pooling and filter shape, the median loss ends below that of guessing."
        if better.all()
        else f"{', '.join(rows['network'][~better])} did not get below the loss of guessing."
    )
    networks = wording.many(len(folds), "network")
    minutes = wording.many(max(1, round(folds["seconds"].sum() / 60)), "minute")
    heard = set(folds["held_out"]) - {"speaker", "speaker-groups", "session"}
    tested = "." if heard else ", and each was tested on voices that it had not heard."
    on = "speech from a synthesiser" if corpus in BUILT_IN else wording.title(corpus)
    return Markdown(
        f"**{networks} were trained here in {minutes}, on {on}{tested} {works}** The numbers show "
        "that the path from sound to report is whole. They say no more, so no claim of the paper "
        "is judged here."
    )


def learnt(found: dict[str, Results]) -> pd.DataFrame:
    """Return for each network of Table 1 and Fig. 2 how its loss fell, and its WA."""
    tables = [pd.DataFrame(columns=["network"])]
    for data in found.values():
        table = learning(data)
        first = data.history.query("epoch == 1").groupby("variant")["loss"].median()
        tables.append(
            pd.DataFrame(
                {
                    "network": table["variant"].map(short_name),
                    "loss, first epoch": table["variant"].map(first),
                    "loss, last epoch": table["loss"],
                    "loss of guessing": table["loss of guessing"],
                    "WA (%)": table["WA"],
                    "WA of guessing (%)": metrics.majority(data.predictions),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
