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
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from repro import config, paper
from repro.config import READINGS, Experiment, Reading

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
