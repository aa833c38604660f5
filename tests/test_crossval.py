from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import tiny_corpus
import torch

from repro import audio, crossval, paper, results, spectrogram, trainer
from repro.config import Experiment, FrontEnd, Network, Protocol, Training
from repro.corpora import CORPORA, load_corpus
from repro.errors import DivergedError, NoSuchReadingError, ReproError

EMOTIONS = list(paper.EMOTIONS)
NETWORK = Network(stem_channels=2, trunk=(4, 4, 4, 4), stride=(8, 8))
TRAINING = Training(epochs=2, batch_size=8, milestones=())
TINY = Experiment(network=NETWORK, training=TRAINING)


def with_protocol(**changes: Any) -> Experiment:
    return replace(TINY, protocol=Protocol(**changes))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Three speakers with 12 utterances each, some under 2 s and some of several segments."""
    root = tmp_path_factory.mktemp("corpus") / "emodb"
    return tiny_corpus.table(tiny_corpus.write(root, ("03", "08", "09"), (1.5, 2.5, 3.3)))


@pytest.fixture(scope="module")
def features(table: pd.DataFrame) -> crossval.Features:
    return crossval.extract(table, TINY.front_end)


def iemocap_names() -> pd.DataFrame:
    """Names of IEMOCAP's pattern: letter of the markers, dialogue, and who speaks."""
    rows = [
        (f"Ses0{session}{letter}_impro0{dialogue}_{sex}000", f"Ses0{session}{sex}")
        for session, letter, dialogue, sex in product(range(1, 6), "FM", (1, 2), "FM")
    ]
    table = pd.DataFrame(rows, columns=["utterance", "speaker"])
    table = table.assign(emotion=EMOTIONS * (len(rows) // 4), samples=40_000, path="")
    table.attrs["corpus"] = "iemocap"
    return table


def assert_a_partition(table: pd.DataFrame, folds: list[crossval.Fold]) -> None:
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(table)))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(len(table)))


# Folds -------------------------------------------------------------------------------------------


def test_emodb_has_ten_folds_and_never_trains_on_the_held_out_speaker(emodb_root: Path) -> None:
    table = load_corpus("emodb", emodb_root)
    folds = crossval.make_folds(table, Experiment())
    assert [fold.held_out for fold in folds] == ["03", "08", "09", *map(str, range(10, 17))]
    assert [len(fold.test) for fold in folds] == [39, 42, 30, 21, 35, 22, 36, 41, 34, 39]
    assert_a_partition(table, folds)
    speakers = table["speaker"].to_numpy()
    for fold in folds:
        assert set(speakers[fold.test]) == {fold.held_out}
        assert fold.held_out not in set(speakers[fold.train])


SESSIONS = [f"Ses0{session}" for session in range(1, 6)]
# Of a name such as Ses01F_impro01_M000.
GROUPS = {"speaker": r"^(Ses..)._.*_(.)", "letter": r"^(Ses..)(.)_", "session": r"^(Ses..)"}


@pytest.mark.parametrize(("reading", "leaks"), [("speaker", 0), ("letter", 10), ("session", 0)])
def test_iemocap_is_held_out_by_what_names_say(reading: str, leaks: int) -> None:
    table = iemocap_names()
    folds = crossval.make_folds(table, with_protocol(folds=reading))
    letters = [""] if reading == "session" else ["F", "M"]
    assert [fold.held_out for fold in folds] == [s + x for s in SESSIONS for x in letters]
    assert_a_partition(table, folds)
    groups = table["utterance"].str.extract(GROUPS[reading]).sum(axis=1)
    speakers = table["speaker"]
    for fold in folds:
        assert set(groups[fold.test]) == {fold.held_out}
        assert fold.held_out not in set(groups[fold.train])
    shared = [set(speakers[fold.test]) & set(speakers[fold.train]) for fold in folds]
    assert sum(map(bool, shared)) == leaks


def test_the_random_reading_has_ten_even_parts_that_stay_the_same() -> None:
    table = iemocap_names()
    first, second = (crossval.make_folds(table, with_protocol(folds="random")) for _ in range(2))
    assert_a_partition(table, first)
    assert [len(fold.test) for fold in first] == [4] * 10
    for one, other in zip(first, second, strict=True):
        assert one.held_out == other.held_out and (one.test == other.test).all()
    speakers = table["speaker"].to_numpy()
    assert any(len(set(speakers[fold.test])) > 1 for fold in first)


@pytest.mark.parametrize("name", ["iemocap", "emodb", "ravdess", "nemo", "cremad"])
def test_groups_of_speakers_hold_as_many_women_as_one_another(name: str) -> None:
    corpus = CORPORA[name]
    table = pd.DataFrame({"speaker": [*corpus.published] * 2, "samples": 40_000})
    table = table.sample(frac=1, random_state=0, ignore_index=True)
    table.attrs["women"] = corpus.women
    folds = crossval.make_folds(table, with_protocol(folds="speaker-groups"))
    assert_a_partition(table, folds)
    groups = [set(table["speaker"][fold.test]) for fold in folds]
    assert [set(fold.held_out.split("+")) for fold in folds] == groups
    for of_one_sex in (corpus.women, set(corpus.published) - corpus.women):
        sizes = [len(group & of_one_sex) for group in groups]
        assert max(sizes) - min(sizes) <= 1
    if len(corpus.published) > 10:
        assert len(folds) == 10
    else:
        alone = crossval.make_folds(table, Experiment())
        assert [fold.held_out for fold in folds] == [fold.held_out for fold in alone]


def test_speakers_of_whom_nothing_is_known_are_grouped_too() -> None:
    table = pd.DataFrame({"speaker": [f"s{i:02d}" for i in range(12)], "samples": 40_000})
    folds = crossval.make_folds(table, with_protocol(folds="speaker-groups"))
    assert [fold.held_out for fold in folds][:3] == ["s00+s10", "s01+s11", "s02"]


@pytest.mark.parametrize(
    ("short", "trained", "tested"),
    [("pad", 24, 12), ("repeat", 24, 12), ("drop-training", 16, 12), ("drop", 16, 8)],
)
def test_short_utterances_are_left_out_where_the_reading_says_so(
    table: pd.DataFrame, short: str, trained: int, tested: int
) -> None:
    experiment = replace(TINY, front_end=FrontEnd(short=short))
    long = table["samples"].to_numpy() >= 32_000
    for fold in crossval.make_folds(table, experiment):
        assert (len(fold.train), len(fold.test)) == (trained, tested)
        assert long[fold.train].all() == short.startswith("drop")
        assert long[fold.test].all() == (short == "drop")


@pytest.mark.parametrize(
    ("count", "held_out"),
    [(1, [1]), (2, [1, 10]), (3, [1, 5, 10]), (10, range(1, 11)), (99, range(1, 11))],
)
def test_max_folds_takes_evenly_spaced_speakers(count: int, held_out: list[int]) -> None:
    table = iemocap_names()
    names = sorted(set(table["speaker"]))
    folds = crossval.make_folds(table, with_protocol(max_folds=count))
    assert [fold.held_out for fold in folds] == [names[i - 1] for i in held_out]
    for fold in folds:
        assert len(fold.train) + len(fold.test) == len(table)


def test_a_single_speaker_is_a_fault(table: pd.DataFrame) -> None:
    alone = table[table["speaker"] == "03"].reset_index(drop=True)
    said = r"one group to hold out \(03\).*two speakers"
    with pytest.raises(NoSuchReadingError, match=said):  # so that other readings are still run
        crossval.make_folds(alone, TINY)


def test_a_fold_without_training_or_test_data_is_a_fault(table: pd.DataFrame) -> None:
    of_03 = table[table["speaker"] == "03"]
    short_08 = table[(table["speaker"] == "08") & (table["samples"] < 32_000)]
    two = pd.concat([of_03, short_08], ignore_index=True)
    drop_training, drop = (
        replace(TINY, front_end=FrontEnd(short=short)) for short in ("drop-training", "drop")
    )
    for experiment in (drop_training, drop):
        with pytest.raises(ReproError, match="fold 03: no training data"):
            crossval.make_folds(two, experiment)
    three = pd.concat([two, of_03.assign(speaker="01")], ignore_index=True)
    with pytest.raises(ReproError, match="fold 08: no test data"):
        crossval.make_folds(three, drop)
    assert len(crossval.make_folds(two, with_protocol(max_folds=None))) == 2


# Features ----------------------------------------------------------------------------------------


def test_features_are_the_training_segments_in_the_order_of_the_table(
    table: pd.DataFrame, features: crossval.Features
) -> None:
    counts = [spectrogram.segment_count(n, 1.0) for n in table["samples"]]
    assert len(features.segments) == sum(counts) == 3 * 4 * (1 + 1 + 2)
    assert features.utterance.tolist() == [i for i, n in enumerate(counts) for _ in range(n)]
    labels = [EMOTIONS.index(table["emotion"][i]) for i in features.utterance.tolist()]
    assert features.labels.tolist() == labels
    for row in (0, 5, 35):
        expected = spectrogram.segments(audio.load(table["path"][row]), FrontEnd(), 1.0)
        assert torch.equal(features.segments[features.utterance == row], expected)


def test_each_file_is_read_once_more(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = audio.load
    monkeypatch.setattr(audio, "load", lambda path: read.append(path) or load(path))
    crossval.extract(table, TINY.front_end)
    assert read == [table["path"][0], *table["path"]]


def test_a_file_that_changed_since_the_corpus_was_listed_is_a_fault(
    tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    table = tiny_corpus.table(tiny_corpus.write(tmp_path / "emodb"))
    features = crossval.extract(table, TINY.front_end)
    for seconds in (1.0, 3.0):
        path = write_wav(Path(table["path"][1]), seconds)
        reason = f"{path}: {round(16_000 * seconds)} samples at 16 kHz, but 24000 when"
        with pytest.raises(ReproError, match=reason):
            crossval.extract(table, TINY.front_end)
        with pytest.raises(ReproError, match=reason):  # while a study runs
            crossval.run_fold(features, crossval.make_folds(table, TINY)[0], TINY, seed=0)


# One fold ----------------------------------------------------------------------------------------


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Stands before `trainer.fit` and knows what it was given."""
    monkeypatch.setattr(trainer, "fit", fit := Mock(wraps=trainer.fit))
    return fit


def trained_on(fit: Mock) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The segments, as the network reads them, and labels of each training."""
    found = []
    for call in fit.call_args_list:
        (_, segments, labels, _), rows = call.args, call.kwargs["rows"]
        scale = call.kwargs.get("scale", lambda x: x)
        found.append((scale(segments[rows]), labels[rows]))
    return found


@pytest.mark.parametrize("score", ["softmax", "logits"])
def test_scores_are_means_of_segments(features: crossval.Features, score: str, fit: Mock) -> None:
    experiment = with_protocol(score=score)
    fold = crossval.make_folds(features.table, experiment)[1]
    history, predictions = crossval.run_fold(features, fold, experiment, seed=0)
    network = fit.call_args.args[0]
    assert len(history) == 2
    assert list(predictions)[:6] == ["utterance", "emotion", *EMOTIONS]
    assert list(predictions)[6:] == results.COUNTED
    tested = features.table.iloc[fold.test]
    for name in ("samples", "utterance", "emotion"):
        assert predictions[name].to_list() == tested[name].to_list()
    for i, (path, samples) in enumerate(zip(tested["path"], tested["samples"], strict=True)):
        segments = spectrogram.segments(audio.load(path), FrontEnd(), 0.4)
        with torch.no_grad():
            logits = network.eval()(segments)
        assert len(segments) == spectrogram.segment_count(samples, 0.4)
        scores = logits.exp() / logits.exp().sum(1, keepdim=True) if score == "softmax" else logits
        found = predictions.loc[i, EMOTIONS].to_numpy(float)
        np.testing.assert_allclose(found, scores.mean(0), atol=1e-5)
        found = predictions.loc[i, results.LOGITS].to_numpy(float)
        np.testing.assert_allclose(found, logits.mean(0), atol=1e-5)
    if score == "softmax":
        np.testing.assert_allclose(predictions[EMOTIONS].sum(axis=1), 1, atol=1e-5)


def test_no_network_trains_on_the_held_out_speaker(features: crossval.Features, fit: Mock) -> None:
    fold = crossval.make_folds(features.table, TINY)[0]
    crossval.run_fold(features, fold, TINY, seed=0)
    [(segments, labels)] = trained_on(fit)
    held_out = features.table["speaker"].to_numpy()[features.utterance.numpy()] == "03"
    assert torch.equal(segments, features.segments[torch.from_numpy(~held_out)])
    assert torch.equal(labels, features.labels[torch.from_numpy(~held_out)])


def test_max_segments_takes_a_part_of_the_training(features: crossval.Features, fit: Mock) -> None:
    fold = crossval.make_folds(features.table, TINY)[0]
    experiment = replace(TINY, training=replace(TRAINING, max_segments=5, epochs=1))
    for seed in (0, 0, 1):
        crossval.run_fold(features, fold, experiment, seed=seed)
    (first, labels), (again, _), (other, _) = trained_on(fit)
    assert len(first) == len(other) == 5
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    rows = [torch.isin(features.utterance, torch.from_numpy(fold.train))]
    allowed = features.segments[rows[0]]
    for segment, label in zip(first, labels, strict=True):
        [match] = (allowed == segment).flatten(1).all(1).nonzero()
        assert features.labels[rows[0]][match] == label


def test_one_scale_for_all_never_sees_the_test_speaker(
    table: pd.DataFrame, fit: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "predict", predict := Mock(wraps=trainer.predict))
    experiment = replace(TINY, front_end=FrontEnd(scale="training-set"))
    waveforms = [audio.load(path) for path in table["path"]]
    fold = crossval.make_folds(table, experiment)[0]
    waveforms = [w * (10 if row in fold.test else 1) for row, w in enumerate(waveforms)]
    features = crossval.extract(table, experiment.front_end, waveforms=waveforms)
    crossval.run_fold(features, fold, experiment, seed=0)

    [(segments, _)] = trained_on(fit)
    raw = [spectrogram.magnitudes(waveforms[row], FrontEnd(), 1.0) for row in fold.train]
    limits = (min(r.min().item() for r in raw), max(r.max().item() for r in raw))
    assert features.segments.max().item() > 2 * limits[1]  # the test speaker is louder
    expected = spectrogram.normalise(torch.cat(raw), experiment.front_end, limits)
    assert torch.equal(segments, expected)
    assert segments.min() == -1 and segments.max() == 1
    how = (experiment.front_end, 0.4, limits)
    tests = [spectrogram.segments(waveforms[row], *how) for row in fold.test]
    scored = [call.args[1] for call in predict.call_args_list]
    assert torch.equal(torch.cat(scored), torch.cat(tests))


def test_the_best_epoch_on_the_test_is_no_worse(
    features: crossval.Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_only = replace(TINY, training=replace(TRAINING, epochs=6, learning_rate=0.1))
    best_only = replace(last_only, protocol=Protocol(epoch="best-on-test"))
    fold = crossval.make_folds(features.table, TINY)[2]
    history, last = crossval.run_fold(features, fold, last_only, seed=3)
    logits: list[torch.Tensor] = []
    predict = trainer.predict
    monkeypatch.setattr(
        trainer, "predict", lambda *a, **k: logits.append(predict(*a, **k)) or logits[-1]
    )
    finished: list[int] = []
    again, best = crossval.run_fold(
        features, fold, best_only, seed=3, on_epoch=lambda s: finished.append(len(s.history))
    )
    assert history == again  # to look does not disturb
    assert finished == [1, 2, 3, 4, 5, 6]
    epochs = torch.stack([each.softmax(1).mean(0) for each in logits]).reshape(6, len(fold.test), 4)
    truth = torch.tensor([EMOTIONS.index(emotion) for emotion in best["emotion"]])
    right = (epochs.argmax(2) == truth).double().mean(1).tolist()
    found = [(p[EMOTIONS].idxmax(axis=1) == p["emotion"]).mean() for p in (best, last)]
    assert found == [max(right), right[-1]]
    first_best = epochs[right.index(max(right))]
    np.testing.assert_allclose(best[EMOTIONS].to_numpy(), first_best, atol=1e-6)


def test_of_equally_good_epochs_the_first_counts(
    features: crossval.Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = with_protocol(epoch="best-on-test")
    fold = crossval.make_folds(features.table, experiment)[0]
    given = (torch.eye(8)[[0] * len(fold.test)] * sure for sure in (0.8, 0.9))
    monkeypatch.setattr(crossval, "_utterance_scores", lambda *_: next(given))
    _, predictions = crossval.run_fold(features, fold, experiment, seed=0)
    assert next(given, None) is None and np.allclose(predictions[EMOTIONS[0]], 0.8)


def test_whoever_looks_is_given_the_segments_of_each_prediction(
    features: crossval.Features,
) -> None:
    fold = crossval.make_folds(features.table, TINY)[1]
    seen: list[Any] = []
    crossval.run_fold(features, fold, TINY, seed=0, on_scored=lambda *given: seen.extend(given))
    _, segments, predictions = seen
    paths = features.table.set_index("utterance")["path"]
    assert len(predictions) == len(fold.test)
    for utterance, found in zip(predictions["utterance"], segments, strict=True):
        wanted = spectrogram.segments(audio.load(paths[utterance]), FrontEnd(), 0.4)
        assert torch.equal(found, wanted)


# Seeds -------------------------------------------------------------------------------------------


def test_a_fold_depends_on_its_seed_alone(features: crossval.Features) -> None:
    folds = crossval.make_folds(features.table, TINY)[:2]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    forwards = [crossval.run_fold(features, fold, TINY, seed=0) for fold in folds]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    backwards = [crossval.run_fold(features, fold, TINY, seed=0) for fold in folds[::-1]]
    for (history, predictions), again in zip(forwards, backwards[::-1], strict=True):
        assert history == again[0]
        pd.testing.assert_frame_equal(predictions, again[1], check_exact=True)
    _, other = crossval.run_fold(features, folds[0], TINY, seed=1)
    assert not np.allclose(forwards[0][1][EMOTIONS], other[EMOTIONS])


def test_folds_of_one_seed_have_weights_and_orders_of_their_own(
    features: crossval.Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def fit(network: torch.nn.Module, *_: Any, seed: int, **__: Any) -> list[float]:
        begun.append((seed, network.stems.convs[0].weight.flatten()[0].item()))
        return [1.0]

    monkeypatch.setattr(crossval.trainer, "fit", fit)
    for fold in crossval.make_folds(features.table, TINY)[:2]:
        crossval.run_fold(features, fold, TINY, seed=0)
    (seed, weight), (other_seed, other_weight) = begun
    assert seed != other_seed and weight != other_weight


def test_the_seed_of_a_fold_depends_on_seed_and_name_alone() -> None:
    seeds = []
    for seed, name in product(range(5), ("03", "08", "Ses01F")):
        one, other = (crossval.Fold(name, np.array([i]), np.array([i + 1])) for i in (0, 2))
        seeds.append(crossval.fold_seed(seed, one))
        assert 0 <= seeds[-1] < 2**32
        assert crossval.fold_seed(seed, other) == seeds[-1]
    assert len(set(seeds)) == len(seeds) == 15


def test_weights_that_overflow_after_the_last_step_are_a_fault(features: crossval.Features) -> None:
    training = Training(epochs=1, batch_size=64, learning_rate=1e38, milestones=())
    fold = crossval.make_folds(features.table, TINY)[0]
    with pytest.raises(DivergedError, match="diverged"):
        crossval.run_fold(features, fold, replace(TINY, training=training), seed=0)


def test_two_seconds_are_not_short() -> None:
    table = pd.DataFrame({"samples": [31_999, 32_000]})
    for part in crossval.usable(table, FrontEnd(short="drop")):
        assert part.tolist() == [False, True]
