"""The page "Input spectrograms": what speech there is (Section 2.1)."""

from __future__ import annotations

import os

import pandas as pd
from IPython.display import HTML, Markdown

from repro import paper
from repro.corpora import at_hand
from repro.report.pages import common, wording
from repro.results import read
from repro.spectrogram import segment_count


def corpus_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Count utterances by speaker and emotion, with the segments that they give."""
    counts = pd.crosstab(table["speaker"], table["emotion"]).reindex(
        columns=list(paper.EMOTIONS), fill_value=0
    )
    by_speaker = table.groupby("speaker")["samples"]
    counts["all"] = by_speaker.size()
    counts["minutes"] = by_speaker.sum() / paper.SAMPLE_RATE / 60
    counts["under 2 s"] = by_speaker.agg(
        lambda n: int((n < paper.SEGMENT_SECONDS * paper.SAMPLE_RATE).sum())
    )
    for name, hop in (
        ("training", paper.TRAIN_HOP_SECONDS),
        ("test", paper.TEST_HOP_SECONDS),
    ):
        counts[name] = by_speaker.agg(lambda n, hop=hop: sum(segment_count(s, hop) for s in n))
    total = counts.sum().to_frame("all").T.astype(counts.dtypes)
    counts = pd.concat([counts, total]).rename_axis("speaker").reset_index()
    return counts.rename_axis(columns=None)


def stand_in(corpus: str, shown: pd.DataFrame) -> Markdown:
    """Say that a page shows another corpus than the one that the report is about."""
    title = wording.title(corpus)
    return Markdown(
        f"> **Built-in synthetic corpus.** The recordings of {title} are not at hand. "
        f"The {len(shown)} utterances that this page shows, and counts in its first table, were "
        f"made by a synthesiser; the pages with results on speech are about {title}."
    )


def held_in(results: str | None, corpus: str, root: str | None) -> HTML | None:
    """Count the utterances of a corpus that is not at hand, from the folds of a results file."""
    if at_hand(corpus, root) or results is None or not os.path.exists(results):
        return None
    held = read(results, corpus={corpus}).predictions
    held = held[held["held_out"] == "speaker"].drop_duplicates("utterance")
    if held.empty:
        return None
    counts = pd.crosstab(held["fold"], held["emotion"], margins=True, margins_name="all")
    columns = [*paper.EMOTIONS, "all"]
    counts = counts.reindex(columns=columns, fill_value=0).rename_axis("speaker").reset_index()
    return common.table(counts.rename_axis(columns=None))
