"""A trained network as a file: save it, load it, and recognise the emotion of any recording.

The file is safetensors: numbers and text, nothing that loading could run. Beside the weights it
holds the whole configuration, the corpus, and how well the same settings did on speakers whom they
were not trained on.

So that recognition starts fast, what it does not need is imported by the functions that do.
"""

from __future__ import annotations

import json
import math
import os
import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

import repro
from repro import files, paper, spectrogram, trainer
from repro.config import FIELDS, Experiment, Network, assignment, from_dict
from repro.device import (
    choose_device,
    choose_precision,
    enough_memory,
    keep_freed_memory,
    ready_to_train,
)
from repro.errors import ReproError
from repro.model import AttentionPooling, SpeechEmotionNetwork, build_network, check_network
from repro.study.checkpoint import Checkpoint, checksum, discard, path_of, same_form, unpacked
from repro.trainer import State

if TYPE_CHECKING:
    from pandas import DataFrame

    from repro.study.plan import Progress, Run
else:
    DataFrame = Any  # pandas loads in half a second, and recognising needs none of it

FORMAT = "repro-recogniser-2"
# Segments times channels that are computed at once: an hour of speech needs no more memory than a
# few seconds, and neither does a wide network.
BLOCK = 2048

# Bounds of a file that is not ours, so that it costs no more than a moment to find that out. The
# paper's networks have 100,000 weights, 80 channels and a header of 7,000 bytes.
MOST_BYTES = 16_000_000
MOST_HEADER_BYTES = 1_000_000
MOST_CHANNELS, MOST_LAYERS = 512, 100
# What its content raises; RuntimeError: torch's sizes that no number holds, JSON that is too deep.
FAULTS: tuple[type[Exception], ...] = (safetensors.SafetensorError, OSError, ReproError)
FAULTS += (RuntimeError, KeyError, TypeError, ValueError)

NOT_FOR = (
    "It tells apart four emotions as actors played them, in recordings of a few people. It knows "
    "nothing of what a person feels. It has not been tested on other languages, ages, rooms or "
    "microphones, and its scores are not probabilities to rely on. Do not use it to judge people: "
    "not for hiring, grading, policing, insurance, health or anything else that matters to them."
)


class Recogniser(NamedTuple):
    """A trained network with all that is needed to use and to judge it.

    Args:
        network: the network, with its weights.
        experiment: what it was trained by.
        limits: lowest and highest magnitude of the training set where one scale serves it all; None
            under any other scale.
        card: corpus (name and hash), how many speakers and utterances it was trained on, and
            whatever else the caller adds, such as what `estimate` gives.
    """

    network: SpeechEmotionNetwork
    experiment: Experiment
    limits: tuple[float, float] | None
    card: dict[str, Any]


def train(
    table: DataFrame, experiment: Experiment, device: torch.device | str = "cpu", **how: Any
) -> Recogniser:
    """Train one network on every speaker of a corpus.

    Nothing is left to test it on: how good it is has to come from the folds of the same experiment.
    The table is from `corpora.load_corpus`; `how` has `precision`, `resume` and `on_epoch` of
    `trainer.fit`.

    Raises:
        ReproError: the network has no stem or leaves too little of a map, or is too large for a
            model file (over 100 layers, 512 channels or 15 MB, or a filter beyond 400×200); a
            sound file cannot be read; memory ran out; or training diverged.
    """
    from repro import corpora, crossval

    _expected(experiment.network)
    trainable, _ = crossval.usable(table, experiment.front_end)
    everybody = crossval.Fold("nobody", np.flatnonzero(trainable), np.array([], int))
    seed = crossval.fold_seed(0, everybody)
    features = crossval.extract(table, experiment.front_end, device)
    ready_to_train(torch.device(device))
    network = crossval.initial_network(experiment.network, seed)
    with enough_memory(device, "training"):
        training = crossval.training_set(features, everybody, experiment.training, seed)
        training.fit(network, experiment.training, seed=seed, device=device, **how)
    learnt_from = table.iloc[np.unique(features.utterance[training.rows].cpu())]
    card = {
        "corpus": {"name": table.attrs["corpus"], "hash": corpora.corpus_hash(table)},
        "speakers": int(learnt_from["speaker"].nunique()),
        "utterances": len(learnt_from),
    }
    return Recogniser(network.cpu().eval(), experiment, training.limits, card)


def train_and_save(path: str | Path, asked: Run, progress: Progress | None = None) -> Recogniser:
    """Train a network on all speakers of a corpus and save it with its estimate.

    The folds of the same settings are trained first; without a results file of their own they are
    kept beside the model under the ending `.folds.jsonl`. The same call goes on where an
    interrupted one stopped.

    Args:
        path: model file to write.
        asked: the run of these folds: of one variant of a study, `only`. The model has the
            precision of its folds.
        progress: as in `study.run.run`.

    Returns:
        What is saved; its card also has `estimate` of the folds, as `held-out speakers`, and what
        `provenance.made_by` says, as `made by`.

    Raises:
        ReproError: something in the corpus, the settings or the file of the folds is wrong, a
            network could not be trained, see `train`, or the model cannot be written.
    """
    from repro import corpora
    from repro.results.provenance import lasting, made_by
    from repro.study.read import held
    from repro.study.run import run

    path = Path(path)
    if os.path.isdir(path):
        raise ReproError(f"{path}: is a folder; name a file in it, such as model.safetensors")
    [variant] = asked.grid().values()
    experiment = variant.experiment
    if experiment.protocol.epoch != "last" or not experiment.protocol.folds.startswith("speaker"):
        raise ReproError(
            "a model's estimate is of the last epoch, on speakers that are held out: leave "
            "protocol.epoch and protocol.folds as they are"
        )
    table = corpora.load_corpus(asked.corpus, asked.root, labels=experiment.protocol.labels)
    corpus = {"name": table.attrs["corpus"], "hash": corpora.corpus_hash(table)}
    if os.path.exists(path):
        try:
            earlier = load(path)
        except ReproError as error:  # perhaps it is the user's own table
            raise ReproError(
                f"{path}: not a model that can be read; remove it, or name another file"
            ) from error
        if (earlier.experiment, earlier.card.get("corpus")) != (experiment, corpus):
            raise ReproError(
                f"{path}: a model of another corpus or of other settings (`repro card` shows "
                "them); remove it, or name another file"
            )
    asked = replace(asked, results=asked.results or path.with_suffix(".folds.jsonl"))
    if os.path.realpath(asked.file) == os.path.realpath(path):
        raise ReproError(f"{path}: also the results file of its folds; name another")
    with files.refused(f"{path}: the model cannot be written"):
        files.try_to_write(path)
    run(asked, progress)
    tested = held(asked)
    if len(tested.diverged):
        raise ReproError(
            f"{asked.file}: of {tested.diverged['fold'].iloc[0]} and perhaps others the training "
            "diverged, so that there is no estimate; choose another preset"
        )
    device = choose_device(asked.device)
    # That of the folds, since their estimate is of the model that is saved.
    precision = choose_precision(tested.folds["precision"].iloc[0])
    of_this = {"key": experiment.key, "corpus": corpus["hash"]}
    partial = path_of(path, ["all speakers"])
    checkpoint = Checkpoint(partial, lasting(device, precision) | of_this)

    def epoch_done(state: State) -> None:
        epoch, epochs = len(state.history), experiment.training.epochs
        if progress:
            progress("all speakers", epoch, epochs)
        if epoch < epochs:
            checkpoint.keep(state)

    how = {"precision": precision, "resume": checkpoint.restore, "on_epoch": epoch_done}
    trained = train(table, experiment, device, **how)
    trained.card["held-out speakers"] = estimate(tested.predictions)
    trained.card["made by"] = made_by(device, precision, checkpoint.seconds)
    save(trained, path)
    discard(partial)
    return trained


def estimate(predictions: DataFrame) -> dict[str, Any]:
    """Say how well an experiment did on speakers whom it was not trained on, in per cent.

    The predictions are of the folds of one variant, as `repro.results.read(...).predictions`.
    """
    from repro.evidence import metrics

    [row] = metrics.summary(predictions).to_dict("records")
    scores = ("WA", "WA low", "WA high", "UA", "UA low", "UA high")
    rounded = {name: None if np.isnan(row[name]) else round(row[name], 2) for name in scores}
    return rounded | {"folds": row["folds"], "preset": row["preset"]}


def describe(recogniser: Recogniser) -> dict[str, Any]:
    """Return the model card: what it was made from, how well it does, and what it is not for."""
    experiment = recogniser.experiment
    return {
        "emotions": list(paper.EMOTIONS),
        "network": f"{experiment.network.pooling} pooling",
        "settings": experiment.key,
        **recogniser.card,
        "configuration": [assignment(name, attrgetter(name)(experiment)) for name in FIELDS],
        "not for": NOT_FOR,
    }


def model_card(recogniser: Recogniser) -> str:
    """Return the model card as text, a line for each part of it."""
    # As JSON, less its signs: whoever made a file may have put anything into its card.
    lines = (json.dumps({name: value}) for name, value in describe(recogniser).items())
    return "\n".join(re.sub(r'[][{}"]', "", line) for line in lines)


def save(recogniser: Recogniser, path: str | Path) -> None:
    """Write a recogniser to a safetensors file.

    Raises:
        ReproError: the file cannot be written.
    """
    path = Path(path)
    metadata = {
        "format": FORMAT,
        "version": repro.__version__,
        "emotions": json.dumps(paper.EMOTIONS),
        "experiment": json.dumps(asdict(recogniser.experiment)),
        "limits": json.dumps(recogniser.limits),
        "card": json.dumps(recogniser.card),
    }
    weights = {k: v.contiguous().cpu() for k, v in recogniser.network.state_dict().items()}
    metadata["sha256"] = _checksum(weights, metadata)
    try:
        files.write_whole(path, safetensors.torch.save(weights, metadata))
    except (OSError, safetensors.SafetensorError) as error:
        raise ReproError(f"{path}: the model cannot be written ({error})") from error


def load(path: str | Path) -> Recogniser:
    """Read a recogniser; nothing in the file is run.

    Raises:
        ReproError: the file is missing, is not a model that `repro train` wrote, is damaged, or
            holds a network that `train` refuses.
    """
    path = Path(path)
    if not os.path.isfile(path):  # unlike the method, False for names that the system refuses
        raise ReproError(f"{path}: no such model file; make one with `repro train`")
    try:
        weights, metadata = _read(path)
        if metadata["sha256"] != _checksum(weights, metadata):
            raise ValueError("its checksum does not match")
        experiment = from_dict(json.loads(metadata["experiment"]))
        limits = _limits(json.loads(metadata["limits"]), experiment.front_end.one_scale)
        card = json.loads(metadata["card"])
        if json.loads(metadata["emotions"]) != list(paper.EMOTIONS):
            raise ValueError(f"trained on other emotions than {', '.join(paper.EMOTIONS)}")
        if not isinstance(card, dict):
            raise ValueError("its card is not an object")
        network = _rebuild(experiment.network, weights)
    except PermissionError as error:
        raise ReproError(f"{path}: cannot be read; check its permissions") from error
    except FAULTS as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        reason = textwrap.shorten(reason, 200)
        raise ReproError(f"{path}: not a usable model ({reason}); train it again") from error
    return Recogniser(network.eval(), experiment, limits, card)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the weights and the texts of a file that is small enough to be ours."""
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        if header > MOST_HEADER_BYTES or os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise ValueError("too large, or another kind of file")
        file.seek(0)
        content = file.read(MOST_BYTES)
    weights, metadata = unpacked(content)  # only now that the size is known
    if metadata.get("format") != FORMAT:
        raise ValueError("not written by `repro train` of this version")
    return weights, metadata


def _checksum(weights: dict[str, Tensor], metadata: dict[str, str]) -> str:
    texts = json.dumps(sorted(item for item in metadata.items() if item[0] != "sha256"))
    return checksum(weights, texts)


def _limits(value: Any, one_scale: bool) -> tuple[float, float] | None:
    """Return the limits of the training set's magnitudes; ValueError unless they are valid."""
    if value is None and not one_scale:
        return None
    low, high = value
    if not (one_scale and type(low) is type(high) is float and 0 <= low <= high < math.inf):
        raise ValueError("invalid training-set limits, or a front end that does not use them")
    return low, high


def _rebuild(network: Network, weights: dict[str, Tensor]) -> SpeechEmotionNetwork:
    """Put weights into their network; ValueError if they do not belong to it."""
    if not same_form(weights, _expected(network)):
        raise ValueError("its settings and its weights do not match")
    for name, tensor in weights.items():
        least = 0 if name.endswith("running_var") else -math.inf
        if not (tensor.isfinite().all() and tensor.min() >= least):
            raise ValueError("its weights are not all finite, or a variance is negative")
    built = build_network(network)
    built.load_state_dict(weights)
    return built


def _expected(network: Network) -> dict[str, Tensor]:
    """Return the sizes of a network's weights; ReproError if no model file may hold it.

    Nothing is allocated, and nothing built before its numbers are known to be moderate.
    """
    if not network.stems:
        raise ReproError("a network needs a filter shape: give network.stems one")
    large = len(network.stems) + len(network.trunk) > MOST_LAYERS
    large |= max(network.channels) > MOST_CHANNELS
    large |= any(h > paper.BINS or w > paper.FRAMES for h, w in network.stems)
    if not large:
        with torch.device("meta"):
            expected = build_network(network).state_dict()
        large = sum(tensor.nbytes for tensor in expected.values()) > MOST_BYTES - MOST_HEADER_BYTES
    if large:
        raise ReproError("the network is too large for a model file: lower its network settings")
    check_network(network)
    return expected


class Attention(NamedTuple):
    """Where a network with attention pooling looks in an utterance, and closer in one segment.

    Args:
        over_time: how much of the bottom-up map each 10 ms gets, averaged over the test segments
            that overlap there; an even map gives 1.
        start: of the segment in the utterance, in seconds.
        magnitude: of its spectrum, linear, in bins of 10 Hz and frames of 10 ms; a recording's full
            scale is 1. Its square under `magnitude="power"`.
        top_down: class-specific maps X a_k, in the unit of logits.
        bottom_up: class-agnostic map X b; after its softmax, if the network has one, it sums to 1.
        scores: softmax of the segment's logits, in [0, 1].
    """

    over_time: Float[Tensor, " time"]
    start: float
    magnitude: Float[Tensor, "bins frames"]
    top_down: Float[Tensor, "4 h w"]
    bottom_up: Float[Tensor, "h w"]
    scores: Float[Tensor, " 4"]


def attention_maps(
    recogniser: Recogniser,
    waveform: Float[Tensor, " samples"],
    *,
    device: torch.device | str = "cpu",
) -> Attention:
    """Return the attention over an utterance, and the maps of its most decided test segment.

    The waveform is mono at 16 kHz.

    Raises:
        ReproError: the network has no attention pooling (Section 2.4.2).
    """
    from repro.study import attention

    network = recogniser.network
    if not isinstance(network.pooling, AttentionPooling):
        raise ReproError(f"{recogniser.experiment.network.pooling} pooling has no attention maps")
    columns: list[Tensor] = []
    chosen: tuple[Any, ...] = ()
    for magnitudes, inputs in _blocks(recogniser, waveform, device):
        seen = attention.look(network, inputs, device)
        best = int(seen.scores.amax(1).argmax())
        if not chosen or seen.scores[best].max() > chosen[-1].max():
            start = (sum(map(len, columns)) + best) * paper.TEST_HOP_SECONDS
            maps = seen.top_down[best], seen.bottom_up[best], seen.scores[best]
            chosen = start, magnitudes[best, 0].cpu(), *maps
        columns.append(seen.bottom_up.abs().sum(1))
    return Attention(_over_time(torch.cat(columns)), *chosen)


def _over_time(columns: Float[Tensor, "n w"]) -> Float[Tensor, " time"]:
    """Average the maps of overlapping segments, summed over frequency, for each 10 ms."""
    even = columns / columns.mean(1, keepdim=True)
    of_frames = F.interpolate(even[None], paper.FRAMES)[0]  # [n, frames]
    starts = torch.arange(len(columns)) * round(paper.TEST_HOP_SECONDS / paper.SHIFT_SECONDS)
    places = (starts[:, None] + torch.arange(paper.FRAMES)).flatten()
    return torch.bincount(places, of_frames.flatten()) / torch.bincount(places)


def scores(
    recogniser: Recogniser,
    waveform: Float[Tensor, " samples"],
    *,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Return the score of each emotion for one utterance: the mean over its test segments.

    The waveform is mono at 16 kHz, of any length. The mean is that of the softmax, in [0, 1], or of
    the logits, as `protocol.score` says.

    Raises:
        ReproError: the weights, though each is a number, are too large to compute with.
    """
    # By itself the C library takes half as much time again, for zeroed pages.
    keep_freed_memory(False)
    network, protocol = recogniser.network, recogniser.experiment.protocol
    inputs = (inputs for _, inputs in _blocks(recogniser, waveform, device))
    logits = [trainer.predict(network, block, device=device) for block in inputs]
    found = trainer.utterance_score(torch.cat(logits), protocol.score)
    if not found.isfinite().all():
        raise ReproError("the model gives no score: its weights overflow; train it again")
    return dict(zip(paper.EMOTIONS, found.tolist(), strict=True))


def _blocks(
    recogniser: Recogniser, waveform: Float[Tensor, " samples"], device: torch.device | str
) -> Iterator[tuple[Float[Tensor, "n 1 bins frames"], Float[Tensor, "n 1 bins frames"]]]:
    """Give the magnitudes of an utterance's test segments, and the inputs that they become."""
    front_end = recogniser.experiment.front_end
    hop = round(paper.TEST_HOP_SECONDS * paper.SAMPLE_RATE)
    count = spectrogram.segment_count(len(waveform), paper.TEST_HOP_SECONDS, front_end)
    # Before it is parted: a rest under 2 s at the end is padded, an utterance under 2 s repeated.
    waveform = spectrogram.fill(waveform, front_end, paper.TEST_HOP_SECONDS)
    block = max(1, BLOCK // max(recogniser.experiment.network.channels))
    for first in range(0, count, block):
        last = min(first + block, count) - 1
        # A segment knows nothing of its neighbours, so any stretch of whole segments will do.
        stretch = waveform[first * hop : last * hop + spectrogram.SEGMENT].to(device)
        magnitudes = spectrogram.magnitudes(stretch, front_end, paper.TEST_HOP_SECONDS)
        yield magnitudes, spectrogram.normalise(magnitudes, front_end, recogniser.limits)
