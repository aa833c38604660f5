"""The page "Recovery": whether the sweep of filter shapes finds what was planted."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

from repro import config
from repro.corpora import planted
from repro.evidence import metrics, recovery
from repro.study import grids


def notice(preset: str) -> Markdown:
    """Return what the numbers of the recovery page may be taken for, and how they were made."""
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
    """Return `recovery.recovered` laid out: each recovered scale beside the planted one."""
    rows = []
    for row in found.itertuples():
        text = metrics.format_interval((row.recovered, row.low, row.high), 0)
        scale, ratio = f"{text} {row.unit}", f"{row.recovered / row.planted:.2f}"
        if pd.isna(row.recovered):
            scale, ratio = "none", "–"
        elif row.at_most:  # it lies below what the sweep can tell
            most = row.recovered if pd.isna(row.high) else row.high
            scale, ratio = f"at most {most:.0f} {row.unit}", f"at most {most / row.planted:.2f}"
        rows.append((row.scale, scale, ratio))
    table = pd.DataFrame(rows, columns=["planted", "recovered", "recovered / planted"])
    best = zip(found["best WA"], found["best reach"], found["unit"], strict=True)
    table["best WA"] = [f"{wa:.1f} at {reach} {unit}" for wa, reach, unit in best]
    names = {"half WA": "WA at half the stretch or less", "chance": "chance"}
    return table.join(found[[*names]].rename(columns=names))


def answer(found: pd.DataFrame) -> Markdown:
    """Return what the sweeps show of the method, from `recovery.recovered`."""
    sentences = [*_too_small(found), _held(found), _level(found)]
    return Markdown(" ".join(filter(None, sentences)))


def _too_small(found: pd.DataFrame) -> list[str]:
    """Return where a filter does better than chance that counts as too small, and why."""
    early = found[found["early"]]
    if early.empty:
        return [
            "At no scale does a filter that reaches no further than half of what was planted do "
            "better than chance."
        ]
    touched = early["half reach"] + early["unit"].map(recovery.BEYOND_SIZE)
    whole = touched >= early["planted"]
    seen, unseen = (", ".join(early.loc[there, "scale"]) for there in (whole, ~whole))
    said = []
    if seen:
        said.append(
            f"At {seen} even a filter that reaches no further than half of what was planted does "
            "better than chance; as the spectrogram smears, it touches all of it."
        )
    if unseen:
        said.append(
            f"At {unseen} a filter that touches less than what was planted does better than "
            "chance: there the method claims more than it can see."
        )
    return said


def _held(found: pd.DataFrame) -> str:
    """Return whether larger scales are recovered as larger, and which intervals hold them."""
    steps = found.dropna(subset="recovered").groupby("unit")["recovered"].diff().dropna()
    order = "always" if (steps > 0).all() else "do not always"
    said = [f"larger planted scales {order} give larger recovered ones"] if len(steps) else []
    if found["low"].notna().any():
        held = found.loc[found["planted"].between(found["low"], found["high"]), "scale"]
        said.append(
            f"the 95% interval holds the planted scale at {', '.join(held) or 'none of them'}"
        )
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _level(found: pd.DataFrame) -> str:
    """Return which size is the first that is as good as the best: what the paper looks at."""
    level = found.dropna(subset="level reach")
    if level.empty:
        return ""
    times = level["level reach"] / level["planted"]
    firsts = ", ".join(f"{n:.1f} ({scale})" for n, scale in zip(times, level["scale"], strict=True))
    return (
        "The paper reads its scale where the curve peaks or flattens, not halfway up: the smallest "
        f"filter here that is not significantly worse than the best is {firsts} times as large as "
        "what was planted."
    )
