"""The page "Input spectrograms": what speech there is (Section 2.1)."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, Markdown

from repro import paper, spectrogram
from repro.config import FrontEnd, Scale
from repro.corpora import at_hand, name_of
from repro.corpora.check import counted
from repro.report.pages import common, wording
from repro.results import read
from repro.spectrogram import segment_count

HOPS = {"training": paper.TRAIN_HOP_SECONDS, "test": paper.TEST_HOP_SECONDS}


def corpus_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many utterances each speaker has by emotion, with the segments that they give."""
    counts = counted(table)
    by_speaker = table.groupby("speaker")["samples"]
    counts["all"] = by_speaker.size()
    counts["minutes"] = by_speaker.sum() / paper.SAMPLE_RATE / 60
    short = paper.SEGMENT_SECONDS * paper.SAMPLE_RATE
    counts["under 2 s"] = by_speaker.agg(lambda n: int((n < short).sum()))
    for name, hop in HOPS.items():
        counts[name] = by_speaker.agg(lambda n, hop=hop: sum(segment_count(s, hop) for s in n))
    total = counts.sum().to_frame("all").T.astype(counts.dtypes)
    return pd.concat([counts, total]).rename_axis("speaker").reset_index()


def stand_in(corpus: str, shown: pd.DataFrame) -> Markdown:
    """Return a notice that a page shows another corpus than the one that the report is about."""
    title = wording.title(corpus)
    return Markdown(
        f"> **Built-in synthetic corpus.** The recordings of {title} are not at hand. "
        f"The {len(shown)} utterances that this page shows were made by a synthesiser; the table "
        f"below is about {title}."
    )


def held_in(results: str | None, corpus: str, root: str | None) -> HTML | None:
    """Return the counts of a corpus that is not at hand, from the folds of a results file."""
    if at_hand(corpus, root) or results is None or not os.path.exists(results):
        return None
    data = read(results, corpus={name_of(corpus)})
    # Some folds count other emotions as happy.
    keys = {
        of.key for of in data.folds.itertuples() if of.experiment["protocol"]["labels"] == "hap"
    }
    held = data.predictions
    held = held[(held["held_out"] == "speaker") & held["key"].isin(keys)]
    held = held.drop_duplicates("utterance")
    if held.empty:
        return None
    counts = counted(held.rename(columns={"fold": "speaker"}))
    counts.loc["all"] = counts.sum()
    counts["all"] = counts.sum(axis=1)
    return common.table(counts.rename_axis("speaker").reset_index())


def segment_starts(samples: int) -> dict[str, list[float]]:
    """Return where the training and test segments of an utterance start, in seconds."""
    return {
        name: [n * hop for n in range(segment_count(samples, hop))] for name, hop in HOPS.items()
    }


def of_one_utterance(front_end: FrontEnd) -> FrontEnd:
    """Return a front end that scales each segment by itself, as it can without a training set."""
    alike: dict[str, Scale] = {"training-set": "segment", "training-set-max": "segment-max"}
    return replace(front_end, scale=alike.get(front_end.scale, front_end.scale))


def normalisation_steps(waveform: torch.Tensor, front_end: FrontEnd) -> dict[str, np.ndarray]:
    """Return the first segment [bins, frames] after each step of Section 2.1, by what it is."""
    raw = spectrogram.magnitudes(waveform, front_end, paper.TRAIN_HOP_SECONDS)[:1]
    scaled = spectrogram.scale(raw, front_end)
    loud = raw.sqrt() if front_end.magnitude == "power" else raw
    steps = {
        "decibels (for the eye)": 20 * (loud / loud.max()).clamp_min(spectrogram.LOG_FLOOR).log10(),
        "magnitude": raw,
        "scaled": scaled,
        "µ-law (input)": spectrogram.mu_law(scaled),
    }
    return {name: x[0, 0].numpy() for name, x in steps.items()}


def mu_law_values() -> pd.DataFrame:
    """Return Eq. 1 as values `F(x)` at `x`."""
    x = torch.linspace(-1, 1, 401)
    return pd.DataFrame({"x": x, "F(x)": spectrogram.mu_law(x)})
