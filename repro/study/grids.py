"""What each study compares: variants, that is, experiments under names.

`filter-shapes`
    one stem of one shape, GAP (Section 3.2, Fig. 2)
`pooling`
    the full network under its three poolings (Section 3.3, Table 1)
`readings`
    one change at a time of what the paper leaves open, then the best together
`protocol`
    one change at a time of how speakers, epochs and utterances are chosen (Section 3.1)
`recovery`
    the sweep of Fig. 2 over signals in which the right answer is planted (Section 3.2)
`baselines`
    no network: the commonest emotion, and a plain classifier of prosody and spectrum

Changes are made to the attention network, but that of the bilinear norm to the bilinear one. A
variant is called by what it changes, as on the command line: `front_end.scale=segment-max`.

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

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from repro import config, paper
from repro.config import READINGS, Experiment, FrontEnd, Network, Reading, Shape, scaled_milestones
from repro.corpora import planted
from repro.corpora.planted import Scale
from repro.errors import ReproError
from repro.model import POOLINGS, check_network
from repro.study import baselines

INELIGIBLE = ("protocol.", "front_end.short=drop", "front_end.tail", "training.class_weights")


class Change(NamedTuple):
    """One value of one field that the paper leaves open."""

    reading: Reading
    value: Any
    meaning: str

    @property
    def eligible(self) -> bool:
        """Return whether it may be chosen by its training loss."""
        return not f"{self.reading.field}={self.value}".startswith(INELIGIBLE)


@dataclass(frozen=True)
class Variant:
    """One of the systems that a study compares.

    Args:
        name: within its study.
        experiment: everything that decides its results but corpus, held-out speaker and seed.
        corpus: its own, where the study makes one; by default that of the run.
        against: the variant of which it changes one thing, if it does.
        change: what it changes, if that is a reading.
        attends: whether the attention maps of its network are measured on the test utterances as
            well.
        system: one of `baselines.SYSTEMS`, where it is no network.
    """

    name: str
    experiment: Experiment
    corpus: str | None = None
    against: str | None = None
    change: Change | None = None
    attends: bool = False
    system: str | None = None


class Study(NamedTuple):
    """A study.

    Args:
        grid: from a preset's name and experiment to the variants, the default first.
        second: from them, and the training loss of each, to those that it decides on by the losses.
        own_corpora: its variants bring their corpora.
        networks: it trains any.
    """

    grid: Callable[[str, Experiment], list[Variant]]
    second: Callable[[Sequence[Variant], Mapping[str, float]], list[Variant]] | None = None
    own_corpora: bool = False
    networks: bool = True


def variants(study: str, setting: str) -> dict[str, Variant]:
    """Return what a study compares, by name.

    Args:
        study: its name.
        setting: a preset with what is changed of it, see `config.preset`.

    Raises:
        ReproError: there is no such study or preset, or an override does not fit.
    """
    if study not in STUDIES:
        raise ReproError(f"no study {study!r}: choose one of {', '.join(STUDIES)}")
    preset, overrides = config.parted(setting)
    base = config.preset(setting)
    check_network(base.network)
    grid = STUDIES[study].grid(preset, base)
    if STUDIES[study].own_corpora:  # which sets training and folds itself; stems it compares
        for change in (each for each in overrides if not each.startswith("network.stems")):
            grid = [replace(v, experiment=v.experiment.override(change)) for v in grid]
    for variant in grid:
        if not variant.system:
            check_network(variant.experiment.network)
    return {variant.name: variant for variant in grid}


def ignored(study: str, setting: str, asked: Iterable[Variant]) -> list[str]:
    """Return the changes of a preset that make no difference to a study, as it sets them itself.

    What all variants have that are `asked` for is not ignored.
    """
    preset, overrides = config.parted(setting)
    last = {change.partition("=")[0].strip(): change for change in overrides}
    grid, asked = variants(study, setting), list(asked)
    found = []
    for field, change in last.items():
        without = ", ".join([preset, *(each for name, each in last.items() if name != field)])
        as_before = config.preset(without) == config.preset(setting)
        kept = [v.experiment.override(change) == v.experiment for v in asked]
        with suppress(ReproError):  # what cannot be left out is not ignored
            if not (any if as_before else all)(kept) and variants(study, without) == grid:
                found.append(change)
    return found


@cache
def known(study: str) -> Mapping[str, Variant]:
    """Return the variants that a study has under any preset, as `paper` has them if it does."""
    return {name: v for preset in config.PRESETS for name, v in variants(study, preset).items()}


def short_name(variant: str) -> str:
    """Return a variant's name as pages show it: without the section of its field, 10x2 as 10×2."""
    return re.sub(r"(?<=\d)x(?=\d)", "×", re.sub(r"^[a-z_]+\.", "", variant))


# Fig. 2 ------------------------------------------------------------------------------------------

# Heights at the fixed width and widths at the fixed height.
SWEEPS = {
    "smoke": ((2, 10), (2, 8)),
    "demo": ((2, 10, 40), (2, 8, 30)),
    "coarse": ((2, 10, 40, 100), (2, 8, 30, 80)),
    "quick": ((2, 10, 40, 100), (2, 8, 30, 80)),
    "paper": (paper.SWEEP_HEIGHTS, paper.SWEEP_WIDTHS),
}


def filter_shapes(preset: str, base: Experiment) -> list[Variant]:
    """Return the sweep of Fig. 2: heights at width 2, then widths at height 2.

    Where a preset lets Conv1 skip positions, it skips no more than the smallest filter covers: if
    it did, a larger filter would be better for seeing rows or frames that a smaller one never sees.
    Under `demo` one layer needs more and larger steps than the whole network to learn something.
    """
    heights, widths = SWEEPS[preset]
    down, along = base.network.stride
    if preset not in config.SHOWCASES:
        down, along = min(down, paper.SWEEP_FIXED), min(along, paper.SWEEP_FIXED)
    if base.training == config.preset("demo").training:
        more = scaled_milestones(12)
        training = replace(base.training, epochs=12, learning_rate=0.2, milestones=more)
        base = replace(base, training=training)
    shapes = [(h, paper.SWEEP_FIXED) for h in heights]
    shapes += [(paper.SWEEP_FIXED, w) for w in widths]
    return [
        Variant("{}x{}".format(*shape), one_layer(base, shape, (down, along)))
        for shape in dict.fromkeys(shapes)
    ]


def one_layer(base: Experiment, shape: Shape, stride: Shape) -> Experiment:
    """Return an experiment with the network of Section 3.2: one stem of 16 channels, GAP."""
    wide = paper.SWEEP_CHANNELS
    network = replace(
        base.network, pooling="gap", stems=(shape,), stem_channels=wide, trunk=(), stride=stride
    )
    return replace(base, network=network)


# Fig. 2 over planted signals ---------------------------------------------------------------------


class Extent(NamedTuple):
    """How much of the study `recovery` a preset runs."""

    scales: tuple[Scale, ...]
    heights: tuple[int, ...]
    widths: tuple[int, ...]
    folds: int | None
    epochs: int
    skip: int  # step of Conv1 along the axis that is not swept


RECOVERY_BATCH = 16
FEW = planted.BY_TEXT["80 ms"], planted.BY_TEXT["100 Hz"]
HEIGHTS = tuple(h for h in paper.SWEEP_HEIGHTS if h <= 40)
WIDTHS = tuple(w for w in paper.SWEEP_WIDTHS if w <= 30)
MEASURE = Extent(planted.SCALES, HEIGHTS, WIDTHS, 5, paper.EPOCHS, 25)
EXTENTS = {
    "smoke": Extent(FEW, (2, 20), (2, 16), 2, 10, 25),
    "demo": Extent(FEW, (2, 10, 20), (2, 8, 16), 2, 25, 25),
    "coarse": MEASURE,
    "quick": MEASURE,
    "paper": Extent(planted.SCALES, paper.SWEEP_HEIGHTS, paper.SWEEP_WIDTHS, None, paper.EPOCHS, 1),
}


def recovery(preset: str, base: Experiment) -> list[Variant]:
    """Return the sweep of widths for each planted time, and of heights for each frequency.

    The network is that of Section 3.2. The preset `paper` trains it with the paper's rates and
    number of epochs, in batches of 16 instead of 64, because a planted corpus is small and the
    paper's batches would end training after a fifth of the steps. To save time the presets below
    `paper` let Conv1 step over positions along the axis that is not swept (every pattern is
    repeated along it); along the axis that is swept it always steps by one.
    """
    extent = EXTENTS[preset]
    training = replace(
        base.training,
        epochs=extent.epochs,
        batch_size=RECOVERY_BATCH,
        milestones=scaled_milestones(extent.epochs),
        max_segments=None,
    )
    base = replace(base, training=training, protocol=replace(base.protocol, max_folds=extent.folds))
    found = []
    for scale in extent.scales:
        in_time = scale.unit == "ms"
        stride = (extent.skip, 1) if in_time else (1, extent.skip)
        for size in extent.widths if in_time else extent.heights:
            shape = (paper.SWEEP_FIXED, size) if in_time else (size, paper.SWEEP_FIXED)
            experiment = one_layer(base, shape, stride)
            name = "{}, {}x{}".format(scale.text, *shape)
            found.append(Variant(name, experiment, scale.corpus))
    return found


# Table 1, and one change at a time ---------------------------------------------------------------

DEFAULT = "default"
BEST = "best readings"
# The variants of `readings` that make up Table 1, by the names that the table has for them.
TO_THE_LETTER = {"gap": "gap", "bilinear": "bilinear", DEFAULT: "attention"}
AT_ITS_BEST = {f"{BEST}, {pooling}": pooling for pooling in paper.TABLE_1}
TRAINED_AS_DEFAULT = "protocol.score=logits"  # changes only how the same network is tested

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


def poolings(preset: str, base: Experiment) -> list[Variant]:
    """Return the same network under each pooling."""
    return [_seen(name, base.with_field("network.pooling", name)) for name in POOLINGS]


def _seen(name: str, experiment: Experiment) -> Variant:
    """Return a variant of which it is measured where its network looks, if that can be."""
    # Scores of the best epoch are not those of the network that is left in the end, a map without a
    # softmax is no share of attention, and sound is laid beside frames that are centred, of maps
    # that begin where the segment does.
    of, last = experiment.network, experiment.protocol.epoch == "last"
    aligned = experiment.front_end.frames == "centred" and of.padding != "none"
    attends = of.pooling == "attention" and of.attention_softmax and last and aligned
    return Variant(name, experiment, attends=attends)


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


def readings(preset: str, base: Experiment) -> list[Variant]:
    """Return the three poolings by the default readings, then one change at a time.

    Presets of `config.SHOWCASES` make a few of the changes only.
    """
    letter = {name: base.with_field("network.pooling", p) for name, p in TO_THE_LETTER.items()}
    grid = [_seen(name, letter[name]) for name in (DEFAULT, "gap", "bilinear")]
    for name, change in changes(letter[DEFAULT]).items():
        if preset not in config.SHOWCASES or name in FEW_READINGS:
            field = change.reading.field
            against = "bilinear" if field == "network.bilinear_norm" else DEFAULT
            experiment = letter[against].with_field(field, change.value)
            grid.append(Variant(name, experiment, against=against, change=change))
    return grid


def best_readings(grid: Sequence[Variant], losses: Mapping[str, float]) -> list[Variant]:
    """Return each pooling under the readings that train best, put together.

    The losses are those of the last epoch, averaged over folds, by variant; a variant without one
    is not chosen, and without that of the default nothing is.
    """
    if DEFAULT not in losses:
        return []
    best = next(v.experiment for v in grid if v.name == DEFAULT)
    for change in chosen(grid, losses):
        best = best.with_field(change.reading.field, change.value)
    return [
        Variant(name, best.with_field("network.pooling", pooling))
        for name, pooling in AT_ITS_BEST.items()
    ]


def chosen(grid: Sequence[Variant], losses: Mapping[str, float]) -> list[Change]:
    """Return the change of each field with the lowest training loss, if below the default's."""
    lowest: dict[str, tuple[float, Change]] = {}
    for variant in grid:
        change, against = variant.change, variant.against
        if change and against and change.eligible and {variant.name, against} <= losses.keys():
            field = change.reading.field
            to_beat = lowest[field][0] if field in lowest else losses[against]
            if losses[variant.name] < to_beat:
                lowest[field] = losses[variant.name], change
    return [change for _, change in lowest.values()]


def protocol(preset: str, base: Experiment) -> list[Variant]:
    """Return the default and each trap that is not the default already.

    A trap is a way with speakers, epochs or utterances that may make numbers better without a
    better network: one of `TRAPS`. Presets of `config.SHOWCASES` set a few of them only.
    """
    traps = FEW_TRAPS if preset in config.SHOWCASES else TRAPS
    changed = [Variant(name, base.override(name), against=DEFAULT) for name in traps]
    return [_seen(DEFAULT, base), *(each for each in changed if each.experiment != base)]


def without_networks(preset: str, base: Experiment) -> list[Variant]:
    """Return the baselines: of a preset, only what decides the folds has a bearing on them."""
    experiment = Experiment(
        front_end=FrontEnd(short=base.front_end.short),
        network=Network(stems=(), trunk=()),
        # They give no logits, and have no epochs.
        protocol=replace(base.protocol, score="softmax", epoch="last"),
    )
    return [Variant(name, experiment, system=name) for name in baselines.SYSTEMS]


STUDIES = {
    "filter-shapes": Study(filter_shapes),
    "pooling": Study(poolings),
    "readings": Study(readings, second=best_readings),
    "protocol": Study(protocol),
    "recovery": Study(recovery, own_corpora=True),
    "baselines": Study(without_networks, networks=False),
}
