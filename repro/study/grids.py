"""One change at a time from the default: the grids of the studies `readings` and `protocol`.

`readings` changes what the paper leaves open (every row of `config.READINGS`), `protocol` what
others do with the same data (Section 3.1). Changes are made to the attention network, but that of
the bilinear norm to the bilinear one. A variant is called by what it changes, as on the command
line: `front_end.scale=segment-max`.

The readings are put together once more: for each field the value whose networks ended with the
lowest training loss, as a mean over all folds. No test score is looked at; but the choice is not
nested, as whoever is tested in one fold is a training speaker in the others. That loss is
comparable only between networks that learn from the same segments by the same measure. So no value
is eligible that

- changes which segments or labels are trained on (utterances dropped, tails kept, excited merged,
  other folds): a smaller or easier training set has a lower loss for that alone;
- weighs the classes, and with them the loss;
- changes only how scores are made from a trained network: it has no training loss of its own.

The loss is that of seed 0, whatever other seeds a file holds, so that more seeds do not change
what was chosen. Each field is chosen by itself: two values that help alone need not help together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, get_args

from repro import config, paper
from repro.config import READINGS, Experiment, Reading, Shape, scaled_milestones
from repro.corpora import planted
from repro.corpora.planted import Scale
from repro.errors import ReproError
from repro.model import check_network
from repro.study import baselines

DEFAULT = "default"
BEST = "best readings"
# The variants of `readings` that make up Table 1, by the names that the table has for them.
TO_THE_LETTER = {"gap": "gap", "bilinear": "bilinear", DEFAULT: "attention"}
AT_ITS_BEST = {f"{BEST}, {pooling}": pooling for pooling in paper.TABLE_1}
TRAINED_AS_DEFAULT = "protocol.score=logits"  # changes only how the same network is tested
INELIGIBLE = ("protocol.", "front_end.short=drop", "front_end.tail", "training.class_weights")

# What a paper may do that makes its numbers better without a better network, and in what words.
TRAPS = {
    "protocol.folds=random": "split the utterances at random, not by speaker",
    "protocol.folds=letter": "take the motion-capture letter in the name for the speaker",
    "protocol.folds=session": "hold out a session, with both its speakers, at a time",
    "protocol.epoch=best-on-test": "report the epoch that is best on the test speaker",
    "front_end.short=drop-test": "leave utterances under 2 s out of the test",
    "front_end.short=drop": "leave utterances under 2 s out of training and test",
    "protocol.labels=hap+exc": "count excited utterances as happy",
}
# Presets that show or test the machinery run a few rows of each study, of different kinds.
FEW_READINGS = (
    "front_end.scale=segment-log",
    "front_end.short=drop",
    "network.bilinear_norm=sqrt-l2",
    "protocol.folds=random",
)
FEW_TRAPS = ("protocol.folds=random", "protocol.epoch=best-on-test", "front_end.short=drop")


class Change(NamedTuple):
    """One value of one field that the paper leaves open."""

    reading: Reading
    value: Any
    meaning: str


def changes(base: Experiment) -> dict[str, Change]:
    """Return every alternative of every reading by the name of its variant.

    What the base has already is no change. For `training.milestones` the alternative is the base's
    own, each one epoch later; where the base has none, as in the preset `smoke`, nothing changes.
    """
    found = {}
    for reading in READINGS:
        for value, meaning in reading.alternatives:
            name = f"{reading.field}={value}"
            if reading.field == "training.milestones":
                value = tuple(m + 1 for m in base.training.milestones)
                name = "training.milestones=+1"
            if base.with_field(reading.field, value) != base:
                found[name] = Change(reading, value, meaning)
    return found


def readings(preset: str, base: Experiment) -> dict[str, Experiment]:
    """Return the three poolings by the default readings, then one change at a time.

    The changes are made to the attention network, that of the bilinear norm to the bilinear one.

    Args:
        preset: name of the preset; those of `config.SHOWCASES` make a few of the changes only.
        base: the preset's experiment.
    """
    grid = _with_default(base)
    for name, (reading, value, _) in changes(grid[DEFAULT]).items():
        if preset not in config.SHOWCASES or name in FEW_READINGS:
            grid[name] = grid[against(name)].with_field(reading.field, value)
    return grid


def protocol(preset: str, base: Experiment) -> dict[str, Experiment]:
    """Return the default and each trap that is not the default already.

    A trap is a way with speakers, epochs or utterances that may make numbers better without a
    better network: one of `TRAPS`.

    Args:
        preset: name of the preset; those of `config.SHOWCASES` set a few of the traps only.
        base: the preset's experiment.
    """
    names = FEW_TRAPS if preset in config.SHOWCASES else TRAPS
    changed = {name: base.override(name) for name in names}
    return {DEFAULT: base} | {name: e for name, e in changed.items() if e != base}


def short_name(variant: str) -> str:
    """Return a variant's name as pages show it: without the section of its field, 10x2 as 10×2."""
    return re.sub(r"(?<=\d)x(?=\d)", "×", re.sub(r"^[a-z_]+\.", "", variant))


def against(variant: str) -> str:
    """Return the variant that a change is compared with."""
    return "bilinear" if variant.startswith("network.bilinear_norm=") else DEFAULT


def best_readings(base: Experiment, losses: Mapping[str, float]) -> dict[str, Experiment]:
    """Put the readings together that train best, and return each pooling under them.

    Args:
        base: what `readings` was given.
        losses: the loss of the last epoch, averaged over folds, by variant.
    """
    best = base
    for reading, value in chosen(base, losses).items():
        best = best.with_field(reading, value)
    return {
        name: best.with_field("network.pooling", pooling) for name, pooling in AT_ITS_BEST.items()
    }


def chosen(base: Experiment, losses: Mapping[str, float]) -> dict[str, Any]:
    """Return the fields whose best value by training loss is not the default, with that value."""
    lowest: dict[str, tuple[float, Any]] = {}
    for name, (reading, value, _) in changes(_with_default(base)[DEFAULT]).items():
        if name not in losses or not eligible(name):
            continue
        to_beat, _ = lowest.get(reading.field, (losses[against(name)], None))
        if losses[name] < to_beat:
            lowest[reading.field] = losses[name], value
    return {field: value for field, (_, value) in lowest.items()}


def eligible(variant: str) -> bool:
    """Tell whether a change may be chosen by its training loss."""
    return not variant.startswith(INELIGIBLE)


def poolings(base: Experiment) -> dict[str, Experiment]:
    """Return the same network under each pooling."""
    return {name: base.with_field("network.pooling", name) for name in get_args(config.Pooling)}


def _with_default(base: Experiment) -> dict[str, Experiment]:
    """Return the same network under each pooling; attention, first, is called the default."""
    of = poolings(base)
    return {DEFAULT: of.pop("attention")} | of


# Fig. 2 and its proof

# Heights at the fixed width and widths at the fixed height.
SWEEPS = {
    "smoke": ((2, 10), (2, 8)),
    "demo": ((2, 10, 40), (2, 8, 30)),
    "coarse": ((2, 10, 40, 100), (2, 8, 30, 80)),
    "quick": ((2, 10, 40, 100), (2, 8, 30, 80)),
    "paper": (paper.SWEEP_HEIGHTS, paper.SWEEP_WIDTHS),
}


def filter_shapes(preset: str, base: Experiment) -> dict[str, Experiment]:
    """One stem of 16 channels, no trunk, GAP: heights at width 2, then widths at height 2.

    Where a preset lets Conv1 skip positions, it skips no more than the smallest filter covers: if
    it did, a larger filter would be better for seeing rows or frames that a smaller one never sees.
    """
    heights, widths = SWEEPS[preset]
    stride = base.network.stride
    if preset not in config.SHOWCASES:
        stride = min(stride[0], paper.SWEEP_FIXED), min(stride[1], paper.SWEEP_FIXED)
    shapes: list[Shape] = [(h, paper.SWEEP_FIXED) for h in heights]
    shapes += [(paper.SWEEP_FIXED, w) for w in widths]
    return {
        f"{height}x{width}": replace(
            base,
            network=replace(
                base.network,
                pooling="gap",
                stems=((height, width),),
                stem_channels=paper.SWEEP_CHANNELS,
                trunk=(),
                stride=stride,
            ),
        )
        for height, width in shapes
    }


BATCH_SIZE = 16


STEP = {"ms": round(1000 * paper.SHIFT_SECONDS), "Hz": paper.BIN_HZ}  # one step of a filter's side


VARIANT = re.compile(r"(?P<size>\d+) (?P<unit>ms|Hz), (?P<height>\d+)x(?P<width>\d+)")


class Plan(NamedTuple):
    """How much of the study a preset runs."""

    scales: tuple[Scale, ...]
    heights: tuple[int, ...]
    widths: tuple[int, ...]
    folds: int | None
    epochs: int
    skip: int  # step of Conv1 along the axis that is not swept


FEW = tuple(scale for scale in planted.SCALES if scale.text in ("80 ms", "100 Hz"))


HEIGHTS = tuple(h for h in paper.SWEEP_HEIGHTS if h <= 40)


WIDTHS = tuple(w for w in paper.SWEEP_WIDTHS if w <= 30)


MEASURE = Plan(planted.SCALES, HEIGHTS, WIDTHS, 5, paper.EPOCHS, 25)


PLANS = {
    "smoke": Plan(FEW, (2, 20), (2, 16), 2, 10, 25),
    "demo": Plan(FEW, (2, 10, 20), (2, 8, 16), 2, 25, 25),
    "coarse": MEASURE,
    "quick": MEASURE,
    "paper": Plan(planted.SCALES, paper.SWEEP_HEIGHTS, paper.SWEEP_WIDTHS, None, paper.EPOCHS, 1),
}


def recovery(preset: str, base: Experiment) -> dict[str, Experiment]:
    """Return the sweep of widths for each planted time, and of heights for each frequency."""
    plan = PLANS[preset]
    experiments = {}
    for scale in plan.scales:
        in_time = scale.unit == "ms"
        for size in plan.widths if in_time else plan.heights:
            shape = (paper.SWEEP_FIXED, size) if in_time else (size, paper.SWEEP_FIXED)
            network = replace(
                base.network,
                pooling="gap",
                stems=(shape,),
                stem_channels=paper.SWEEP_CHANNELS,
                trunk=(),
                stride=(plan.skip, 1) if in_time else (1, plan.skip),
            )
            training = replace(
                base.training,
                epochs=plan.epochs,
                batch_size=BATCH_SIZE,
                milestones=scaled_milestones(plan.epochs),
                max_segments=None,
            )
            protocol = replace(base.protocol, max_folds=plan.folds)
            experiments[f"{scale.text}, {shape[0]}x{shape[1]}"] = replace(
                base, network=network, training=training, protocol=protocol
            )
    return experiments


def corpus_of(variant: str) -> str | None:
    """Return the corpus of a variant, such as `planted-40ms`; None for those of other studies."""
    return scale_of(variant).corpus if VARIANT.fullmatch(variant) else None


def scale_of(variant: str) -> Scale:
    """Return what is planted for a variant of this study."""
    name = _parts(variant)
    return planted.BY_TEXT[f"{name['size']} {name['unit']}"]


def reach_of(variant: str) -> int:
    """Return how far the filter of a variant of this study reaches, in ms or Hz, see `sweeps`."""
    name = _parts(variant)
    return STEP[name["unit"]] * int(name["width" if name["unit"] == "ms" else "height"])


def _parts(variant: str) -> re.Match[str]:
    name = VARIANT.fullmatch(variant)
    if not name:
        raise ValueError(f"no variant of the recovery study: {variant}")
    return name


STUDIES: dict[str, Callable[[str, Experiment], dict[str, Experiment]]] = {
    "filter-shapes": filter_shapes,
    "pooling": lambda _, base: poolings(base),
    "readings": readings,
    "protocol": protocol,
    "recovery": recovery,
    "baselines": baselines.grid,
}


def variants(study: str, preset: str, overrides: Sequence[str] = ()) -> dict[str, Experiment]:
    """Return what a study compares: an experiment for each variant, by name.

    Raises:
        ReproError: there is no such study or preset, or an override does not fit.
    """
    if study not in STUDIES:
        raise ReproError(f"no study {study!r}: choose one of {', '.join(STUDIES)}")

    def changed(experiment: Experiment) -> Experiment:
        for assignment in overrides:
            experiment = experiment.override(assignment)
        return experiment

    grid = STUDIES[study](preset, changed(config.preset(preset)))
    if study == "recovery":  # which sets training and folds itself
        grid = {variant: changed(experiment) for variant, experiment in grid.items()}
    if study != "baselines":
        for variant in grid.values():
            check_network(variant.network)
    return grid
