"""Ten folds, one speaker held out in each (Section 3.1): the folds, and the run of one fold."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from repro import audio, paper, results, spectrogram, trainer
from repro.config import Experiment, FrontEnd, Network, Protocol, Score, Training
from repro.device import Precision, enough_memory, keep_freed_memory
from repro.errors import DivergedError, NoSuchReadingError, ReproError
from repro.model import SpeechEmotionNetwork, build_network
from repro.trainer import State

OnScored = Callable[[SpeechEmotionNetwork, Iterator[Tensor], pd.DataFrame], None]


@dataclass(frozen=True)
class Fold:
    """One split of a corpus.

    Args:
        held_out: the name of the speaker or group that is tested.
        train: rows of the utterance table to train on.
        test: rows of it to test on.
    """

    held_out: str
    train: np.ndarray
    test: np.ndarray


def make_folds(table: pd.DataFrame, experiment: Experiment) -> list[Fold]:
    """Return the splits of a corpus by held-out speaker, or as another reading has it.

    Utterances under 2 s are left out of training, test or both where `front_end.short` says so.

    Raises:
        NoSuchReadingError: there are fewer than two groups, or a fold has nothing to train or to
            test on.
    """
    groups = _groups(table, experiment.protocol)
    names = sorted(set(groups))
    if len(names) < 2:
        raise NoSuchReadingError(
            f"corpus {table.attrs.get('corpus', '')} has one group to hold out "
            f"({', '.join(names)}): cross-validation needs at least two speakers"
        )
    # Evenly spaced, so that a few folds of a corpus are not all from one session.
    count = min(experiment.protocol.max_folds or len(names), len(names))
    spaced = np.linspace(0, len(names) - 1, count).round().astype(int)
    trainable, testable = usable(table, experiment.front_end)
    folds = []
    for name in (names[i] for i in spaced):
        held_out = groups == name
        train = np.flatnonzero(~held_out & trainable)
        test = np.flatnonzero(held_out & testable)
        if not len(train) or not len(test):
            part = "training" if not len(train) else "test"
            raise NoSuchReadingError(
                f"fold {name}: no {part} data is left; look at front_end.short"
            )
        folds.append(Fold(name, train, test))
    return folds


def usable(table: pd.DataFrame, front_end: FrontEnd) -> tuple[np.ndarray, np.ndarray]:
    """Return which utterances may be trained on and tested on: booleans [utterances] each."""
    long_enough = (table["samples"] >= spectrogram.SEGMENT).to_numpy()
    trainable = long_enough | (front_end.short not in ("drop-training", "drop"))
    return trainable, long_enough | (front_end.short not in ("drop-test", "drop"))


@dataclass(frozen=True)
class Features:
    """The training segments of a whole corpus, computed once and shared by its folds.

    Args:
        table: the corpus's utterances.
        front_end: how a waveform becomes segments.
        waveform: that of a row of the table; it is read anew, as all would fill the memory.
        segments: [n, 1, 400, 200]; magnitudes where one scale serves the whole training set.
        utterance: [n] rows of the table that the segments are cut from.
        labels: [n] indices into `paper.EMOTIONS`.
        cache: what `precomputed` gave last, by the settings of the network: at most half as much
            again as the segments, for the longest filters of Section 3.2.
    """

    table: pd.DataFrame
    front_end: FrontEnd
    waveform: Callable[[int], Tensor]
    segments: Float[Tensor, "n 1 bins frames"]
    utterance: Int[Tensor, " n"]
    labels: Int[Tensor, " n"]
    cache: dict[Network, tuple[Tensor, ...]] = field(default_factory=dict)

    def precomputed(self, network: SpeechEmotionNetwork) -> tuple[Tensor, ...]:
        """Return what a network's `precompute` gives of the segments, once for all folds."""
        if network.settings not in self.cache:
            self.cache.clear()
            self.cache[network.settings] = network.precompute(self.segments)
        return self.cache[network.settings]


def extract(
    table: pd.DataFrame,
    front_end: FrontEnd,
    device: torch.device | str = "cpu",
    waveforms: Sequence[Tensor] | None = None,
) -> Features:
    """Return the training segments of a corpus, in float32 on the device.

    In bfloat16 two thirds of a spectrogram of speech would be the same number, as the scaling of
    Section 2.1 puts most of it next to -1; `model.Stems` moves it to 0 first. Waveforms that are
    not at hand are read from the paths of the table.

    Raises:
        ReproError: a file cannot be read, or is no longer as long as the table says, or the device
            has too little memory.
    """

    def waveform(row: int) -> Tensor:
        path, samples = table["path"].iloc[row], table["samples"].iloc[row]
        found = audio.load(path) if waveforms is None else waveforms[row]
        if len(found) != samples:
            raise ReproError(
                f"{path}: {len(found)} samples at 16 kHz, but {samples} when the corpus was "
                "listed; run again, and leave its files alone meanwhile"
            )
        return found

    keep_freed_memory(False)  # each file leaves blocks of another size, which would pile up
    hop = paper.TRAIN_HOP_SECONDS
    make = spectrogram.magnitudes if front_end.one_scale else spectrogram.segments
    counts = [spectrogram.segment_count(n, hop, front_end) for n in table["samples"]]
    utterance = torch.arange(len(table)).repeat_interleave(torch.tensor(counts))
    classes = torch.tensor([paper.EMOTIONS.index(e) for e in table["emotion"]])
    with enough_memory(device, "the segments of the corpus"):
        # One tensor from the start: parts to be joined would need the memory twice.
        shape = make(waveform(0).to(device), front_end, hop).shape[1:]
        segments = torch.empty(sum(counts), *shape, device=device)
        for row, part in enumerate(segments.split(counts)):
            part[:] = make(waveform(row).to(device), front_end, hop)
    labels = classes[utterance].to(device)
    return Features(table, front_end, waveform, segments, utterance.to(device), labels)


def run_fold(
    features: Features,
    fold: Fold,
    experiment: Experiment,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    resume: Callable[[State], None] | None = None,
    on_epoch: Callable[[State], None] | None = None,
    on_scored: OnScored | None = None,
) -> tuple[list[float], pd.DataFrame]:
    """Return the loss per epoch on a fold's training speakers, and the scores of the held-out one.

    The features are from `extract`, the fold from `make_folds`, and its own seed follows from the
    one given, see `fold_seed`. `precision`, `resume` and `on_epoch` are those of `trainer.fit`.
    `on_scored` is given the network, each test utterance's segments, and the predictions, in the
    end.

    Returns:
        The loss per epoch, and a table with a row per test utterance, with utterance, emotion
        (true), one score per class, averaged over the utterance's segments, the same of logits
        whatever the protocol scores by (`neutral logit`), and its length in samples.

    Raises:
        DivergedError: training diverged.
        ReproError: there is nothing to train on, or the file of a test utterance cannot be read or
            has changed.
    """
    seed = fold_seed(seed, fold)
    network = initial_network(experiment.network, seed)
    training = training_set(features, fold, experiment.training, seed)
    where: dict[str, Any] = {"device": device, "precision": precision}

    def score() -> Tensor:
        logits = [
            trainer.predict(network, of_one, **where) for of_one in training.test_segments(fold)
        ]
        return _utterance_scores(logits, fold, experiment.protocol.score)

    def accuracy(scores: Tensor) -> float:
        found = _predictions(features.table, fold, scores)
        return (found[list(paper.EMOTIONS)].idxmax(axis=1) == found["emotion"]).mean()

    best: Tensor | None = None  # the scores of the best epoch, if that is what counts

    def epoch_done(state: State) -> None:
        nonlocal best
        if experiment.protocol.epoch == "best-on-test":
            scores, best = score(), state.kept.get("best")
            if best is None or accuracy(scores) > accuracy(best):
                best = state.kept["best"] = scores
        if on_epoch:
            on_epoch(state)

    how = where | {"seed": seed, "resume": resume, "on_epoch": epoch_done}
    history = training.fit(network, experiment.training, **how)
    scores = score() if best is None else best
    predictions = _predictions(features.table, fold, scores)
    if on_scored:
        on_scored(network, training.test_segments(fold), predictions)
    return history, predictions


class TrainingSet(NamedTuple):
    """What one network learns from.

    Args:
        features: of the corpus.
        rows: which of its segments are trained on.
        limits: their lowest and highest magnitude, where one scale serves the whole training set.
    """

    features: Features
    rows: Int[Tensor, " rows"]
    limits: tuple[float, float] | None

    def fit(self, network: SpeechEmotionNetwork, training: Training, **how: Any) -> list[float]:
        """Return what `trainer.fit` does, which trains the network on this."""
        of, how = self.features, how | {"rows": self.rows}
        if self.limits:  # batch by batch, as a scaled copy would be as large as the corpus
            how["scale"] = partial(
                spectrogram.normalise, front_end=of.front_end, limits=self.limits
            )
        else:
            how["precomputed"] = of.precomputed(network)
        return trainer.fit(network, of.segments, of.labels, training, **how)

    def test_segments(self, fold: Fold) -> Iterator[Tensor]:
        """Give the segments, 0.4 s apart, of each test utterance: all would be gigabytes."""
        of, hop = self.features, paper.TEST_HOP_SECONDS
        for row in fold.test:
            waveform = of.waveform(int(row)).to(of.segments.device)
            yield spectrogram.segments(waveform, of.front_end, hop, self.limits)


def training_set(features: Features, fold: Fold, training: Training, seed: int) -> TrainingSet:
    """Return a fold's training segments, at random as many of them as the settings allow."""
    rows = torch.isin(features.utterance.cpu(), torch.from_numpy(fold.train)).nonzero()[:, 0]
    if training.max_segments is not None and len(rows) > training.max_segments:
        picked = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        rows = rows[picked[: training.max_segments].sort().values]
    rows = rows.to(features.segments.device)
    if not features.front_end.one_scale:
        return TrainingSet(features, rows, None)
    low, high = (end(features.segments, (1, 2, 3))[rows] for end in (torch.amin, torch.amax))
    return TrainingSet(features, rows, (low.min().item(), high.max().item()))


def initial_network(network: Network, seed: int) -> SpeechEmotionNetwork:
    """Return an untrained network whose weights depend on the seed alone, drawn on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(network)


def fold_seed(seed: int, fold: Fold) -> int:
    """Return the seed of one fold's initial weights and segment order.

    It depends on the seed and the fold's name alone, so that folds can run in any order, anywhere.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{fold.held_out}".encode()).digest()[:4], "big")


def _utterance_scores(
    logits: Sequence[Tensor], fold: Fold, score: Score
) -> Float[Tensor, "utterances 8"]:
    """Return the scores of each utterance, and those by logits."""
    ways: tuple[Score, Score] = (score, "logits")
    rows = ([trainer.utterance_score(each, way) for way in ways] for each in logits)
    scores = torch.stack([torch.cat(row) for row in rows])
    if not scores.isfinite().all():
        raise DivergedError(
            f"fold {fold.held_out}: training diverged, the scores are not finite numbers; "
            "lower training.learning_rate"
        )
    return scores


def _predictions(
    table: pd.DataFrame, fold: Fold, scores: Float[Tensor, "utterances 8"]
) -> pd.DataFrame:
    """Set the scores beside the utterances that they are of."""
    test = table.iloc[fold.test].reset_index(drop=True)
    columns = [*paper.EMOTIONS, *results.LOGITS]
    # In float64 rounding them shortens them as text.
    found = pd.DataFrame(scores.double().numpy(), columns=columns)
    return test[["utterance", "emotion"]].join(found).assign(samples=test["samples"])


def _groups(table: pd.DataFrame, protocol: Protocol) -> pd.Series:
    """Name the group that each utterance is held out with."""
    if protocol.folds == "speaker":
        return table["speaker"]
    if protocol.folds == "speaker-groups":
        women = table.attrs.get("women", frozenset())
        # Men, then women, dealt out in turn: no group has two more of either than another.
        speakers = sorted(set(table["speaker"]), key=lambda speaker: (speaker in women, speaker))
        groups = [speakers[first :: paper.FOLDS] for first in range(paper.FOLDS)]
        return table["speaker"].map({each: "+".join(group) for group in groups for each in group})
    if protocol.folds == "random":
        order = np.random.default_rng(0).permutation(len(table))
        return pd.Series([f"part{i % paper.FOLDS + 1:02d}" for i in order], index=table.index)
    session = table["utterance"].str.extract(r"^(Ses\d\d)([FM])_")
    if session.isna().any(axis=None):
        raise NoSuchReadingError(
            f"protocol.folds={protocol.folds} needs IEMOCAP's utterance names; "
            f"{table['utterance'].iloc[0]} is not one"
        )
    return session[0] if protocol.folds == "session" else session[0] + session[1]
