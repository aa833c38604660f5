"""Every figure of the report, in one style. Functions draw data that they are given.

Colours are seaborn's colour-blind palette; figures are SVG with the same bytes for the same data.
They are narrower than the column of a page and their letters as large as its text, so that they can
still be read when a phone shrinks them to its width.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from repro import paper
from repro.evidence import claims, metrics, recovery
from repro.evidence.effects import ALPHA
from repro.study.grids import short_name

if TYPE_CHECKING:
    from repro.tools.recogniser import Attention

WIDTH = 6.0  # inches: a phone shows it at two thirds
FLOOR = 1e-4  # of the largest magnitude: what lies below is drawn alike
SMALL = 9.5  # points: the smallest letters, which are still read there
COLOURS = [*sns.color_palette("colorblind", 4), "black"]
# Of Fig. 2: name, colour, marker and its size. The markers of emotions are hollow, and those below
# larger: where they coincide each is seen.
LOOKS = [*zip((*paper.EMOTIONS, "WA"), COLOURS, "osD^X", (11, 8, 7, 5, 5), strict=True)]
# Verdicts from the best to the least: a sign and a colour for each, so that neither stands alone.
MARKS = {
    "supported": ("✔", "#1a7f37"),
    "contradicted": ("✘", "#b3261e"),
    "undecided": ("?", "#7a5c00"),
    "not testable here": ("–", "#57606a"),
}


def use_style() -> None:
    """Set the style of all figures; a notebook calls it once.

    Settings of the user's own, such as text by LaTeX, do not count.
    """
    matplotlib.rcdefaults()
    sns.set_theme(
        style="ticks",
        palette="colorblind",
        rc={
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


def tips(ax: Axes, x: Any, y: Any, texts: Iterable[str]) -> None:
    """Let the mouse find texts at points of a figure: unseen discs with titles."""
    for at, text in zip(zip(x, y, strict=True), texts, strict=True):
        if np.isfinite(at).all():
            ax.plot(*at, "o", ms=13, mew=0, alpha=0, gid=f"tip: {text}", zorder=10)


def _score_tips(ax: Axes, x: Any, y: Any, rows: pd.DataFrame, score: str, names: Any) -> None:
    """Give each point a tip with a score of its row, and the interval if there is one."""
    numbers = zip(names, metrics.format_intervals(rows, score), strict=True)
    tips(ax, x, y, [f"{name}: {score} {number}" for name, number in numbers])


def _subplots(
    rows: int = 1, columns: int = 1, figsize: tuple[float, float] = (WIDTH, 3.2), **options: Any
) -> tuple[Drawing, Any]:
    """Make a figure that pyplot does not know, so that a notebook shows it exactly once."""
    fig = Drawing(figsize=figsize, layout="constrained")
    return fig, fig.subplots(rows, columns, **options)


def _legend(fig: Figure, columns: int, side: str = "center", **options: Any) -> None:
    """Explain above a figure what its first panel shows."""
    handles, labels = fig.axes[0].get_legend_handles_labels()
    place: Any = f"outside upper {side}"
    fig.legend(handles, labels, loc=place, ncols=columns, frameon=False, **options)


def _sizes_axis(ax: Axes, sizes: Mapping[int, str], share: float = 0.06) -> None:
    """Give an axis of filter sizes a logarithmic scale, and names that do not run together."""
    named = _apart(list(sizes), share)
    ax.set_xscale("log")
    ax.set_xticks(list(sizes), [name if size in named else "" for size, name in sizes.items()])
    ax.minorticks_off()


def segments(waveform: np.ndarray, starts: dict[str, list[float]]) -> Figure:
    """Draw a waveform [samples] with the segments that are cut from it, by where they start (s)."""
    seconds = np.arange(len(waveform)) / paper.SAMPLE_RATE
    fig, (top, bottom) = _subplots(2, 1, sharex=True, height_ratios=(2, 1.6))
    top.plot(seconds, waveform, lw=0.4, color="0.25", rasterized=True)
    top.set_ylabel("amplitude")
    row = 0
    for name, of_name in starts.items():
        rows = -np.arange(row, row := row + len(of_name))
        label = f"{name} ({len(of_name)})"
        bottom.barh(rows, paper.SEGMENT_SECONDS, 0.7, of_name, label=label)
    bottom.set(yticks=[], xlabel="time (s)", ylabel="segments")
    bottom.spines["left"].set_visible(False)
    fig.legend(loc="outside upper right", ncols=2, frameon=False)
    return fig


def spectrogram_image(ax: Axes, segment: np.ndarray, **options: Any) -> AxesImage:
    """Draw one segment's matrix [bins, frames] with time and frequency axes."""
    options |= {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    extent = (0, paper.SEGMENT_SECONDS, 0, paper.HIGHEST_HZ / 1000)
    image = ax.imshow(segment, extent=extent, **options)
    ax.set(xlabel="time (s)", xticks=(0, 1, 2))
    return image


def normalisation(steps: dict[str, np.ndarray]) -> Figure:
    """Draw the steps from a spectrogram to the input [bins, frames], each with its values."""
    fig, axes = _subplots(len(steps), 2, figsize=(WIDTH, 7.6), width_ratios=(3, 2))
    for (name, x), (ax, beside) in zip(steps.items(), axes, strict=True):
        image = spectrogram_image(ax, x)
        ax.set(title=name, xlabel="", ylabel="kHz")
        fig.colorbar(image, ax=ax)
        beside.hist(np.ravel(x), bins=60, color="0.4", log=True)
        beside.set(xlabel="dB" if "decibels" in name else "value", ylabel="entries")
    axes[-1, 0].set_xlabel("time (s)")
    return fig


def mu_law_curve(curve: pd.DataFrame) -> Figure:
    """Draw Eq. 1, from its values `F(x)` at `x`."""
    fig, ax = _subplots(figsize=(WIDTH, 2.6))
    ax.plot(curve["x"], curve["F(x)"], label="µ-law, µ = 255")
    ax.plot(curve["x"], curve["x"], color="0.6", ls="--", label="linear")
    ax.set(xlabel="x", ylabel="F(x)")
    ax.legend(frameon=False)
    fig.data = curve
    return fig


def emotions(inputs: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw network inputs [bins, frames]: a row for each scale, a column for each emotion."""
    shape = len(inputs), max(map(len, inputs.values()))
    size = WIDTH, 0.6 + 2.0 * len(inputs)
    fig, axes = _subplots(*shape, sharex=True, sharey=True, squeeze=False, figsize=size)
    for (scale, by_emotion), row in zip(inputs.items(), axes, strict=True):
        for (emotion, x), ax in zip(by_emotion.items(), row, strict=True):
            image = spectrogram_image(ax, x, vmin=-1, vmax=1)
            ax.set(title=emotion, xlabel="")
        row[0].set_ylabel(f"{scale}\n(kHz)")
    fig.supxlabel("time (s)", fontsize=11)
    fig.colorbar(image, ax=axes)
    return fig


def filter_shapes(summary: pd.DataFrame, majority: float) -> Figure:
    """Draw Fig. 2: accuracy against filter height and width, with the 95% interval of WA."""
    fig, axes = _subplots(2, 1, sharey=True, figsize=(WIDTH, 5.6))
    table = summary.set_index("variant")
    units: dict[claims.Side, str] = {"height": "Hz", "width": "ms"}
    for ax, (varied, unit) in zip(axes, units.items(), strict=True):
        names = claims.sweep(table.index, varied)
        sizes, sweep = list(names), table.loc[list(names.values())]
        for name, colour, marker, size in LOOKS:
            looks = {"lw": 2.2} if name == "WA" else {"lw": 1.2, "mfc": "none", "mew": 1.5}
            ax.plot(sizes, sweep[name], marker=marker, ms=size, color=colour, label=name, **looks)
            _score_tips(ax, sizes, sweep[name], sweep, name, sweep.index)
        ax.fill_between(sizes, sweep["WA low"], sweep["WA high"], color="black", alpha=0.12, lw=0)
        ax.axhline(majority, color="0.6", ls=":")
        _sizes_axis(ax, {n: f"{n}\n{n * recovery.STEP[unit]}" for n in sizes})
        label = f"filter {varied} (top: steps, below: {unit})"
        ax.set(xlabel=label, ylabel="accuracy (%)", ylim=(-4, 104))
    _legend(fig, 5)
    fig.data = summary
    return fig


def _apart(sizes: list[int], share: float = 0.06) -> set[int]:
    """Return sizes whose names do not run into one another on a logarithmic axis."""
    named: list[int] = []
    for size in sorted(sizes, reverse=True):
        if not named or np.log(named[-1] / size) >= share * np.log(max(sizes) / min(sizes)):
            named.append(size)
    return set(named)


def poolings(rows: pd.DataFrame, here: str) -> Figure:
    """Draw `pages.poolings.here_and_in_paper`: WA and UA of each pooling with their intervals.

    Dotted lines in the colours of the two show what always naming the commonest emotion reaches in
    WA on either corpus, and what guessing reaches in UA. The legend says what was run `here`.
    """
    fig, axes = _subplots(1, 2, sharex=True, sharey=True, figsize=(WIDTH, 2.6))
    y = np.arange(len(rows))
    for ax, score in zip(axes, metrics.ACCURACIES, strict=True):
        for prefix, shift, colour, marker, label in (
            ("", -0.12, "C0", "o", f"here: {here}"),
            ("paper ", 0.12, "0.45", "D", "the paper: IEMOCAP"),
        ):
            name = f"{prefix}{score}"
            ax.plot(rows[name], y + shift, marker, color=colour, ms=6, label=label)
            guess = f"guessing, {'IEMOCAP' if prefix else 'here'}"
            ax.axvline(rows[f"{name} guess"].iloc[0], color=colour, ls=":", label=guess)
            _score_tips(ax, rows[name], y + shift, rows, name, rows["variant"])
            if f"{name} low" in rows:
                ax.hlines(y + shift, rows[f"{name} low"], rows[f"{name} high"], color=colour, lw=2)
        ax.set(title={"WA": "weighted accuracy", "UA": "unweighted accuracy"}[score])
        ax.set(xlabel="%, with 95% interval", ylim=(len(rows) - 0.5, -0.5))
    axes[0].set_yticks(y, rows["variant"])
    _legend(fig, 2)
    fig.data = rows
    return fig


def gains(rows: pd.DataFrame) -> Figure:
    """Draw `pages.board.gains`: the paper's gains as diamonds, ours with their intervals."""
    size = (WIDTH, 1.2 + 0.3 * len(rows))
    fig, axes = _subplots(1, 2, sharex=True, sharey=True, figsize=size)
    y = np.arange(len(rows))
    for ax, score in zip(axes, metrics.ACCURACIES, strict=True):
        ax.axvline(0, color="0.6", ls=":")
        ax.hlines(y, rows[f"{score} low"], rows[f"{score} high"], color="C0", lw=2)
        ax.plot(rows[score][1:], y[1:], "o", color="C0", ms=6)
        ax.plot(rows[score][:1], y[:1], "D", color="0.45", ms=6)
        _score_tips(ax, rows[score], y, rows, score, rows["run"])
        ax.set(title=score, ylim=(len(rows) - 0.5, -0.5))
    fig.supxlabel("attention − GAP (points)", fontsize=11)
    axes[0].set_yticks(y, rows["run"])
    fig.data = rows
    return fig


def by_speaker(points: pd.DataFrame) -> Figure:
    """Draw `pages.poolings.by_speaker`: a panel for each pair, a dot for each speaker."""
    pairs = points.groupby("pair", sort=False)
    speakers = points["speaker"].drop_duplicates().to_list()
    size = (WIDTH, 1.2 + 0.2 * len(speakers))
    fig, axes = _subplots(1, len(pairs), sharex=True, sharey=True, squeeze=False, figsize=size)
    for ax, (pair, rows) in zip(axes[0], pairs, strict=True):
        y = rows["speaker"].map(speakers.index)
        ax.axvline(0, color="0.6", ls=":")
        ax.hlines(y, 0, rows["points"], color="0.8", lw=1.5)
        ax.plot(rows["points"], y, "o", color="C0", ms=5)
        numbers = zip(rows["speaker"], rows["points"], strict=True)
        tips(ax, rows["points"], y, [f"{name}: {gain:+.1f} points" for name, gain in numbers])
        ax.set_title(pair, fontsize=SMALL)
        ax.set(xlabel="points of WA", ylim=(len(speakers) - 0.5, -0.5))
    axes[0, 0].set_yticks(range(len(speakers)), speakers, fontsize=SMALL)
    axes[0, 0].set_ylabel("speaker held out")
    fig.data = points
    return fig


def confusions(counts: dict[str, pd.DataFrame]) -> Figure:
    """Draw a confusion matrix per variant, from its counts: per cent of each true emotion."""
    panels = max(len(counts), len(paper.TABLE_1))  # fewer would be drawn larger
    fig, axes = _subplots(1, panels, sharey=True, figsize=(WIDTH, 2.9))
    for ax in axes[len(counts) :]:
        ax.set_visible(False)
    for ax, (variant, of_variant) in zip(axes, counts.items(), strict=False):
        shares = 100 * of_variant.div(of_variant.sum(axis=1).clip(lower=1), axis=0)
        looks: dict[str, Any] = {"cmap": "Blues", "cbar": False, "square": True, "annot": True}
        looks |= {"fmt": ".0f", "annot_kws": {"fontsize": SMALL}}
        sns.heatmap(shares, vmin=0, vmax=100, ax=ax, **looks)
        for text, share in zip(ax.texts, shares.to_numpy().ravel(), strict=True):
            text.set_color("white" if share > 70 else "black")  # either is easy to read there
        ax.set(title=variant, xlabel="predicted", ylabel="")
        ax.tick_params(length=0, rotation=0)
        ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right")
    axes[0].set_ylabel("true")
    fig.data = pd.concat(counts, names=["variant"]).reset_index()
    return fig


def sweeps(table: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """Draw `recovery.sweeps`, a panel for each planted scale, with what `recovery.recovered` found.

    The upright line is the planted scale, the cross where WA is halfway up, with its 95% interval,
    the dotted line chance.
    """
    units = list(dict.fromkeys(found["unit"]))
    shape = len(units), int(found["unit"].value_counts().max())
    fig, axes = _subplots(*shape, sharey=True, squeeze=False, figsize=(WIDTH, 2.7 * len(units)))
    fig.set_layout_engine("constrained", h_pad=0.1)
    for unit, row in zip(units, axes, strict=True):
        scales = found[found["unit"] == unit].rename(columns={"best WA": "best"})
        for ax in row[len(scales) :]:
            ax.set_visible(False)
        for scale, ax in zip(scales.itertuples(), row, strict=False):
            sweep = table[table["scale"] == scale.scale].sort_values("reach")
            reach, wa = sweep["reach"], sweep["WA"]
            ax.plot(reach, wa, color="black", marker="o", ms=4)
            ax.fill_between(
                reach, sweep["WA low"], sweep["WA high"], color="black", alpha=0.12, lw=0
            )
            _score_tips(ax, reach, wa, sweep, "WA", [f"{size} {unit}" for size in reach])
            ax.axhline(scale.chance, color="0.6", ls=":")
            ax.axvline(scale.planted, color="C1", lw=2, label="planted")
            halfway = (scale.chance + scale.best) / 2
            ax.hlines(halfway, scale.low, scale.high, color="C0", lw=2)
            sign = "<" if scale.at_most else "X"
            ax.plot(scale.recovered, halfway, sign, color="C0", ms=8, ls="", label="recovered")
            _sizes_axis(ax, {size: str(size) for size in reach}, share=0.18)
            side = "width" if unit == "ms" else "height"
            ax.set(title=f"planted: {scale.scale}", xlabel=f"filter {side} ({unit})", ylim=(0, 104))
        row[0].set_ylabel("WA (%)")
    _legend(fig, 2)
    fig.data = table
    return fig


def histories(history: pd.DataFrame, guessing: float) -> Figure:
    """Draw the training loss per epoch: a thin line per fold, a thick one for their median.

    Dotted is the loss of guessing, see `loss_of_guessing`.
    """
    poolings = {name: f"C{number}" for number, name in enumerate(paper.TABLE_1)}
    variants = history.groupby("variant", sort=False)
    columns, few = min(len(variants), 5), len(variants) <= 6
    fig, ax = _subplots(figsize=(WIDTH, 2.6 + 0.2 * np.ceil(len(variants) / columns)))
    palette = sns.color_palette("colorblind" if few else "viridis", len(variants))
    looks = zip(palette, cycle(("-", "--", "-.", ":")), variants, strict=False)
    for free, dashes, (variant, runs) in looks:
        colour = poolings.get(variant, free)  # the same in every figure
        for _, fold in runs.groupby(["fold", "seed"]):
            ax.plot(fold["epoch"], fold["loss"], color=colour, lw=0.6, alpha=0.5 if few else 0.15)
        median = runs.groupby("epoch")["loss"].median()
        ax.plot(median, dashes, color=colour, lw=2.2, label=short_name(variant))
    lowest = history.groupby(["variant", "epoch"])["loss"].median().min()
    if lowest < guessing / 10:  # on a linear scale all would end as one line
        ax.set_yscale("log")
    ax.axhline(guessing, color="0.6", ls=":")
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
    ax.annotate("guessing", (1, guessing), **place, color="0.4", fontsize=SMALL)
    ax.set(xlabel="epoch", ylabel="cross-entropy")
    _legend(fig, columns, fontsize=SMALL, handlelength=2.5)
    fig.data = history[["variant", "fold", "seed", "epoch", "loss"]]
    return fig


def attention(seen: Attention, *, power: bool = False) -> Figure:
    """Draw the segment that a network is most decided on, and where it looks in it.

    The maps lie on the spectrogram in decibels: of what the network reads, an eye sees little. With
    `power` its magnitudes are squared.
    """
    best = int(seen.scores.argmax())
    magnitude = seen.magnitude.numpy()
    relative = magnitude / max(magnitude.max(), np.finfo(np.float32).tiny)
    decibels = (10 if power else 20) * np.log10(np.maximum(relative, FLOOR))
    panels = {
        "spectrogram (dB)": (decibels, "magma"),
        "bottom-up attention": (seen.bottom_up.numpy(), "viridis"),
        f"top-down, {paper.EMOTIONS[best]}": (seen.top_down[best].numpy(), "viridis"),
    }
    fig, axes = _subplots(1, len(panels), sharey=True, figsize=(WIDTH, 3.0))
    for (title, (values, colours)), ax in zip(panels.items(), axes, strict=True):
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

    The examples are those of `repro.results.Results` that were recognised, or that were mistaken.
    """
    chosen = examples[(examples["predicted"] == examples["emotion"]) == right]
    chosen = chosen.sort_values(["seed", "utterance"])  # a cluster's folds come in any order
    shown = {emotion: group.iloc[0] for emotion, group in chosen.groupby("emotion")}
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


def by_frequency(profile: pd.DataFrame) -> Figure:
    """Draw `pages.attention.by_frequency`: attention by frequency, for all and by emotion."""
    fig, ax = _subplots(figsize=(WIDTH, 2.8))
    ax.axhline(1, color="0.6", ls=":")
    for name, colour, *_ in LOOKS[:-1]:
        ax.plot(profile["kHz"], profile[name], color=colour, lw=1.2, label=name)
    ax.plot(profile["kHz"], profile["all"], color="black", lw=2.2, label="all")
    ax.set(xlabel="frequency (kHz)", ylabel="attention", xlim=(0, paper.HIGHEST_HZ / 1000))
    ax.set_ylim(bottom=0)
    _legend(fig, 5)
    fig.data = profile
    return fig


def agreement(averages: pd.DataFrame) -> Figure:
    """Draw `pages.attention.averages`: how far each map agrees with energy and with pitch."""
    fig, axes = _subplots(1, 2, sharex=True, sharey=True, figsize=(WIDTH, 3.2))
    groups = averages["group"].drop_duplicates().to_list()
    for ax, name in zip(axes, ("bottom_up", "top_down"), strict=True):
        for measure, sound, shift, colour, marker in (
            ("energy", "energy", -0.15, "C0", "o"),
            ("pitch", "periodicity", 0.15, "C1", "s"),
        ):
            rows = averages[averages["measure"] == f"{name}_{measure}"]
            y = np.arange(len(rows)) + shift
            ax.hlines(y, rows["low"], rows["high"], color=colour, lw=1.5)
            ax.plot(rows["value"], y, marker, color=colour, ms=5, label=f"with {sound}")
            numbers = rows[["value", "low", "high"]].to_numpy()
            texts = [f", {sound} {metrics.format_interval(row, 2)}" for row in numbers]
            tips(ax, rows["value"], y, rows["group"] + texts)
        ax.axvline(0, color="0.6", ls=":")
        title = f"{name.replace('_', '-')} map"
        ax.set(title=title, xlabel="rank correlation over time")
        ax.set_yticks(range(len(groups)), groups)
    axes[0].invert_yaxis()
    _legend(fig, 2)
    fig.data = averages
    return fig


def forest(effects: pd.DataFrame) -> Figure:
    """Draw `evidence.effects.table`: each change's effect on WA and UA with its 95% interval.

    Beyond ±10 points the axis is logarithmic: what ruins training would hide the rest.
    """
    size = (WIDTH, 1.4 + 0.28 * max(len(effects), 1))
    fig, axes = _subplots(1, 2, sharex=True, sharey=True, figsize=size)
    y = np.arange(len(effects), dtype=float)
    for ax, score in zip(axes, metrics.ACCURACIES, strict=True):
        name = f"{score} effect"
        ax.axvline(0, color="0.6", ls=":")
        ax.hlines(y, effects[f"{name} low"], effects[f"{name} high"], color="C0", lw=1.5)
        significant = (effects[f"{score} p"] < ALPHA).to_numpy(bool)
        for filled, label in ((True, "differs significantly from 0"), (False, "does not")):
            shown = significant == filled
            face = "C0" if filled else "white"
            ax.plot(effects[name][shown], y[shown], "o", ms=5, color="C0", mfc=face, label=label)
        _score_tips(ax, effects[name], y, effects, name, effects["variant"].map(short_name))
        ax.set(title=score, xlabel="effect (points)", ylim=(len(effects) - 0.4, -0.6))
        ax.set_xscale("symlog", linthresh=10, linscale=0.7)
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(y, [short_name(name) for name in effects["variant"]], fontsize=SMALL)
    low, high = axes[0].get_xlim()  # which both share
    for ax in axes:
        ax.set_xticks([n for n in (-40, -10, -5, 0, 5, 10, 40) if low < n < high])
        ax.set_xticks((), minor=True)
        ax.xaxis.set_major_formatter("{x:.0f}")
    _legend(fig, 2, "right")
    fig.data = effects
    return fig


def network(layers: pd.DataFrame) -> Figure:
    """Draw a network from `pages.in_brief.layers`: the higher a map, the more rows it has."""
    fig, ax = _subplots(figsize=(WIDTH, 3.2))
    for column, layer in enumerate(layers.itertuples()):
        height = 0.15 + 0.85 * layer.rows / layers["rows"].max()
        box = Rectangle((column - 0.3, -height / 2), 0.6, height, fc="C0", alpha=0.25, ec="C0")
        maps = f"{layer.maps} maps of {layer.rows}×{layer.frames}"
        box.set_gid(f"tip: {layer.layer}: {maps}, {layer.parameters:,} parameters")
        ax.add_patch(box)
        ax.text(column, 0.85, layer.layer, ha="center", va="bottom", fontsize=SMALL, weight="bold")
        ax.text(column, 0.83, layer.filters, ha="center", va="top", fontsize=SMALL)
        size = f"{layer.maps}" + f"×\n{layer.rows}×{layer.frames}" * (layer.rows > 1)
        ax.text(column, -0.55, size, ha="center", va="top", fontsize=SMALL)
        if column:
            arrow = {"arrowstyle": "->", "color": "0.3"}
            ax.annotate("", (column - 0.33, 0), (column - 0.67, 0), arrowprops=arrow)
    ax.set(xlim=(-0.5, len(layers) - 0.5), ylim=(-0.85, 1))
    ax.axis("off")
    fig.data = layers.replace("\n", " ", regex=True)
    return fig


def power(found: pd.DataFrame, marked: float, mark: str) -> Figure:
    """Draw `simulation.power`: how often a gain is found against its size.

    Each experiment has a line. The marked gain, in points, bears the words of the mark.
    """
    fig, ax = _subplots(figsize=(WIDTH, 2.8))
    for number, (name, rows) in enumerate(found.groupby("experiment", sort=False)):
        ax.plot(rows["gain"], rows["found"], color=f"C{number}", marker="os^D"[number], label=name)
        points = zip(rows["gain"], rows["found"], strict=True)
        texts = [f"{name}: {gain:g} points found in {share:.0f}%" for gain, share in points]
        tips(ax, rows["gain"], rows["found"], texts)
    ax.axvline(marked, color="0.4", ls=":")
    ax.annotate(mark, (marked, 92), (4, 0), textcoords="offset points", fontsize=SMALL, color="0.3")
    ax.set(xlabel="true gain (points of WA)", ylabel="experiments that find it (%)", ylim=(-4, 104))
    _legend(fig, 2)
    fig.data = found
    return fig
