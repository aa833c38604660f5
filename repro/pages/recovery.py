"""The page "Recovery": whether the sweep of filter shapes finds what was planted."""

from __future__ import annotations

from typing import Any

import pandas as pd
from IPython.display import Markdown

from repro import config, recovery, study
from repro.corpora import planted
from repro.pages import wording


def notice(preset: str) -> Markdown:
    """Say what the numbers of the recovery page may be taken for, and how they were made."""
    grid = study.variants("recovery", preset)
    reference = config.preset("paper")
    first = next(iter(grid.values()))
    theirs, ours = reference.training, first.training
    changes = [
        f"batches of {ours.batch_size} instead of the paper's {theirs.batch_size}",
        f"{first.protocol.max_folds or 'all'} of {planted.SPEAKERS} draws held out in turn",
    ]
    if ours.epochs != theirs.epochs:
        changes.append(f"{ours.epochs} epochs, the paper has {theirs.epochs}")
    if max(first.network.stride) > 1:
        changes.append(
            f"Conv1 skips to every {max(first.network.stride)}th position along the axis that is "
            "not swept"
        )
    return Markdown(
        "> **Planted signals, no speech.** In the results the four classes bear the names of the "
        "emotions, which are the network's four outputs. The numbers on this page are about the "
        "method and say nothing about emotion.\n>\n"
        f"> **Preset `{preset}`.** In this study: {'; '.join(changes)}."
    )


def recovered(predictions: pd.DataFrame) -> pd.DataFrame:
    """Set the scale that each sweep gives away beside the one that was planted."""
    found = recovery.recovered(predictions)
    return pd.DataFrame(
        {
            "planted": found["scale"],
            "recovered": [_recovered(row) for row in found.itertuples()],
            "recovered / planted": [_ratio(row) for row in found.itertuples()],
            "best WA": [
                f"{row[0]:.1f} at {row[1]} {row[2]}"
                for row in zip(found["best WA"], found["best reach"], found["unit"], strict=True)
            ],
            "WA at half the stretch or less": found["half WA"],
            "chance": found["chance"],
        }
    )


def answer(predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the recovery page."""
    found = recovery.recovered(predictions)
    sentences = []
    for unit, axis in (("ms", "time"), ("Hz", "frequency")):
        rows = list(found[found["unit"] == unit].itertuples())
        if rows:
            pairs = ", ".join(f"{_recovered(row)} where {row.scale} was planted" for row in rows)
            sentences.append(f"Along {axis} the sweep points to {pairs}.")
    early = found[found["early"]]
    touched = early["half reach"] + early["unit"].map(recovery.SMEAR)
    smeared, unseen = early[touched >= early["planted"]], early[touched < early["planted"]]
    if len(smeared):
        sentences.append(
            f"At {', '.join(smeared['scale'])} even a filter that reaches no further than half of "
            "what was planted does better than chance: with the smear of the spectrogram it "
            "touches all of it."
        )
    if len(unseen):
        sentences.append(
            f"At {', '.join(unseen['scale'])} a filter that touches less than what was planted "
            "does better than chance: there the method claims more than it can see."
        )
    if early.empty:
        sentences.append(
            "At no scale does a filter that reaches no further than half of what was planted do "
            "better than chance."
        )
    lost = list(found.loc[found["recovered"].isna(), "scale"])
    if lost:
        sentences.append(f"At {', '.join(lost)} the best filter does no better than chance.")
    ordered = found.dropna(subset="recovered").groupby("unit", sort=False)["recovered"]
    monotone = all(group.is_monotonic_increasing for _, group in ordered)
    held = [row.scale for row in found.itertuples() if row.low <= row.planted <= row.high]
    sentences.append(
        f"Larger planted scales {'always' if monotone else 'do not always'} give larger recovered "
        f"ones. The 95% interval holds the planted scale at {', '.join(held) or 'none of them'}."
    )
    times = (found["best reach"] / found["planted"]).dropna()
    if len(times):
        sentences.append(
            "The paper reads its scale from the top of the curve, not from halfway up: the best "
            f"filter here is {times.min():.1f} to {times.max():.1f} times as large as what was "
            "planted."
        )
    speakers, seeds = found["speakers"].min(), found["seeds"].min()
    sentences.append(
        f"The numbers come from {speakers} held-out draws of the signals and "
        f"{wording.many(int(seeds), 'seed')} at each scale."
    )
    if found["low"].isna().all():
        sentences.append("That is too few for intervals.")
    return Markdown(" ".join(sentences))


def _recovered(row: Any) -> str:
    """Give a recovered scale with its interval and unit."""
    if pd.isna(row.recovered):
        return "none"
    if row.at_most:
        return f"at most {_bound(row):.0f} {row.unit}"
    return f"{wording.number(row.recovered, row.low, row.high, 0)} {row.unit}"


def _ratio(row: Any) -> str:
    """Give a recovered scale as a share of the planted one."""
    if pd.isna(row.recovered):
        return "–"
    if row.at_most:
        return f"at most {_bound(row) / row.planted:.2f}"
    return f"{row.recovered / row.planted:.2f}"


def _bound(row: Any) -> float:
    """Return what a scale lies below that is smaller than the sweep can tell."""
    return float(row.recovered if pd.isna(row.high) else row.high)
