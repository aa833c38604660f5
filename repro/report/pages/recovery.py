"""The page "Recovery": whether the sweep of filter shapes finds what was planted."""

import pandas as pd
from IPython.display import Markdown

from repro import config, paper
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
    for row in found.to_dict("records"):
        unit, planted, size = row["unit"], row["planted"], row["recovered"]
        text = metrics.format_interval((size, row["low"], row["high"]), 0)
        scale, ratio = f"{text} {unit}", f"{size / planted:.2f}"
        if pd.isna(size):
            scale, ratio = "none", "–"
        elif row["at_most"]:  # it lies below what the sweep can tell
            most = size if pd.isna(row["high"]) else row["high"]
            scale, ratio = f"at most {most:.0f} {unit}", f"at most {most / planted:.2f}"
        best, level = f"{row['best WA']:.1f} at {row['best reach']} {unit}", row["smallest reach"]
        smallest = "–" if pd.isna(level) else f"{level:.0f} {unit}"
        rows.append((row["scale"], scale, ratio, best, smallest, row["half WA"], row["chance"]))
    columns = ["planted", "recovered", "recovered / planted", "best WA", "smallest as good"]
    columns += ["WA at half the stretch or less", "chance"]
    return pd.DataFrame(rows, columns=columns)


def answer(found: pd.DataFrame) -> Markdown:
    """Return whether the sweeps give away what was planted, from `recovery.recovered`."""
    said = ""
    if found["low"].notna().any():
        held = found.loc[found["planted"].between(found["low"], found["high"]), "scale"]
        begin = "Yes" if len(held) == len(found) else "In part" if len(held) else "No"
        said = (
            f"**{begin}: at {len(held)} of {len(found)} planted scales the 95% interval of what is "
            f"recovered holds what was planted{': ' * (len(held) > 0)}{', '.join(held)}.** "
        )
    steps = found.dropna(subset="recovered").groupby("unit")["recovered"].diff().dropna()
    if len(steps):
        order = "always" if (steps > 0).all() else "do not always"
        said += f"Larger planted scales {order} give larger recovered ones. "
    less = found["half reach"] + found["unit"].map(recovery.BEYOND_SIZE) < found["planted"]
    where = ", ".join(found.loc[found["early"] & less, "scale"])
    better = f"do better than chance at {where}, which they should not"
    better = better if where else "are not shown to do better than chance"
    said += f"Filters that touch less than the pattern {better}.\n\n"
    (height, _), (_, width) = paper.STEM_SHAPES
    peaks = found["best reach"].where(found["recovered"].notna() & ~found["at_least"])
    for side, unit, steps, how, reach in (
        ("height", "Hz", height, "where a curve flattens", found["smallest reach"]),
        ("width", "ms", width, "at its best", peaks),
    ):
        size = steps * recovery.STEP[unit]
        ratios = (reach / found["planted"])[found["unit"] == unit].dropna()
        if ratios.empty:
            continue
        times, stands_for = (
            " to ".join(dict.fromkeys(f"{end:.{digits}f}" for end in (of.min(), of.max())))
            for of, digits in ((ratios, 1), (size / ratios, 0))
        )
        told = found.loc[ratios.index, "scale"]
        at = f" at {' and '.join(told)}" * (len(told) < sum(found["unit"] == unit))
        said += (
            f"Read {how}, as the paper reads the {side}, the sweep of the {side} gives {times} "
            f"times what was planted{at}: were speech as simple as these signals, the paper's "
            f"{size} {unit} would stand for patterns of {stands_for} {unit}. "
        )
    return Markdown(said.strip())
