import resource
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from repro import paper
from repro.config import FrontEnd
from repro.corpora import corpus_hash, load_corpus, planted
from repro.errors import ReproError
from repro.spectrogram import SHIFT, segments

IN_TIME = [scale for scale in planted.SCALES if scale.unit == "ms"]
IN_FREQUENCY = [scale for scale in planted.SCALES if scale.unit == "Hz"]
DRAWS = 60
LEVEL_DB = 0.05  # by how much the classes' mean levels may differ
SPECTRUM_DB = {"ms": 0.1, "Hz": 1.5}  # likewise their mean spectra, in bands of 1 kHz

Draws = dict[str, np.ndarray]


def draw(scale: planted.Scale, draws: int = DRAWS) -> Draws:
    """Signals of each class, [draws, samples]; no two share their random numbers."""
    found = {}
    for k, name in enumerate(planted.ARRANGEMENTS):
        randoms = (np.random.default_rng([k, i]) for i in range(draws))
        found[name] = np.stack([planted.signal(scale, name, random) for random in randoms])
    return found


def spread_db(powers: np.ndarray) -> float:
    """Largest difference between classes, [classes, ...]."""
    return float(np.ptp(10 * np.log10(powers), axis=0).max())


@pytest.mark.parametrize("scale", planted.SCALES, ids=lambda scale: scale.corpus)
def test_classes_have_equal_levels_and_long_term_spectra(scale: planted.Scale) -> None:
    sounds = draw(scale)
    levels = np.array([np.mean(each**2) for each in sounds.values()])
    assert spread_db(levels) < LEVEL_DB
    spectra = []
    for each in sounds.values():
        power = np.mean(np.abs(np.fft.rfft(each)) ** 2, axis=0)[: 2 * paper.HIGHEST_HZ]
        spectra.append(power.reshape(4, -1).mean(1))
    assert spread_db(np.array(spectra)) < SPECTRUM_DB[scale.unit]


@pytest.mark.parametrize("scale", IN_TIME, ids=lambda scale: scale.corpus)
@pytest.mark.parametrize("arrangement", planted.ARRANGEMENTS)
def test_clicks_are_paired_as_the_class_says(
    scale: planted.Scale, arrangement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted, "NOISE", 0.0)
    for seed in range(20):
        sound = planted.signal(scale, arrangement, np.random.default_rng(seed))
        at = np.flatnonzero(sound)
        check_events(scale, arrangement, at * 1000 / paper.SAMPLE_RATE, np.abs(sound[at]), 0.2)


@pytest.mark.parametrize("scale", IN_FREQUENCY, ids=lambda scale: scale.corpus)
@pytest.mark.parametrize("arrangement", planted.ARRANGEMENTS)
def test_tones_are_paired_as_the_class_says(
    scale: planted.Scale, arrangement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted, "NOISE", 0.0)
    for seed in range(3):
        sound = planted.signal(scale, arrangement, np.random.default_rng(seed))
        assert np.abs(sound).max() <= planted.PEAK
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
        peaks = (spectrum[1:-1] > spectrum[:-2]) & (spectrum[1:-1] >= spectrum[2:])
        at = 1 + np.flatnonzero(peaks & (spectrum[1:-1] > 0.2 * spectrum.max()))
        hertz = at * paper.SAMPLE_RATE / (8 * len(sound))
        check_events(scale, arrangement, hertz, spectrum[at], 0.2)


def check_events(
    scale: planted.Scale, arrangement: str, places: np.ndarray, sizes: np.ndarray, accuracy: float
) -> None:
    assert len(places) == 2 * planted.PAIRS
    loud = sizes > 0.75 * sizes.max()
    assert loud.sum() == planted.PAIRS
    soft = sizes[~loud] / sizes[loud].mean()
    assert np.allclose(soft, planted.SOFT / planted.LOUD, rtol=0.05)
    gaps = np.diff(places)
    assert np.allclose(gaps[::2], scale.size, atol=accuracy)
    smear = planted.SMEAR[scale.unit]
    assert gaps[1::2].min() > scale.size + smear - accuracy
    assert places[0] > smear - accuracy
    assert places[-1] < planted.LENGTH[scale.unit] - smear + accuracy
    found = sorted(zip(loud[::2], loud[1::2], strict=True))
    pairs = planted.ARRANGEMENTS[arrangement]
    assert found == sorted((a == planted.LOUD, b == planted.LOUD) for a, b in pairs)


def test_what_reaches_less_far_than_a_pair_sees_the_same_in_all_classes() -> None:
    """Count how often two frames so far apart are both loud, in the network's input."""
    scale, frames = planted.BY_TEXT["160 ms"], 16
    together = {}
    for name, sounds in draw(scale, 20).items():
        waveforms = map(torch.from_numpy, sounds.astype(np.float32))
        inputs = torch.cat([segments(w, FrontEnd(), paper.TRAIN_HOP_SECONDS) for w in waveforms])
        loud = (inputs[:, 0].mean(1) > 0.5).numpy()  # [signals, frames]
        together[name] = counts = {}
        for lag in (*range(frames - 4), frames):
            counts[lag] = (loud[:, : -lag or None] & loud[:, lag:]).sum(1).mean()
    for lag in range(5, frames - 4):  # past the smear of one click
        assert {counts[lag] for counts in together.values()} == {0.0}
    alone = [counts[0] for counts in together.values()]
    assert np.ptp(alone) < 0.1 * np.mean(alone)
    assert together["level"][frames] >= 2
    assert together["falling"][frames] == together["rising"][frames] == 0


def test_a_loud_event_stands_thirty_decibels_above_the_noise() -> None:
    for text in ("40 ms", "50 Hz"):
        sound = planted.signal(planted.BY_TEXT[text], "level", np.random.default_rng(0))
        windows = np.lib.stride_tricks.sliding_window_view(sound, 640)[::SHIFT] * np.hamming(640)
        power = 20 * np.log10(np.abs(np.fft.rfft(windows, paper.DFT_POINTS))[:, : paper.BINS])
        assert 25 < power.max() - np.median(power) < 35


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which built-in corpora are made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "repro"


def test_the_corpus_is_made_in_the_cache_and_read_as_a_table(cache: Path) -> None:
    table = load_corpus("planted-80ms")
    [folder] = cache.iterdir()
    assert len(table) == planted.SPEAKERS * len(paper.EMOTIONS) * planted.PER_CLASS
    counts = table.groupby(["speaker", "emotion"]).size()
    assert (counts == planted.PER_CLASS).all() and len(counts) == planted.SPEAKERS * 4
    assert set(table["samples"]) == {planted.SAMPLES}
    assert table.attrs["corpus"] == "planted-80ms"

    begun = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = load_corpus("planted-80ms")
    assert corpus_hash(again) == corpus_hash(table)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == begun
    assert corpus_hash(load_corpus("planted-80ms", folder)) == corpus_hash(table)


SPOILT: dict[str, Callable[[Path], object]] = {
    "purged": lambda folder: [path.unlink() for path in folder.glob("*_p0[01]_*")],
    "cut": lambda folder: next(folder.glob("*.wav")).write_bytes(b"RIFF"),
    "more": lambda folder: shutil.copy(next(folder.glob("*_00.wav")), folder / "v1_p99_sad_00.wav"),
    "file": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_cache_that_is_not_whole_is_made_again(spoil: Callable, cache: Path) -> None:
    table = load_corpus("planted-80ms")
    [folder] = cache.iterdir()
    spoil(folder)
    assert corpus_hash(load_corpus("planted-80ms")) == corpus_hash(table)
    for path in table["path"]:
        assert soundfile.info(path).frames == planted.SAMPLES
    assert list(cache.iterdir()) == [folder]


def test_a_full_disk_is_told_in_one_line(cache: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(ReproError, match=r"80ms-1: .*File too large.*set XDG_CACHE_HOME"):
            load_corpus("planted-80ms")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(cache.iterdir()) == []


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, monkeypatch) -> None:
    scale = planted.BY_TEXT["100 Hz"]
    monkeypatch.setattr(planted, "SPEAKERS", 2)
    monkeypatch.setattr(planted, "PER_CLASS", 1)

    def content(name: str, seed: int) -> list[bytes]:
        monkeypatch.setattr(planted, "SEED", seed)
        planted.make(scale, tmp_path / name)
        return [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]

    first = content("a", 0)
    assert len(first) == len(set(first)) == 8
    assert content("b", 0) == first
    other = content("c", 1)
    assert all(one != two for one, two in zip(first, other, strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_no_sample_is_clipped() -> None:
    for scale, name in product(planted.SCALES, planted.ARRANGEMENTS):
        sound = planted.signal(scale, name, np.random.default_rng(1))
        assert np.abs(sound).max() < 1
