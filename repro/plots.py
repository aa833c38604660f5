"""Every figure of the report, in one style. Functions draw data that they are given.

Colours are seaborn's colour-blind palette, one per emotion throughout; figures are SVG with the
same bytes for the same data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from repro import metrics, paper, spectrogram
from repro.config import FrontEnd
from repro.recogniser import Recogniser, attention_maps

WIDTH = 7.2  # inches: the column of a page
COLOURS = dict(
    zip((*paper.EMOTIONS, "WA"), [*sns.color_palette("colorblind", 4), "black"], strict=True)
)
MARKERS = dict(zip((*paper.EMOTIONS, "WA"), "osD^X", strict=True))
CHANCE = 100 / len(paper.EMOTIONS)


def use_style() -> None:
    """Set the style of all figures; a notebook calls it once."""
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette="colorblind",
        rc={
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "image.cmap": "magma",
            "svg.hashsalt": "repro",
        },
    )
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg", metadata={"Date": None})


def _subplots(
    rows: int = 1, columns: int = 1, figsize: tuple[float, float] = (WIDTH, 3.2), **options: Any
) -> tuple[Figure, Any]:
    """Make a figure that pyplot does not know, so that a notebook shows it exactly once."""
    fig = Figure(figsize=figsize, layout="constrained")
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
    bottom.legend(loc="upper right", frameon=False)
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
    fig, axes = _subplots(2, 4, sharey="row", height_ratios=(2, 1), figsize=(WIDTH, 4.2))
    for (name, x), ax, below in zip(steps.items(), axes[0], axes[1], strict=True):
        image = spectrogram_image(ax, x[0, 0])
        ax.set_title(name, fontsize=9)
        fig.colorbar(image, ax=ax, location="bottom", shrink=0.9)
        below.hist(x.flatten().numpy(), bins=60, color="0.4", log=True)
        below.set(xlabel="value")
    axes[0, 0].set_ylabel("frequency (kHz)")
    axes[1, 0].set_ylabel("entries")
    return fig


def mu_law_curve() -> Figure:
    """Draw Eq. 1."""
    x = torch.linspace(-1, 1, 401)
    fig, ax = _subplots(figsize=(WIDTH / 2, 2.8))
    ax.plot(x, spectrogram.mu_law(x), label="µ-law, µ = 255")
    ax.plot(x, x, color="0.6", ls="--", label="linear")
    ax.set(xlabel="x", ylabel="F(x)")
    ax.legend(frameon=False)
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
        for name, colour in COLOURS.items():
            ax.plot(
                sweep[varied],
                sweep[name],
                color=colour,
                marker=MARKERS[name],
                ms=5,
                lw=2.2 if name == "WA" else 1.2,
                label=name,
            )
        bounds = sweep["WA low"], sweep["WA high"]
        ax.fill_between(sweep[varied], *bounds, color="black", alpha=0.12, lw=0)
        ax.axhline(majority, color="0.6", ls=":")
        ax.set_xscale("log")
        ax.set_xticks(sweep[varied], [f"{n}\n{n * per_step}" for n in sweep[varied]])
        ax.minorticks_off()
        ax.set(
            xlabel=f"filter {varied} (top: steps, below: {unit})",
            ylabel="accuracy (%)",
            ylim=(-4, 104),
        )
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False
    )
    return fig


def table_1(summary: pd.DataFrame, majority: float) -> Figure:
    """Draw WA and UA of each pooling beside the paper's, with what guessing would reach."""
    fig, axes = _subplots(1, 2, sharey=True, figsize=(WIDTH, 2.8))
    for ax, score, guess in zip(axes, ("WA", "UA"), (majority, CHANCE), strict=True):
        x = np.arange(len(summary))
        ax.bar(x - 0.2, summary[score], 0.4, label="here, with 95% interval", color="C0")
        bounds = summary[f"{score} low"], summary[f"{score} high"]
        ax.vlines(x - 0.2, *bounds, color="black", lw=1.5)
        ax.bar(x + 0.2, summary[f"paper {score}"], 0.4, label="paper, IEMOCAP", color="0.75")
        if f"paper {score} low" in summary:
            bounds = summary[f"paper {score} low"], summary[f"paper {score} high"]
            ax.vlines(x + 0.2, *bounds, color="black", lw=1.5)
        ax.axhline(guess, color="0.4", ls=":")
        ax.set_xticks(x, summary["variant"])
        ax.set(title=score, ylim=(0, 100))
    axes[0].set_ylabel("accuracy (%)")
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
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
            annot_kws={"fontsize": 9},
        )
        ax.set(title=variant, xlabel="predicted", ylabel="")
        ax.tick_params(length=0, rotation=0)
        ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right")
    np.atleast_1d(axes)[0].set_ylabel("true")
    return fig


def histories(history: pd.DataFrame) -> Figure:
    """Draw the training loss per epoch: a thin line per fold, a thick one for their mean."""
    fig, ax = _subplots(figsize=(WIDTH, 2.8))
    variants = history.groupby("variant", sort=False)
    palette = sns.color_palette("colorblind" if len(variants) <= 6 else "viridis", len(variants))
    for colour, (variant, runs) in zip(palette, variants, strict=True):
        for _, fold in runs.groupby(["fold", "seed"]):
            ax.plot(fold["epoch"], fold["loss"], color=colour, lw=0.6, alpha=0.5)
        mean = runs.groupby("epoch")["loss"].mean()
        ax.plot(mean, color=colour, lw=2.2, label=variant)
    ax.axhline(np.log(len(paper.EMOTIONS)), color="0.6", ls=":")
    ax.annotate(
        "guessing",
        (1, np.log(len(paper.EMOTIONS))),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        color="0.4",
        fontsize=9,
    )
    ax.set(xlabel="epoch", ylabel="cross-entropy", ylim=(0, None))
    fig.legend(
        *ax.get_legend_handles_labels(),
        loc="outside right upper",
        ncols=1 + len(variants) // 12,
        frameon=False,
        fontsize=8,
        handlelength=1,
    )
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
    fig, axes = _subplots(1, len(panels), sharey=True, figsize=(WIDTH, 3))
    for (title, (values, colours)), ax in zip(panels.items(), axes, strict=True):
        if values is not decibels:
            spectrogram_image(ax, decibels, cmap="gray")
        alpha = 1 if values is decibels else 0.6
        image = spectrogram_image(ax, values, cmap=colours, alpha=alpha)
        ax.set_title(title, fontsize=10)
        ax.set_xticks((0, 1, 2), [f"{seen.start + second:g}" for second in (0, 1, 2)])
        fig.colorbar(image, ax=ax, location="bottom", shrink=0.9)
    axes[0].set_ylabel("frequency (kHz)")
    scores = zip(paper.EMOTIONS, seen.scores.tolist(), strict=True)
    of_segment = ", ".join(f"{name} {score:.2f}" for name, score in scores)
    fig.suptitle(f"the segment that decides most: {of_segment}", fontsize=10)
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
            column[0].set_title(f"{emotion}: none", fontsize=9)
            for ax in column:
                ax.axis("off")
            continue
        example = shown[emotion]
        title = emotion if right else f"{emotion},\ntaken for {example['predicted']}"
        column[0].set_title(title, fontsize=9)
        spectrogram_image(column[0], example["segment"])
        for ax, name in zip(column[1:], ("bottom_up", "top_down"), strict=True):
            spectrogram_image(ax, example["segment"], cmap="gray")
            spectrogram_image(ax, example[name], cmap="viridis", alpha=0.6)
        for ax in column[:2]:
            ax.set_xlabel("")
    for ax, name in zip(axes[:, 0], ("input", "bottom-up", "top-down"), strict=True):
        ax.set_axis_on()
        ax.set_ylabel(f"{name}\nfrequency (kHz)")
    return fig


def agreement(averages: pd.DataFrame) -> Figure:
    """Draw how far each map agrees with energy and with pitch, for all utterances and for groups.

    Args:
        averages: from `repro.pages.attention_table`.
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
        ax.axvline(0, color="0.6", ls=":")
        ax.set(title=title, xlabel="rank correlation over time")
        ax.set_yticks(range(len(groups)), groups)
    axes[0].invert_yaxis()
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    return fig


def filters(shapes: Sequence[tuple[int, int]]) -> Figure:
    """Draw filter shapes to scale on one corner of the time-frequency plane."""
    fig, ax = _subplots(figsize=(WIDTH / 2, 2.6))
    palette = sns.color_palette("colorblind", len(shapes))
    for colour, (height, width) in zip(palette, shapes, strict=True):
        size = width * 1000 * paper.SHIFT_SECONDS, height * paper.BIN_HZ
        ax.add_patch(
            Rectangle((0, 0), *size, fill=False, lw=2, ec=colour, label=f"{height}×{width}")
        )
    ax.set(xlabel="time (ms)", ylabel="frequency (Hz)", xlim=(-5, 110), ylim=(-5, 130))
    ax.legend(frameon=False)
    return fig
