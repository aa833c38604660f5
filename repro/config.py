"""What an experiment is: frozen settings, the presets, and a key made from the content.

The defaults are the paper's protocol. Where the paper can be read in more than one
way the reading is a field here, and `READINGS` lists it with the words that leave it open.
"""

import ast
import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from operator import attrgetter
from typing import Any, Literal, get_args, get_origin, get_type_hints

from repro import paper
from repro.errors import ReproError

LARGEST = 10**9  # of any count
MOST = 3e38  # of any other number: float32 holds little more
# Fields that are younger than results that have been published, and what these were made with.
ADDED: dict[str, dict[str, Any]] = {"network": {"attention_softmax": True}}
# What training makes of values of `short`.
SHORT_IN_TRAINING: dict[Any, Any] = {"drop-test": "pad", "drop": "drop-training"}
Shape = tuple[int, int]
Score = Literal["softmax", "logits"]
Scale = Literal["segment", "segment-max", "segment-log", "training-set", "training-set-max"]


@dataclass(frozen=True)
class FrontEnd:
    """From waveform to network input (Section 2.1).

    What each value of a field means, here and in the classes below, stands in `READINGS`, unless it
    is said here.

    Args:
        short: what becomes of utterances under 2 s; beside what `READINGS` lists, `drop-test`
            leaves them out of the test alone.
    """

    window: Literal["symmetric", "periodic"] = "symmetric"
    magnitude: Literal["magnitude", "power"] = "magnitude"
    scale: Scale = "segment"
    frames: Literal["centred", "whole"] = "centred"
    bins: Literal["0-399", "1-400"] = "0-399"
    short: Literal["pad", "repeat", "drop-training", "drop-test", "drop"] = "pad"
    tail: Literal["drop", "pad"] = "drop"

    @property
    def one_scale(self) -> bool:
        """Whether one scale serves the whole training set, so that its limits must be known."""
        return self.scale.startswith("training-set")


@dataclass(frozen=True)
class Network:
    """The CNN (Sections 2.2 to 2.4, Fig. 1). An empty trunk gives the network of Section 3.2.

    Args:
        pooling: one of `model.POOLINGS`: global average (`gap`), `bilinear` or `attention`.
        stems: filter shapes of Conv1, each (height, width) in 10 Hz bins and 10 ms frames.
        stem_channels: filters of each of these shapes.
        trunk: channels of Conv2, Conv3 and so on.
        pools: numbers of the layers of the trunk that 2×2 max-pooling follows; 2 is Conv2.
        stride: step of Conv1 over (frequency, time). The paper's is (1, 1); `smoke`, `demo` and
            `coarse` skip most positions, so that a laptop finishes in minutes or hours.
    """

    pooling: str = "attention"
    stems: tuple[Shape, ...] = paper.STEM_SHAPES
    stem_channels: int = paper.STEM_CHANNELS
    trunk: tuple[int, ...] = paper.TRUNK_CHANNELS
    padding: Literal["same", "symmetric", "silence", "none"] = "same"
    pools: tuple[int, ...] = (2, 3)
    attention_average: Literal["sum", "mean"] = "sum"
    bilinear_norm: Literal["l2-sqrt", "sqrt-l2"] = "l2-sqrt"
    attention_bn: bool = False
    stride: Shape = (1, 1)
    attention_softmax: bool = True

    @property
    def channels(self) -> tuple[int, ...]:
        """How many maps each layer gives, of Conv1 those of all stems."""
        return (self.stem_channels * len(self.stems), *self.trunk)


@dataclass(frozen=True)
class Training:
    """Optimisation of one network (Section 3.1). Epochs count from 1.

    Args:
        batch_size: segments in one step.
        learning_rate: of the first epoch.
        milestones: epochs, counted from 1, at whose start the rate is divided by ten.
        momentum: Nesterov's; 0 for none.
        max_segments: train on at most so many segments a fold, drawn at random; None for all.
    """

    epochs: int = paper.EPOCHS
    batch_size: int = paper.BATCH_SIZE
    learning_rate: float = paper.LEARNING_RATE
    milestones: tuple[int, ...] = paper.MILESTONES
    momentum: float = paper.MOMENTUM
    weight_decay: float = paper.WEIGHT_DECAY
    class_weights: Literal["none", "inverse-frequency"] = "none"
    max_segments: int | None = None


@dataclass(frozen=True)
class Protocol:
    """Who is held out, and how segments and folds become WA and UA (Section 3.1).

    Args:
        folds: beside what `READINGS` lists, `speaker-groups` holds out as many groups of whole
            speakers as the paper has folds, each with about as many women as any other: for a
            corpus of more speakers than that.
        max_folds: run at most so many folds, evenly spaced over their names; None for all.
    """

    labels: Literal["hap", "hap+exc"] = "hap"
    score: Score = "softmax"
    average: Literal["pooled", "folds"] = "pooled"
    epoch: Literal["last", "best-on-test"] = "last"
    folds: Literal["speaker", "speaker-groups", "letter", "session", "random"] = "speaker"
    max_folds: int | None = None


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a result but the corpus, the held-out speaker and the seed."""

    front_end: FrontEnd = FrontEnd()
    network: Network = Network()
    training: Training = Training()
    protocol: Protocol = Protocol()

    @property
    def key(self) -> str:
        """Hash of the content; equal experiments share it, any changed field changes it.

        A field that came later (`ADDED`) enters it only where it is not at its default, so that
        results keep their keys.
        """
        content = asdict(self)
        for section, later in ADDED.items():
            for name, default in later.items():
                if content[section][name] == default:
                    del content[section][name]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def trained(self) -> "Experiment":
        """The same experiment, but for what only changes how its scores are counted.

        Two experiments that are equal in this train the same networks.
        """
        protocol, short = replace(self.protocol, average="pooled"), self.front_end.short
        if protocol.epoch == "last":  # else the test decides which epoch counts
            protocol = replace(protocol, score="softmax")
            short = SHORT_IN_TRAINING.get(short, short)
        return replace(self, front_end=replace(self.front_end, short=short), protocol=protocol)

    def override(self, assignment: str) -> "Experiment":
        """Return a copy with one field changed by text such as `training.epochs=3`.

        Raises:
            ReproError: there is no such field, or the value does not fit it.
        """
        name, equals, text = assignment.partition("=")
        if not equals or name.strip() not in FIELDS:
            near = [field for field in FIELDS if name.strip() == field.partition(".")[2]]
            near = near or get_close_matches(name.strip(), FIELDS)
            which = " or ".join(near) or f"one of {', '.join(FIELDS)}"
            raise ReproError(f"--set {assignment}: no such field; give FIELD=VALUE with {which}")
        try:
            return self.with_field(name.strip(), _parse(text.strip()))
        except ValueError as fault:
            raise ReproError(f"--set {assignment}: {fault}") from fault

    def with_field(self, name: str, value: Any) -> "Experiment":
        """Return a copy with one of `FIELDS` changed; that it is one is not checked here.

        Raises:
            ValueError: the value does not fit the field.
        """
        section, leaf = name.split(".")
        part = getattr(self, section)
        hint = get_type_hints(type(part))[leaf]
        if name == "network.stems" and not value:  # which stands for no network at all
            raise ValueError(f"{name} takes {_describe(hint)}")
        value = _checked(name, value, hint)
        return replace(self, **{section: replace(part, **{leaf: value})})


FIELDS = tuple(
    f"{part.name}.{leaf.name}"
    for part in fields(Experiment)
    for leaf in fields(get_type_hints(Experiment)[part.name])
)


def from_dict(data: Any) -> Experiment:
    """Return the experiment that `dataclasses.asdict` took apart, as files store it.

    Raises:
        ValueError: a field is missing or unknown, or a value does not fit.
    """
    sections = get_type_hints(Experiment)
    if not isinstance(data, dict) or data.keys() != sections.keys():
        raise ValueError(f"not the parts of an experiment: {', '.join(sections)}")
    parts = {}
    for name, part in sections.items():
        values, hints = data[name], get_type_hints(part)
        values = ADDED.get(name, {}) | values if isinstance(values, dict) else {}
        if values.keys() != hints.keys():
            raise ValueError(f"not the fields of an experiment: {name}")
        fields_of = ((leaf, _tuples(values[leaf]), hint) for leaf, hint in hints.items())
        parts[name] = part(**{leaf: _checked(f"{name}.{leaf}", v, h) for leaf, v, h in fields_of})
    return Experiment(**parts)


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Return a field's value as its type has it; ValueError if it does not fit."""
    if not _fits(value, hint):
        raise ValueError(f"{name} takes {_describe(hint)}")
    return float(value) if hint is float else value  # 1 and 1.0 share a key


def _tuples(value: Any) -> Any:
    """Turn the lists that JSON gives back into the tuples that frozen settings hold."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _parse(text: str) -> Any:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return _tuples(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _fits(value: Any, hint: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in args
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        inner = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        return len(inner) == len(value) and all(map(_fits, value, inner))
    if args:  # int | None
        return any(_fits(value, a) for a in args)
    if hint is float:
        return type(value) in (int, float) and 0 <= value <= MOST
    return type(value) is hint and (hint is not int or 0 < value <= LARGEST)


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(str(a) for a in get_args(hint))
    names = {int: "a whole number above 0", float: f"a number from 0 to {MOST:g}", str: "a name"}
    names[bool] = "true or false"
    if get_origin(hint) is tuple:
        inner, *others = get_args(hint)
        if get_origin(inner) is tuple:
            return "pairs of whole numbers, such as ((10,2),(2,8))"
        if ... in others:
            return "whole numbers above 0, such as (21,31)"
        return "two whole numbers above 0, such as 4,4"
    return names.get(hint, "a whole number above 0, or None")


# Presets -----------------------------------------------------------------------------------------


def scaled_milestones(epochs: int) -> tuple[int, ...]:
    """Return the epochs of the rate cuts when the paper's 50 epochs shrink in proportion."""
    return tuple(round((m - 1) * epochs / paper.EPOCHS) + 1 for m in paper.MILESTONES)


def preset(setting: str) -> Experiment:
    """Return the experiment called `paper`, `quick`, `coarse`, `demo` or `smoke`.

    `paper` is the paper's protocol, `quick` the same with 12 epochs, and `coarse`
    the same with a Conv1 that steps over four rows and four frames: a sixteenth of the work,
    and another network. `demo` and `smoke` show and test the machinery: fewer folds and segments,
    and a Conv1 that takes larger steps. Their numbers say nothing about the paper.

    Args:
        setting: the name, and behind it what is changed, as in `coarse, network.stride=1,1`.

    Raises:
        ReproError: there is no preset of that name, or a change does not fit.
    """
    name, overrides = parted(setting)
    if name not in PRESETS:
        raise ReproError(f"no preset {name!r}: choose one of {', '.join(PRESETS)}")
    experiment = PRESETS[name]
    for each in overrides:
        experiment = experiment.override(each)
    return experiment


def parted(setting: str) -> tuple[str, list[str]]:
    """Return the name of a preset, and the `FIELD=VALUE` texts behind it."""
    name, comma, changes = setting.partition(",")
    return name, re.split(r", *(?=[^,]*=)", changes.strip()) if comma else []


def spelled(setting: str) -> str:
    """Return a preset with its changes as `assignment` writes them, in the order of `FIELDS`.

    So one setting has one name, however it was typed. What is no setting stays as it is.
    """
    name, overrides = parted(setting)
    try:
        experiment = preset(setting)
    except ReproError:
        return setting
    changed = {each.partition("=")[0].strip() for each in overrides}
    values = {name: attrgetter(name)(experiment) for name in FIELDS if name in changed}
    return ", ".join([name, *(assignment(*each) for each in values.items())])


def shortest(setting: str) -> str:
    """Return what pages call a setting: the preset that it differs from least, and the changes.

    So `coarse, network.stride=1,1` is called `paper`, which has the same settings. A study may
    still run fewer variants under the name that was typed. What is no setting stays as it is.
    """
    try:
        experiment = preset(setting)
    except ReproError:
        return setting

    changed = {name: differences(experiment, of) for name, of in PRESETS.items()}
    name = min((parted(setting)[0], *PRESETS), key=lambda of: len(changed[of]))
    fields = ((field.partition(".")[2], value) for field, (value, _) in changed[name].items())
    return ", ".join([name, *(assignment(*each) for each in fields)])


def differences(one: Experiment, other: Experiment) -> dict[str, tuple[Any, Any]]:
    """Return the `FIELDS` in which two experiments differ, with the values of both."""
    values = {name: (attrgetter(name)(one), attrgetter(name)(other)) for name in FIELDS}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def assignment(field: str, value: Any) -> str:
    """Return a field and its value as `--set` takes them."""
    if isinstance(value, tuple) and len(value) > 1:
        value = ",".join(str(part) for part in value)
    return f"{field}={str(value).lower() if isinstance(value, bool) else value}"


SHOWCASES = ("smoke", "demo")  # presets whose results are no evidence
PRESETS = {
    "smoke": Experiment(
        network=Network(stride=(8, 8)),
        training=Training(epochs=2, batch_size=16, milestones=(), max_segments=48),
        protocol=Protocol(max_folds=2),
    ),
    "demo": Experiment(
        network=Network(stride=(8, 8)),
        training=Training(
            epochs=6, batch_size=8, milestones=scaled_milestones(6), max_segments=240
        ),
        protocol=Protocol(max_folds=3),
    ),
    "coarse": Experiment(network=Network(stride=(4, 4))),
    "quick": Experiment(training=Training(epochs=12, milestones=scaled_milestones(12))),
    "paper": Experiment(),
}


# Readings ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """A place where the paper can be read in more than one way."""

    field: str
    section: str
    says: str
    default: str
    alternatives: tuple[tuple[Any, str], ...]  # (value of the field, what it means)


# With a line for each argument the table could not be seen whole.
# fmt: off
READINGS = (
    Reading("front_end.window", "2.1", "“Hamming window”", "symmetric, both ends equal",
            (("periodic", "a periodic window, its last point left out"),)),
    Reading("front_end.magnitude", "2.1", "“a spectrogram”", "magnitude",
            (("power", "power instead of magnitude"),)),
    Reading("front_end.scale", "2.1", "“linearly transform it to a range of [-1, 1]”, then µ-law",
            "each segment, its minimum to −1 and its maximum to 1",
            (("segment-max", "divide by the segment's maximum, to [0, 1]"),
             ("segment-log", "logarithm first, down to 80 dB below the maximum, then to [−1, 1]"),
             ("training-set", "one scale for the whole training set"),
             ("training-set-max", "divide by the largest value of the training set, to [0, 1]"))),
    Reading("front_end.frames", "2.1", "2 s at a shift of 10 ms, “400×200”",
            "200 frames, windows centred, edges zero-padded",
            (("whole", "only the 197 windows that fit whole"),)),
    Reading("front_end.bins", "2.1", "DFT of 1600 points, 0 to 4 kHz, 400 rows", "bins 0 to 399",
            (("1-400", "bins 1 to 400"),)),
    Reading("front_end.short", "2.1", "nothing on utterances under 2 s",
            "zero-pad at the end to 2 s",
            (("repeat", "repeat short utterances to 2 s"),
             ("drop-training", "leave short utterances out of training"),
             ("drop", "leave short utterances out of training and test"))),
    Reading("front_end.tail", "2.1", "nothing on what is left over after the last whole segment",
            "left out",
            (("pad", "one more segment of what is left over, zero-padded at the end"),)),
    Reading("network.padding", "2.3", "nothing; the maps of the two stems must be equal",
            "zeros around the input of Conv1, so that its maps have the size of it",
            (("symmetric", "as many zeros at either end, as PyTorch padded then: maps of even "
              "filters are smaller by one; a public program does so"),
             ("silence", "−1 around the input of Conv1, under every scale: silence where the "
              "quietest value is −1"),
             ("none", "no padding in Conv1, both cropped at their ends to the smaller map"))),
    Reading("network.pools", "2.2", "“2×2 max-pooling”",
            "after Conv2 and Conv3, as a public program has it",
            (((2, 3, 4), "max-pooling after Conv2, Conv3 and Conv4"),
             ((2, 3, 4, 5), "max-pooling after each of Conv2 to Conv5"))),
    Reading("network.attention_average", "3.3",
            "softmax on the bottom-up map, product “spatially averaged”",
            "sum over positions, as the softmax already averages; divided once more, scores "
            "would be smaller by a factor of the number of positions",
            (("mean", "an average over positions after the softmax"),)),
    Reading("network.attention_softmax", "3.3",
            "“softmax … applied to the bottom-up attention map”; Eqs. 9 and 10 have none",
            "a softmax over positions",
            ((False, "no softmax, as in the equations, but with the biases of convolutions; added "
              "up over positions, where public re-implementations average"),)),
    Reading("network.bilinear_norm", "3.3",
            "“l2-normalization and signed square-root”, “using the original implementation in "
            "[20]”",
            "in the order written",
            (("sqrt-l2", "signed square root, then l2, as the original has it"),)),
    Reading("network.attention_bn", "3.1", "batch normalisation “after each convolutional layer”",
            "not after the 1×1 attention maps, which stand for the last linear layer",
            ((True, "batch normalisation after the attention maps too"),)),
    Reading("training.milestones", "3.1", "rate cut “at the 21, 31 and 41 epochs”",
            "the 21st epoch is the first at the lower rate",
            ((tuple(m + 1 for m in paper.MILESTONES), "the rate cut one epoch later"),)),
    Reading("training.class_weights", "3.1", "nothing on class imbalance", "none",
            (("inverse-frequency", "classes weighted by inverse frequency"),)),
    Reading("protocol.labels", "3.1", "“happy”", "happy alone",
            (("hap+exc", "happy and excited merged"),)),
    Reading("protocol.score", "2.1",
            "“averaging the score for each segment”; in Section 2.4 a score is the linear output",
            "mean of the softmax, so that every segment has the same weight",
            (("logits", "mean of the logits"),)),
    Reading("protocol.average", "3.1", "WA “of all utterances”, ten folds", "pooled over the folds",
            (("folds", "mean of the accuracies of the folds"),)),
    Reading("protocol.epoch", "3.1", "“trained over 50 epochs”, without a validation set",
            "last epoch",
            (("best-on-test", "best epoch on the test speaker (optimistic)"),)),
    Reading("protocol.folds", "3.1", "one speaker left out", "by who speaks",
            (("letter", "by the motion-capture letter in the name (leaks)"),
             ("session", "five folds by session"),
             ("random", "random utterances (leaks)"))),
)
