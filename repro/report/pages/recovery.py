"""The page "Recovery": whether the sweep of filter shapes finds what was planted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from IPython.display import Markdown

from repro import config
from repro.corpora import planted
from repro.evidence import metrics, recovery
from repro.report.pages import wording
from repro.study import grids


def notice(preset: str) -> Markdown:
    """Say what the numbers of the recovery page may be taken for, and how they were made."""
    grid = grids.variants("recovery", preset)
    reference = config.preset("paper")
    first = next(iter(grid.values())).experiment
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


def recovered(found: pd.DataFrame) -> pd.DataFrame:
    """Lay `recovery.recovered` out: the scale that each sweep gives away beside the planted one."""
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


def answer(found: pd.DataFrame) -> Markdown:
    """Answer the question of the recovery page from `recovery.recovered`."""
    by_unit = [rows for _, rows in found.groupby("unit", sort=False)]
    sentences = [
        *map(_pointed, by_unit),
        *_early(found),
        _lost(found),
        _ordered(by_unit),
        _held(found),
        *map(_best, by_unit),
        _size(found),
    ]
    return Markdown(" ".join(filter(None, sentences)))


def _pointed(rows: pd.DataFrame) -> str:
    """Say which scales the sweeps along one axis point to."""
    axis = {"ms": "time", "Hz": "frequency"}[rows["unit"].iloc[0]]
    pairs = (f"{_recovered(row)} where {row.scale} was planted" for row in rows.itertuples())
    return f"Read halfway up, along {axis} the sweep points to {', '.join(pairs)}."


def _early(found: pd.DataFrame) -> list[str]:
    """Say where a filter does better than chance that counts as too small, and why."""
    early = found[found["early"]]
    if early.empty:
        return [
            "At no scale does a filter that reaches no further than half of what was planted do "
            "better than chance."
        ]
    touched = early["half reach"] + early["unit"].map(recovery.BEYOND_SIZE)
    whole = touched >= early["planted"]
    verdicts = (
        (
            whole,
            "even a filter that reaches no further than half of what was planted does better than "
            "chance; as the spectrogram smears, it touches all of it.",
        ),
        (
            ~whole,
            "a filter that touches less than what was planted does better than chance: there the "
            "method claims more than it can see.",
        ),
    )
    return [
        f"At {', '.join(early.loc[there, 'scale'])} {said}"
        for there, said in verdicts
        if any(there)
    ]


def _lost(found: pd.DataFrame) -> str:
    """Say where nothing was learnt."""
    lost = list(found.loc[found["recovered"].isna(), "scale"])
    return f"At {', '.join(lost)} the best filter does no better than chance." if lost else ""


def _ordered(by_unit: Sequence[pd.DataFrame]) -> str:
    """Say whether a larger planted scale gives a larger recovered one."""
    sequences = [rows["recovered"].dropna() for rows in by_unit]
    if all(len(sequence) < 2 for sequence in sequences):
        return ""
    monotone = all((sequence.diff().dropna() > 0).all() for sequence in sequences)
    return (
        f"Larger planted scales {'always' if monotone else 'do not always'} give larger recovered "
        "ones."
    )


def _held(found: pd.DataFrame) -> str:
    """Say which intervals hold what was planted, if there are any."""
    if found["low"].isna().all():
        return ""
    held = found.loc[found["planted"].between(found["low"], found["high"]), "scale"]
    return f"The 95% interval holds the planted scale at {', '.join(held) or 'none of them'}."


def _best(rows: pd.DataFrame) -> str:
    """Set the best size along one axis beside what was planted, and the first that is as good.

    Those are what the paper looks at.
    """
    rows = rows.dropna(subset="recovered")
    if rows.empty:
        return ""
    side, reads = {
        "ms": ("width", "at the top of the curve, not halfway up"),
        "Hz": ("height", "where the curve flattens, which is not halfway up either"),
    }[rows["unit"].iloc[0]]
    times = ", ".join(
        f"at least {best / planted:.1f} ({scale}, no larger one tried)"
        if at_least
        else f"{best / planted:.1f} ({scale})"
        for scale, planted, best, at_least in rows[
            ["scale", "planted", "best reach", "at_least"]
        ].itertuples(index=False)
    )
    said = (
        f"For {side} the paper reads its scale {reads}: the best {side} here is {times} times as "
        "large as what was planted"
    )
    level = rows.dropna(subset="level reach")
    if level.empty:
        return f"{said}."
    firsts = ", ".join(
        f"{reach / planted:.1f} ({scale})"
        for scale, planted, reach in level[["scale", "planted", "level reach"]].itertuples(
            index=False
        )
    )
    return f"{said}, and the first that is not significantly worse than the best {firsts}."


def _size(found: pd.DataFrame) -> str:
    """Say what the numbers rest on."""
    speakers, seeds = int(found["speakers"].min()), int(found["seeds"].min())
    few = " That is too few for intervals." if speakers < metrics.FEWEST_SPEAKERS else ""
    return (
        f"The numbers come from {speakers} held-out draws of the signals and "
        f"{wording.many(seeds, 'seed')} at each scale.{few}"
    )


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
