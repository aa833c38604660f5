"""The page "Attention maps": what the network looks at (Sections 2.4.2 and 3.3)."""

import pandas as pd
from IPython.display import Markdown

from repro import config, paper
from repro.errors import NoMapsError
from repro.evidence import metrics
from repro.report.pages import in_brief
from repro.results import ATTENTION_COLUMNS, Results


def with_maps(data: Results) -> Results:
    """Return results that hold attention maps.

    Raises:
        NoMapsError: they do not.
    """
    if data.attention.empty:
        raise NoMapsError(
            "None are kept of the best epoch, or of a network without the softmax; if it is "
            "neither, run `pooling` into a new file"
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
        `high`. The measures `bottom_up_more` and `top_down_more` are by how much a map agrees more
        with energy than with pitch.
    """
    measured = attention.assign(
        bottom_up_more=attention["bottom_up_energy"] - attention["bottom_up_pitch"],
        top_down_more=attention["top_down_energy"] - attention["top_down_pitch"],
    )
    right = measured["predicted"] == measured["emotion"]
    groups = {"all": measured}
    groups |= {name: measured[measured["emotion"] == name] for name in paper.EMOTIONS}
    groups |= {"recognised": measured[right], "mistaken": measured[~right]}
    return pd.DataFrame(
        {"group": name, "utterances": group["utterance"].nunique(), "measure": measure}
        | metrics.mean(group, measure)._asdict()
        for name, group in groups.items()
        for measure in (*ATTENTION_COLUMNS, "bottom_up_more", "top_down_more")
    )


def shown(averages: pd.DataFrame, map_name: str) -> pd.DataFrame:
    """Return `averages` laid out for one map, `bottom_up` or `top_down`, with intervals as text."""
    titles = {
        f"{map_name}_energy": "with energy",
        f"{map_name}_pitch": "with periodicity",
        f"{map_name}_more": "energy − periodicity",
    }
    if map_name == "bottom_up":
        titles["spread"] = "spread"
    numbers = averages[["value", "low", "high"]].itertuples(index=False)
    texts = [metrics.format_interval(row, 2) for row in numbers]
    wide = averages.assign(text=texts).pivot(index="group", columns="measure", values="text")
    counts = averages.drop_duplicates("group").set_index("group")["utterances"]
    wide = wide.loc[counts.index, list(titles)].rename(columns=titles)
    wide.insert(0, "utterances", counts)
    return wide.rename_axis(columns=None).reset_index()


def answer(averages: pd.DataFrame, preset: str) -> Markdown:
    """Return whether attention follows energy or pitch, and over how many positions it is spread.

    A map with the entropy of a uniform one over n of its N positions has the spread log n / log N.
    """
    rows = averages.set_index(["group", "measure"])[["value", "low", "high"]]
    if rows.loc["all", "low"].isna().all():
        few = metrics.FEWEST_SPEAKERS
        return Markdown(f"With fewer than {few} speakers nothing can be said for sure.")
    text = {row.Index: metrics.format_interval(row[1:], 2) for row in rows.itertuples()}
    by_emotion = ", ".join(
        f"{name} {text[name, 'bottom_up_energy']}"
        for name in paper.EMOTIONS
        if not pd.isna(rows.loc[(name, "bottom_up_energy"), "value"])
    )
    last = _last_map(preset)
    positions = last["rows"] * last["frames"]
    even = positions ** rows.loc[("all", "spread"), "value"]
    return Markdown(
        "The bottom-up map says where to look. Its rank correlation over time with energy is "
        f"{text['all', 'bottom_up_energy']} over all utterances (1 is full agreement, 0 none, −1 "
        f"the contrary) and with periodicity {text['all', 'bottom_up_pitch']}; with energy, by "
        f"the true emotion: {by_emotion}. Its spread is {text['all', 'spread']}, where 1 is a "
        f"plain average: as wide as an even look at {even:.0f} of its {positions} positions. The "
        "top-down map says what speaks for the emotion that is recognised: it "
        f"has {text['all', 'top_down_energy']} with energy and "
        f"{text['all', 'top_down_pitch']} with periodicity."
    )
