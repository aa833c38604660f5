"""Every figure of the report, in one style. Functions draw data that they are given.

Colours are seaborn's colour-blind palette, one per emotion throughout; figures are SVG with the
same bytes for the same data. They are narrower than the column of a page and their letters as large
as its text, so that they can still be read when a phone shrinks them to its width.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from repro import paper, spectrogram
from repro.config import FrontEnd, Network
from repro.evidence import metrics, recovery
from repro.evidence.effects import SCORES, SIGNIFICANT
from repro.model import build_network
from repro.study.grids import short_name
from repro.tools.recogniser import Recogniser, attention_maps

WIDTH = 6.0  # inches: a phone shows it at two thirds
SMALL = 9.5  # points: the smallest letters, which are still read there
COLOURS = dict(
    zip((*paper.EMOTIONS, "WA"), [*sns.color_palette("colorblind", 4), "black"], strict=True)
)
MARKERS = dict(zip((*paper.EMOTIONS, "WA"), "osD^X", strict=True))


def use_style() -> None:
    """Set the style of all figures; a notebook calls it once.

    Settings of the user's own, such as text by LaTeX, do not count.
    """
    matplotlib.rcdefaults()
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette="colorblind",
        rc={
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.labelsize": 11,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "image.cmap": "magma",
            "svg.hashsalt": "repro",
        },
    )
    from IPython import get_ipython
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg", metadata={"Date": None})
    if shell := get_ipython():
        shell.display_formatter.formatters["image/svg+xml"].for_type(Drawing, svg)


class Drawing(Figure):
    """A figure that knows the data it shows, so that a reader can have them too."""

    data: pd.DataFrame | None = None


def svg(figure: Drawing) -> str:
    """Draw a figure as SVG, with its tips as titles and its data as CSV among its metadata."""
    from IPython.core.pylabtools import print_figure

    drawn = print_figure(figure, fmt="svg", bbox_inches="tight", metadata={"Date": None})
    drawn = re.sub(r"""<g id=(["'])tip: (.*?)\1>""", r'<g class="tip"><title>\2</title>', drawn)
    if figure.data is not None:
        data = html.escape(figure.data.to_csv(index=False, float_format="%.6g"), quote=False)
        drawn = drawn.replace("</svg>", f'<metadata class="csv">{data}</metadata>\n</svg>')
    return drawn


def tip(ax: Axes, x: float, y: float, text: str) -> None:
    """Let the mouse find a text at a point of a figure: an unseen disc with a title."""
    ax.plot([x], [y], "o", ms=13, mew=0, alpha=0, gid=f"tip: {text}", zorder=10)


def _tip_of(ax: Axes, x: float, y: float, row: dict[Any, Any], score: str, of: str) -> None:
    """Give a point a tip with the score, and its interval if it has one, of a row."""
    if np.isfinite([x, y]).all():
        bounds = (row.get(f"{score} {end}", np.nan) for end in ("low", "high"))
        tip(ax, x, y, f"{of}: {_interval(score, row[score], *bounds)}")


def _interval(name: str, value: float, low: float, high: float, decimals: int = 1) -> str:
    """Write a value, with its interval if it has one: `WA 65.0 [58.1, 71.9]`."""
    bounds = "" if np.isnan(low) else f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return f"{name} {value:.{decimals}f}{bounds}"


def _subplots(
    rows: int = 1, columns: int = 1, figsize: tuple[float, float] = (WIDTH, 3.2), **options: Any
) -> tuple[Drawing, Any]:
    """Make a figure that pyplot does not know, so that a notebook shows it exactly once."""
    fig = Drawing(figsize=figsize, layout="constrained")
    return fig, fig.subplots(rows, columns, **options)


def segments(waveform: torch.Tensor) -> Figure:
    """Draw a waveform with the training and test segments that are cut from it."""
    seconds = np.arange(len(waveform)) / paper.SAMPLE_RATE
    fig, (top, bottom) = _subplots(2, 1, sharex=True, height_ratios=(2, 1.6))
    top.plot(seconds, waveform, lw=0.4, color="0.25", rasterized=True)
    top.set_ylabel("amplitude")
    rows = 0
    for name, hop, colour in (
        ("training", paper.TRAIN_HOP_SECONDS, "C0"),
        ("test", paper.TEST_HOP_SECONDS, "C1"),
    ):
        count = spectrogram.segment_count(len(waveform), hop)
        for i in range(count):
            bottom.barh(
                -rows,
                paper.SEGMENT_SECONDS,
                left=i * hop,
                height=0.7,
                color=colour,
                label=f"{name} ({count})" if i == 0 else None,
            )
            rows += 1
    bottom.set(yticks=[], xlabel="time (s)", ylabel="segments")
    bottom.spines["left"].set_visible(False)
    fig.legend(loc="outside upper right", ncols=2, frameon=False)
    return fig


def spectrogram_image(ax: Axes, segment: torch.Tensor | np.ndarray, **options: Any) -> AxesImage:
    """Draw one segment's matrix [bins, frames] with time and frequency axes."""
    image = ax.imshow(
        segment,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, paper.SEGMENT_SECONDS, 0, paper.HIGHEST_HZ / 1000),
        **options,
    )
    ax.set(xlabel="time (s)", xticks=(0, 1, 2))
    return image


def normalisation(waveform: torch.Tensor, front_end: FrontEnd) -> Figure:
    """Draw the first segment in decibels, as magnitude, scaled to [-1, 1], and after the µ-law."""
    raw = spectrogram.magnitudes(waveform, front_end, paper.TRAIN_HOP_SECONDS)[:1]
    scaled = spectrogram.scale(raw, front_end)
    steps = {
        "decibels (for the eye)": 20 * (raw / raw.max()).clamp_min(spectrogram.LOG_FLOOR).log10(),
        "magnitude": raw,
        "scaled": scaled,
        "µ-law (input)": spectrogram.mu_law(scaled),
    }
    fig, axes = _subplots(4, 2, figsize=(WIDTH, 7.6), width_ratios=(3, 2))
    for (name, x), (ax, beside) in zip(steps.items(), axes, strict=True):
        image = spectrogram_image(ax, x[0, 0])
        ax.set(title=name, xlabel="", ylabel="kHz")
        fig.colorbar(image, ax=ax)
        beside.hist(x.flatten().numpy(), bins=60, color="0.4", log=True)
        beside.set_ylabel("entries")
    axes[-1, 0].set_xlabel("time (s)")
    axes[-1, 1].set_xlabel("value")
    return fig


def mu_law_curve() -> Figure:
    """Draw Eq. 1."""
    x = torch.linspace(-1, 1, 401)
    fig, ax = _subplots(figsize=(0.6 * WIDTH, 2.9))
    ax.plot(x, spectrogram.mu_law(x), label="µ-law, µ = 255")
    ax.plot(x, x, color="0.6", ls="--", label="linear")
    ax.set(xlabel="x", ylabel="F(x)")
    ax.legend(frameon=False)
    fig.data = pd.DataFrame({"x": x, "F(x)": spectrogram.mu_law(x)})
    return fig


def emotions(inputs: dict[str, torch.Tensor]) -> Figure:
    """Draw one network input [bins, frames] for each emotion."""
    fig, axes = _subplots(1, len(inputs), sharey=True, figsize=(WIDTH, 2.6))
    for (emotion, x), ax in zip(inputs.items(), axes, strict=True):
        spectrogram_image(ax, x, vmin=-1, vmax=1)
        ax.set_title(emotion)
    axes[0].set_ylabel("frequency (kHz)")
    return fig


def lengths(table: pd.DataFrame) -> Figure:
    """Draw the lengths of a corpus's utterances; those under 2 s are shaded."""
    fig, ax = _subplots(figsize=(WIDTH, 2.4))
    ax.hist(table["samples"] / paper.SAMPLE_RATE, bins=40, color="C0")
    ax.axvspan(0, paper.SEGMENT_SECONDS, color="0.9", zorder=0)
    ax.text(0.05, 1.01, "shorter than a segment", va="bottom", transform=ax.get_xaxis_transform())
    ax.set(xlabel="length (s)", ylabel="utterances", xlim=(0, None))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    fig.data = table[["utterance", "speaker", "emotion", "samples"]]
    return fig


def filter_shapes(summary: pd.DataFrame, majority: float) -> Figure:
    """Draw Fig. 2: accuracy against filter height and width, with the 95% interval of WA."""
    table = summary.copy()
    table[["height", "width"]] = table["variant"].str.split("x", expand=True).astype(int)
    fig, axes = _subplots(2, 1, sharey=True, figsize=(WIDTH, 5.6))
    for ax, varied, fixed, unit, per_step in (
        (axes[0], "height", "width", "Hz", paper.BIN_HZ),
        (axes[1], "width", "height", "ms", round(1000 * paper.SHIFT_SECONDS)),
    ):
        sweep = table[table[fixed] == paper.SWEEP_FIXED].sort_values(varied)
        for size, (name, colour) in zip((8, 7, 6, 5, 5), COLOURS.items(), strict=True):
            ax.plot(
                sweep[varied],
                sweep[name],
                color=colour,
                marker=MARKERS[name],
                ms=size,  # a larger marker below a smaller one is still seen
                lw=2.2 if name == "WA" else 1.2,
                label=name,
            )
            for row in sweep.to_dict("records"):
                _tip_of(ax, row[varied], row[name], row, name, row["variant"])
        bounds = sweep["WA low"], sweep["WA high"]
        ax.fill_between(sweep[varied], *bounds, color="black", alpha=0.12, lw=0)
        ax.axhline(majority, color="0.6", ls=":")
        ax.set_xscale("log")
        named = _apart(sweep[varied].to_list())
        ax.set_xticks(
            sweep[varied], [f"{n}\n{n * per_step}" if n in named else "" for n in sweep[varied]]
        )
        ax.minorticks_off()
        ax.set(
            xlabel=f"filter {varied} (top: steps, below: {unit})",
            ylabel="accuracy (%)",
            ylim=(-4, 104),
        )
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False
    )
    fig.data = summary
    return fig


def _apart(sizes: list[int], share: float = 0.06) -> set[int]:
    """Choose sizes whose names do not run into one another on a logarithmic axis."""
    named: list[int] = []
    for size in sorted(sizes, reverse=True):
        if not named or np.log(named[-1] / size) >= share * np.log(max(sizes) / min(sizes)):
            named.append(size)
    return set(named)


def poolings(rows: pd.DataFrame, here: str) -> Figure:
    """Draw WA and UA of each pooling as points with intervals: here, if known, and in the paper.

    Dotted lines in the colours of the two show what always naming the commonest emotion reaches in
    WA on either corpus, and what guessing reaches in UA.

    Args:
        rows: a row per pooling, from `pages.poolings.beside_paper`, or with the paper's
            columns only.
        here: what was run here, for the legend.
    """
    fig, axes = _subplots(1, 2, sharex=True, sharey=True, figsize=(WIDTH, 2.6))
    y = np.arange(len(rows))
    for ax, score in zip(axes, ("WA", "UA"), strict=True):
        for prefix, shift, colour, marker, label in (
            ("", -0.12, "C0", "o", f"here: {here}"),
            ("paper ", 0.12, "0.45", "D", "the paper: IEMOCAP"),
        ):
            name = f"{prefix}{score}"
            if name in rows:
                ax.plot(rows[name], y + shift, marker, color=colour, ms=6, label=label)
                guess = "guessing" if prefix else None
                ax.axvline(rows[f"{name} guess"].iloc[0], color=colour, ls=":", label=guess)
            if f"{name} low" in rows:
                ax.hlines(y + shift, rows[f"{name} low"], rows[f"{name} high"], color=colour, lw=2)
            for place, row in zip(y + shift, rows.to_dict("records"), strict=True):
                if name in rows:
                    _tip_of(ax, row[name], place, row, name, row["variant"])
        ax.set(title={"WA": "weighted accuracy", "UA": "unweighted accuracy"}[score])
        ax.set(xlabel="%, with 95% interval", ylim=(len(rows) - 0.5, -0.5))
    axes[0].set_yticks(y, rows["variant"])
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    fig.data = rows
    return fig


def confusions(predictions: pd.DataFrame, variants: Sequence[str]) -> Figure:
    """Draw a confusion matrix per variant: per cent of each true emotion."""
    fig, axes = _subplots(1, len(variants), sharey=True, figsize=(WIDTH, 2.9))
    for ax, variant in zip(np.atleast_1d(axes), variants, strict=True):
        counts = metrics.confusion(predictions[predictions["variant"] == variant])
        shares = 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
        sns.heatmap(
            shares,
            annot=True,
            fmt=".0f",
            vmin=0,
            vmax=100,
            cmap="Blues",
            cbar=False,
            square=True,
            ax=ax,
            annot_kws={"fontsize": SMALL},
        )
        for text, share in zip(ax.texts, shares.to_numpy().ravel(), strict=True):
            text.set_color("white" if share > 70 else "black")  # either is easy to read there
        ax.set(title=variant, xlabel="predicted", ylabel="")
        ax.tick_params(length=0, rotation=0)
        ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right")
    np.atleast_1d(axes)[0].set_ylabel("true")
    fig.data = pd.concat(
        {v: metrics.confusion(predictions[predictions["variant"] == v]) for v in variants},
        names=["variant"],
    ).reset_index()
    return fig


def sweeps(predictions: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """Draw WA by filter size, a panel for each planted scale, with the planted and recovered one.

    The upright line is the planted scale, the cross where accuracy is halfway up, with its 95%
    interval, the dotted line chance.

    Args:
        predictions: of the recovery study, on one set of settings.
        found: from `repro.evidence.recovery.recovered`.
    """
    table = recovery.sweeps(predictions)
    units = list(dict.fromkeys(found["unit"]))
    columns = int(found["unit"].value_counts().max())
    fig, axes = _subplots(
        *(len(units), columns), sharey=True, squeeze=False, figsize=(WIDTH, 2.7 * len(units))
    )
    fig.set_layout_engine("constrained", h_pad=0.1)
    for unit, row in zip(units, axes, strict=True):
        scales = found[found["unit"] == unit]
        for ax in row[len(scales) :]:
            ax.set_visible(False)
        for scale, ax in zip(scales.itertuples(), row, strict=False):
            sweep = table[table["scale"] == scale.scale].sort_values("reach")
            ax.plot(sweep["reach"], sweep["WA"], color="black", marker="o", ms=4)
            bounds = sweep["WA low"], sweep["WA high"]
            ax.fill_between(sweep["reach"], *bounds, color="black", alpha=0.12, lw=0)
            for point in sweep.to_dict("records"):
                _tip_of(
                    ax, float(point["reach"]), point["WA"], point, "WA", f"{point['reach']} {unit}"
                )
            ax.axhline(scale.chance, color="0.6", ls=":")
            ax.axvline(scale.planted, color="C1", lw=2, label="planted")
            halfway = (scale.chance + sweep["WA"].max()) / 2
            ax.hlines(halfway, scale.low, scale.high, color="C0", lw=2)
            sign = "<" if scale.at_most else "X"
            ax.plot(scale.recovered, halfway, sign, color="C0", ms=8, ls="", label="recovered")
            ax.set_xscale("log")
            shown = sorted(_apart(sweep["reach"].to_list(), share=0.18))
            ax.set_xticks(shown, [str(reach) for reach in shown])
            ax.minorticks_off()
            side = "width" if unit == "ms" else "height"
            ax.set(title=f"planted: {scale.scale}", xlabel=f"filter {side} ({unit})", ylim=(0, 104))
        row[0].set_ylabel("WA (%)")
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    fig.data = table
    return fig


def histories(history: pd.DataFrame) -> Figure:
    """Draw the training loss per epoch: a thin line per fold, a thick one for their mean."""
    variants = history.groupby("variant", sort=False)
    columns = min(len(variants), 5)
    fig, ax = _subplots(figsize=(WIDTH, 2.6 + 0.2 * np.ceil(len(variants) / columns)))
    palette = sns.color_palette("colorblind" if len(variants) <= 6 else "viridis", len(variants))
    for colour, (variant, runs) in zip(palette, variants, strict=True):
        for _, fold in runs.groupby(["fold", "seed"]):
            ax.plot(fold["epoch"], fold["loss"], color=colour, lw=0.6, alpha=0.5)
        mean = runs.groupby("epoch")["loss"].mean()
        ax.plot(mean, color=colour, lw=2.2, label=short_name(variant))
    ax.axhline(np.log(len(paper.EMOTIONS)), color="0.6", ls=":")
    ax.annotate(
        "guessing",
        (1, np.log(len(paper.EMOTIONS))),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        color="0.4",
        fontsize=SMALL,
    )
    ax.set(xlabel="epoch", ylabel="cross-entropy")
    fig.legend(
        *ax.get_legend_handles_labels(),
        loc="outside upper center",
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        handlelength=1,
    )
    fig.data = history[["variant", "fold", "seed", "epoch", "loss"]]
    return fig


def attention(recogniser: Recogniser, waveform: torch.Tensor) -> Figure:
    """Draw the segment that a network is most decided on, and where it looks in it.

    The maps lie on the spectrogram in decibels: of what the network reads, an eye sees little.
    """
    seen = attention_maps(recogniser, waveform)
    best = int(seen.scores.argmax())
    relative = seen.magnitude / seen.magnitude.max().clamp_min(torch.finfo(torch.float32).tiny)
    decibels = 20 * relative.clamp_min(spectrogram.LOG_FLOOR).log10()
    if recogniser.experiment.front_end.magnitude == "power":
        decibels = decibels / 2
    panels = {
        "spectrogram (dB)": (decibels, "magma"),
        "bottom-up attention": (seen.bottom_up, "viridis"),
        f"top-down, {paper.EMOTIONS[best]}": (seen.top_down[best], "viridis"),
    }
    fig, axes = _subplots(1, len(panels), sharey=True, figsize=(WIDTH, 3.0))
    for (title, (values, colours)), ax in zip(panels.items(), axes, strict=True):
        if values is not decibels:
            spectrogram_image(ax, decibels, cmap="gray")
        alpha = 1 if values is decibels else 0.6
        image = spectrogram_image(ax, values, cmap=colours, alpha=alpha)
        ax.set_title(title, fontsize=SMALL)
        ax.set_xticks((0, 1, 2), [f"{seen.start + second:g}" for second in (0, 1, 2)])
        fig.colorbar(image, ax=ax, location="bottom", shrink=0.9)
    axes[0].set_ylabel("frequency (kHz)")
    scores = zip(paper.EMOTIONS, seen.scores.tolist(), strict=True)
    of_segment = ", ".join(f"{name} {score:.2f}" for name, score in scores)
    fig.suptitle(f"the segment that decides most: {of_segment}", fontsize=SMALL)
    return fig


def attention_examples(examples: pd.DataFrame, *, right: bool) -> Figure:
    """Draw an utterance of each emotion: what the network saw, and where its maps lie on that.

    Args:
        examples: of `repro.results.Results`.
        right: whether to draw utterances that were recognised, or those that were mistaken.
    """
    chosen = examples[(examples["predicted"] == examples["emotion"]) == right]
    shown = {
        emotion: group.iloc[0]
        for emotion in paper.EMOTIONS
        if len(group := chosen[chosen["emotion"] == emotion])
    }
    fig, axes = _subplots(3, len(paper.EMOTIONS), sharex=True, sharey=True, figsize=(WIDTH, 5.2))
    for emotion, column in zip(paper.EMOTIONS, axes.T, strict=True):
        if emotion not in shown:
            column[0].set_title(f"{emotion}: none", fontsize=SMALL)
            for ax in column:
                ax.axis("off")
            continue
        example = shown[emotion]
        title = emotion if right else f"{emotion},\ntaken for {example['predicted']}"
        column[0].set_title(title, fontsize=SMALL)
        # Most of an input is close to its lowest value: the root brings out what lies above it.
        lowest, highest = np.quantile(example["segment"], (0, 0.995))
        bright = np.sqrt(((example["segment"] - lowest) / max(highest - lowest, 1e-9)).clip(0, 1))
        spectrogram_image(column[0], bright)
        for ax, name in zip(column[1:], ("bottom_up", "top_down"), strict=True):
            spectrogram_image(ax, example[name], cmap="viridis")
            # White where there is sound, so that the map's own colours stay readable.
            spectrogram_image(ax, np.ones_like(bright), cmap="gray", alpha=0.7 * bright, vmin=0)
        for ax in column[:2]:
            ax.set_xlabel("")
    for ax, name in zip(axes[:, 0], ("input", "bottom-up", "top-down"), strict=True):
        ax.set_axis_on()
        ax.set_ylabel(f"{name}\n(kHz)")
    return fig


def agreement(averages: pd.DataFrame) -> Figure:
    """Draw how far each map agrees with energy and with pitch, for all utterances and for groups.

    Args:
        averages: from `repro.report.pages.attention.averages`.
    """
    fig, axes = _subplots(1, 2, sharex=True, sharey=True, figsize=(WIDTH, 3.2))
    groups = averages["group"].drop_duplicates().to_list()
    for ax, name, title in zip(
        axes, ("bottom_up", "top_down"), ("bottom-up map", "top-down map"), strict=True
    ):
        for shift, sound in ((-0.15, "energy"), (0.15, "pitch")):
            rows = averages[averages["measure"] == f"{name}_{sound}"]
            y = np.arange(len(rows)) + shift
            colour, marker = ("C0", "o") if sound == "energy" else ("C1", "s")
            ax.hlines(y, rows["low"], rows["high"], color=colour, lw=1.5)
            ax.plot(rows["value"], y, marker, color=colour, ms=5, label=f"with {sound}")
            for place, row in zip(y, rows.to_dict("records"), strict=True):
                text = _interval(sound, row["value"], row["low"], row["high"], decimals=2)
                tip(ax, row["value"], place, f"{row['group']}, {text}")
        ax.axvline(0, color="0.6", ls=":")
        ax.set(title=title, xlabel="rank correlation over time")
        ax.set_yticks(range(len(groups)), groups)
    axes[0].invert_yaxis()
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    fig.data = averages
    return fig


def forest(effects: pd.DataFrame) -> Figure:
    """Draw the effect of each change on WA and UA with its 95% interval, in the order given.

    Args:
        effects: from `repro.evidence.effects.table`.
    """
    size = (WIDTH, 1.4 + 0.28 * max(len(effects), 1))
    fig, axes = _subplots(1, 2, sharex=True, sharey=True, figsize=size)
    y = np.arange(len(effects), dtype=float)
    for ax, score in zip(axes, SCORES, strict=True):
        ax.axvline(0, color="0.6", ls=":")
        ax.hlines(
            y, effects[f"{score} effect low"], effects[f"{score} effect high"], color="C0", lw=1.5
        )
        told_apart = (effects[f"{score} p"] < SIGNIFICANT).to_numpy(bool)
        for filled, label in ((True, "differs significantly from 0"), (False, "does not")):
            chosen = told_apart == filled
            ax.plot(
                effects[f"{score} effect"][chosen],
                y[chosen],
                "o",
                ms=5,
                color="C0",
                mfc="C0" if filled else "white",
                label=label,
            )
        for place, row in zip(y, effects.to_dict("records"), strict=True):
            name = f"{score} effect"
            _tip_of(ax, row[name], place, row, name, short_name(row["variant"]))
        ax.set(title=score, xlabel="effect (points)", ylim=(len(effects) - 0.4, -0.6))
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(y, [short_name(name) for name in effects["variant"]], fontsize=SMALL)
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False
    )
    fig.data = effects
    return fig


def filters(shapes: Sequence[tuple[int, int]]) -> Figure:
    """Draw filter shapes to scale on one corner of the time-frequency plane.

    Args:
        shapes: (height, width) of each, in bins of 10 Hz and frames of 10 ms.
    """
    fig, ax = _subplots(figsize=(0.6 * WIDTH, 2.7))
    palette = sns.color_palette("colorblind", len(shapes))
    for colour, (height, width) in zip(palette, shapes, strict=True):
        size = width * 1000 * paper.SHIFT_SECONDS, height * paper.BIN_HZ
        ax.add_patch(
            Rectangle((0, 0), *size, fill=False, lw=2, ec=colour, label=f"{height}×{width}")
        )
    ax.set(xlabel="time (ms)", ylabel="frequency (Hz)", xlim=(-5, 110), ylim=(-5, 130))
    ax.legend(frameon=False)
    return fig


def network(settings: Network) -> Figure:
    """Draw a network from its settings: the higher a map, the more rows it has."""
    parts = _parts(settings)
    fig, ax = _subplots(figsize=(WIDTH, 3.2))
    highest = max(rows for _, _, (_, rows, _), _ in parts)
    for column, (name, filters, (channels, rows, frames), weights) in enumerate(parts):
        height = 0.15 + 0.85 * rows / highest
        box = Rectangle((column - 0.3, -height / 2), 0.6, height, fc="C0", alpha=0.25, ec="C0")
        box.set_gid(f"tip: {name}: {channels} maps of {rows}×{frames}, {weights:,} parameters")
        ax.add_patch(box)
        ax.text(column, 0.85, name, ha="center", va="bottom", fontsize=SMALL, weight="bold")
        ax.text(column, 0.83, filters, ha="center", va="top", fontsize=SMALL)
        size = f"{channels}×\n{rows}×{frames}" if rows > 1 else str(channels)
        ax.text(column, -0.55, size, ha="center", va="top", fontsize=SMALL)
        if column:
            arrow = {"arrowstyle": "->", "color": "0.3"}
            ax.annotate("", (column - 0.33, 0), (column - 0.67, 0), arrowprops=arrow)
    ax.set(xlim=(-0.5, len(parts) - 0.5), ylim=(-0.85, 1))
    ax.axis("off")
    names = ["layer", "filters", "maps", "rows", "frames", "parameters"]
    rows_of = [(name, filters, *size, weights) for name, filters, size, weights in parts]
    fig.data = pd.DataFrame(rows_of, columns=names).replace("\n", " ", regex=True)
    return fig


def _parts(settings: Network) -> list[tuple[str, str, tuple[int, int, int], int]]:
    """List a network's layers: name, filters, size of the map that comes out, parameters."""
    with torch.device("meta"):  # sizes without any arithmetic
        built = build_network(settings).eval()
        x = torch.empty(1, 1, paper.BINS, paper.FRAMES)
        sizes: dict[str, tuple[int, ...]] = {"stems": tuple(built.stems(x).shape[1:])}
        for number, norm in enumerate(built.trunk.norms, 2):
            norm.register_forward_hook(
                lambda _, __, out, number=number: sizes.update({f"{number}": tuple(out.shape[1:])})
            )
        last = tuple(built.features(x).shape[1:])
    shapes = "\n".join(f"{h}×{w}" for h, w in settings.stems)
    parts: list[tuple[str, str, Any, int]] = [
        ("input", "spectrogram", (1, paper.BINS, paper.FRAMES), 0),
        ("Conv1", shapes, sizes["stems"], _count(built.stems)),
    ]
    kernel = f"{paper.TRUNK_KERNEL}×{paper.TRUNK_KERNEL}"
    for number, pair in enumerate(zip(built.trunk.convs, built.trunk.norms, strict=True), 2):
        pooled = f"\nmax {paper.POOL_WINDOW}×{paper.POOL_WINDOW}" * built.trunk.pooled[number - 2]
        channels, rows, frames = sizes[f"{number}"]
        if pooled:
            rows, frames = rows // paper.POOL_WINDOW, frames // paper.POOL_WINDOW
        parts.append((f"Conv{number}", kernel + pooled, (channels, rows, frames), _count(*pair)))
    assert parts[-1][2] == last
    pooling = {"gap": "average\npooling"}.get(settings.pooling, f"{settings.pooling}\npooling")
    scores = (len(paper.EMOTIONS), 1, 1)
    return [*parts, ("scores", pooling, scores, _count(built.pooling))]


def _count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def power(found: pd.DataFrame, marked: float, mark: str) -> Figure:
    """Draw how often a gain is found against its size, a line for each experiment.

    Args:
        found: from `repro.evidence.simulation.power`.
        marked: a gain to mark, in points.
        mark: what it is.
    """
    fig, ax = _subplots(figsize=(WIDTH, 2.8))
    for number, (name, rows) in enumerate(found.groupby("experiment", sort=False)):
        ax.plot(rows["gain"], rows["found"], color=f"C{number}", marker="os^D"[number], label=name)
        for row in rows.itertuples():
            tip(ax, row.gain, row.found, f"{name}: {row.gain:g} points found in {row.found:.0f}%")
    ax.axvline(marked, color="0.4", ls=":")
    ax.annotate(mark, (marked, 92), (4, 0), textcoords="offset points", fontsize=SMALL, color="0.3")
    ax.set(xlabel="true gain (points of WA)", ylabel="found (%)", ylim=(-4, 104))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    fig.data = found
    return fig
