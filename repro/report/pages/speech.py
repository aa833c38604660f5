"""The page "Input spectrograms": what speech there is (Section 2.1)."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from repro import paper, spectrogram
from repro.config import FrontEnd, Scale
from repro.corpora import CORPORA
from repro.corpora.check import counted
from repro.report.pages import wording
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
        f"The {len(shown)} utterances that this page shows were made by a synthesiser. They are "
        "named as IEMOCAP's are; none is of IEMOCAP."
    )


def released() -> pd.DataFrame:
    """Return how many speakers, utterances and training segments corpora have as released."""
    rows = []
    for corpus in CORPORA.values():
        if corpus.published:
            counts = np.sum([*corpus.published.values()], axis=0)
            speakers, segments = len(corpus.published), corpus.training_segments or None
            rows.append((corpus.title, speakers, *counts, sum(counts), segments))
    columns = ["corpus", "speakers", *paper.EMOTIONS, "all", "training segments"]
    return pd.DataFrame(rows, columns=columns).astype({"training segments": "Int64"})


def one_each(table: pd.DataFrame) -> dict[str, str]:
    """Return a file of each emotion, by the speaker who has most of them if possible."""
    widest = table.groupby("speaker")["emotion"].nunique().idxmax()
    first = table.sort_values("speaker", key=lambda of: of != widest, kind="stable")
    paths = first.drop_duplicates("emotion").set_index("emotion")["path"]
    return {emotion: paths[emotion] for emotion in paper.EMOTIONS if emotion in paths}


def under_two_readings(
    waveforms: Mapping[str, torch.Tensor], front_end: FrontEnd
) -> dict[str, dict[str, np.ndarray]]:
    """Return the first input [bins, frames] of each emotion, by how a segment is scaled."""
    scales: dict[Scale, str] = {"segment": "minimum to −1", "segment-max": "divided by maximum"}
    return {
        name: {
            emotion: spectrogram.segments(
                waveform, replace(front_end, scale=scale), paper.TRAIN_HOP_SECONDS
            )[0, 0].numpy()
            for emotion, waveform in waveforms.items()
        }
        for scale, name in scales.items()
    }


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
