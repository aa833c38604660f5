"""The page "Attention maps": what the network looks at (Sections 2.4.2 and 3.3)."""

import math

import numpy as np
import pandas as pd
from IPython.display import Markdown

from repro import config, paper
from repro.errors import NoMapsError
from repro.evidence import metrics
from repro.report.pages import in_brief, wording
from repro.results import ATTENTION_COLUMNS, Results

LOW_KHZ = 1.0  # below lie the voice's pitch and the first formant of most vowels
WEAK, CLEAR = 0.1, 0.3  # correlations from which on one speaks of a weak and of a clear one


def with_maps(data: Results) -> Results:
    """Return results that hold attention maps.

    Raises:
        NoMapsError: they do not.
    """
    if data.attention.empty:
        raise NoMapsError(
            "None are kept of the best epoch, of a network without the softmax, or where maps and "
            "frames do not begin together; if it is none of these, run `pooling` into a new file"
        )
    return data


def map_size(preset: str) -> Markdown:
    """Return how large the attention maps are, and what one of their points covers."""
    network = config.preset(preset).network
    last = _last_map(preset)
    pooled = paper.POOL_WINDOW ** len(network.pools)
    high, wide = (step * pooled for step in network.stride)
    return Markdown(
        f"Here a map has {last['rows']} rows by {last['frames']} columns, {high * paper.BIN_HZ} Hz "
        f"and {wide * 1000 * paper.SHIFT_SECONDS:.0f} ms apart."
    )


def _last_map(preset: str) -> pd.Series:
    """Return the row of `in_brief.layers` before the pooling."""
    return in_brief.layers(config.preset(preset).network).iloc[-2]


def averages(attention: pd.DataFrame) -> pd.DataFrame:
    """Return means of what was measured on attention maps, for all utterances and for groups.

    Returns:
        A row per group and measure, with `group`, `utterances`, `measure`, and `value`, `low`,
        `high`.
    """
    right = attention["predicted"] == attention["emotion"]
    groups = {"all": attention}
    groups |= {name: attention[attention["emotion"] == name] for name in paper.EMOTIONS}
    groups |= {"recognised": attention[right], "mistaken": attention[~right]}
    return pd.DataFrame(
        {"group": name, "utterances": group["utterance"].nunique(), "measure": measure}
        | metrics.mean(group, measure)._asdict()
        for name, group in groups.items()
        for measure in ATTENTION_COLUMNS
    )


def by_frequency(examples: pd.DataFrame) -> pd.DataFrame:
    """Return how much attention the rows of the bottom-up maps that are kept have on average.

    Returns:
        A row per row of a map, from low to high, with `kHz` (its middle) and, over all maps and
        over those of each true emotion, its attention beside that of a plain average, which has 1.
    """
    shares = pd.DataFrame([_shares(each).sum(axis=1) for each in examples["bottom_up"]])
    rows = shares.shape[1]
    profiles = {"all": shares.mean()} | {
        emotion: shares[(examples["emotion"] == emotion).to_numpy()].mean()
        for emotion in paper.EMOTIONS
    }
    khz = (np.arange(rows) + 0.5) / rows * paper.HIGHEST_HZ / 1000
    return pd.DataFrame({"kHz": khz} | {name: rows * of for name, of in profiles.items()})


def _shares(map_: np.ndarray) -> np.ndarray:
    """Return the share of attention of each position; files keep maps up to a factor."""
    return map_ / max(map_.sum(), np.finfo(map_.dtype).tiny)


def low(examples: pd.DataFrame) -> str:
    """Return how much of the attention in the maps that are kept is low."""
    profile = by_frequency(examples)
    rows, below = len(profile), profile.loc[profile["kHz"] < LOW_KHZ, "all"]
    return (
        f"In the bottom-up maps that results keep, of {wording.many(len(examples), 'utterance')}, "
        f"{100 * below.sum() / rows:.0f}% of the attention lies below {LOW_KHZ:g} kHz; a plain "
        f"average has {100 * len(below) / rows:.0f}% there."
    )


def at_the_edge(examples: pd.DataFrame) -> Markdown:
    """Return how much of the attention in the maps that are kept is at their edge."""
    inside = [_shares(each)[1:-1, 1:-1].sum() for each in examples["bottom_up"]]
    high, wide = examples["bottom_up"].iloc[0].shape
    even = 1 - (high - 2) * (wide - 2) / (high * wide)
    return Markdown(
        "The outermost rows and columns, which have seen some of the zeros around the input, have "
        f"{100 * (1 - np.mean(inside)):.0f}% of the attention; a plain average gives them "
        f"{100 * even:.0f}%."
    )


def answer(averages: pd.DataFrame, examples: pd.DataFrame, preset: str) -> Markdown:
    """Return where attention lies, on how many positions, and whether it follows energy or pitch.

    A map with the entropy of a uniform one over n of its N positions has the spread log n / log N.
    """
    rows = averages[averages["group"] == "all"].set_index("measure")[["value", "low", "high"]]
    last = _last_map(preset)
    positions = last["rows"] * last["frames"]
    even, least, most = positions ** rows.loc["spread"]
    sure = "" if math.isnan(least) else f" [{least:.0f}, {most:.0f}]"
    wide = (
        "Over all test utterances the bottom-up map is as concentrated as one that lies evenly on "
        f"{even:.0f}{sure} of {positions} positions."
    )
    if rows["low"].isna().all():
        few = f"There is no interval: it needs {metrics.FEWEST_SPEAKERS} speakers, each held out."
        return Markdown(f"{low(examples)} {wide} {few}")
    text = {row.Index: metrics.format_interval(row[1:], 2) for row in rows.itertuples()}
    said = [
        f"The {title} map, which says {what}, {_follows(rows, f'{of}_energy')} the energy of the "
        f"sound (rank correlation over time {text[f'{of}_energy']}) and "
        f"{_follows(rows, f'{of}_pitch')} its periodicity ({text[f'{of}_pitch']})."
        for of, title, what in (
            ("bottom_up", "bottom-up", "where to look"),
            ("top_down", "top-down", "what speaks for the emotion that is recognised"),
        )
    ]
    return Markdown(f"{low(examples)} {wide}\n\n{' '.join(said)}")


def _follows(rows: pd.DataFrame, measure: str) -> str:
    strength = abs(rows.loc[measure, "value"])
    return (
        "hardly follows" if strength < WEAK else "weakly follows" if strength < CLEAR else "follows"
    )
