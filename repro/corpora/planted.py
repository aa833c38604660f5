"""Signals whose classes differ only in a pattern of known stretch, in time or in frequency.

Section 3.2 reads off accuracy how far a filter has to reach in time and in frequency. These signals
put that method to a test, since here the answer is known. Each is 2 s long, one segment, and holds
four pairs of events: clicks that lie T ms apart, or steady tones that lie F Hz apart. Of all eight
events four are loud and four are soft (half the amplitude), and the class is how they are paired:

`falling`
    loud, then soft (in frequency: the loud tone below the soft one)
`rising`
    soft, then loud
`level`
    two pairs of loud events, two of soft ones
`mixed`
    two falling pairs, two rising ones

So every signal of every class holds the same events: neither the spectrum nor the level nor any
stretch shorter than a pair tells the classes apart. Pairs lie at random, farther from each other
than T (or F) and a spectrogram's smear, so that no filter sees two pairs before it sees one whole.
A little white noise covers everything.

The classes bear the names of the four emotions because the network has these outputs; they have
nothing to do with emotion. The ten speakers are ten independent draws.
"""

import re
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from repro.corpora import cache
from repro.corpora.record import Corpus
from repro.corpora.table import named_utterances
from repro.paper import EMOTIONS, HIGHEST_HZ, SAMPLE_RATE, SEGMENT_SECONDS, WINDOW_SECONDS

RECIPE_VERSION = 1  # in every utterance's name; add one when the same seed gives other bytes
SPEAKERS = 10
PER_CLASS = 6  # utterances of a speaker and class
SEED = 0
SAMPLES = round(SEGMENT_SECONDS * SAMPLE_RATE)
LOUD, SOFT = 1.0, 0.5
# (first, second) of the four pairs; each list has four loud events and four soft ones.
FALL, RISE = (LOUD, SOFT), (SOFT, LOUD)
ARRANGEMENTS = {
    "falling": [FALL] * 4,
    "rising": [RISE] * 4,
    "level": [(LOUD, LOUD)] * 2 + [(SOFT, SOFT)] * 2,
    "mixed": [FALL] * 2 + [RISE] * 2,
}
PAIRS = 4
CLASS_OF = dict(zip(EMOTIONS, ARRANGEMENTS, strict=True))
# What the 40 ms window by Hamming smears a click and a tone over: its length; its main lobe, which
# is four times the inverse of that, from null to null.
SMEAR = {"ms": 1000 * WINDOW_SECONDS, "Hz": 4 / WINDOW_SECONDS}
LENGTH = {"ms": 1000 * SEGMENT_SECONDS, "Hz": float(HIGHEST_HZ)}
NOISE = 10 ** (-30 / 20)  # of a loud event, both as they appear in a frame's spectrum
WINDOW_SUM, WINDOW_SQUARES = 0.54, 0.397  # of a Hamming window, a sample
PEAK = 0.9
NAME = re.compile(rf"v{RECIPE_VERSION}_(?P<speaker>p\d\d)_(?P<emotion>[a-z]+)_\d\d\.(?i:wav)")


class Scale(NamedTuple):
    """How far apart the two events of a pair are."""

    size: int
    unit: Literal["ms", "Hz"]

    @property
    def text(self) -> str:
        """The scale in words, such as `40 ms`."""
        return f"{self.size} {self.unit}"

    @property
    def corpus(self) -> str:
        """The name of the corpus, such as `planted-40ms`."""
        return f"planted-{self.size}{self.unit.lower()}"


SCALES = (*(Scale(t, "ms") for t in (40, 80, 160)), *(Scale(f, "Hz") for f in (50, 100, 200)))
BY_NAME = {scale.corpus: scale for scale in SCALES}
BY_TEXT = {scale.text: scale for scale in SCALES}


def make(scale: Scale, folder: Path) -> None:
    """Write the signals of one scale into a new folder, always the same bytes."""
    folder.mkdir()
    for speaker, emotion, number in np.ndindex(SPEAKERS, len(EMOTIONS), PER_CLASS):
        rng = np.random.default_rng([SEED, speaker, emotion, number])
        name = f"v{RECIPE_VERSION}_p{speaker:02d}_{EMOTIONS[emotion]}_{number:02d}.wav"
        sound = signal(scale, CLASS_OF[EMOTIONS[emotion]], rng)
        cache.write_wav(folder / name, sound)


def signal(scale: Scale, arrangement: str, rng: np.random.Generator) -> np.ndarray:
    """Draw one signal of a class: [32000 samples] at 16 kHz; full scale is 1.

    The class is a key of `ARRANGEMENTS`; drawn are places, signs or phases, and noise.
    """
    pairs = rng.permutation(ARRANGEMENTS[arrangement])  # [pairs, 2]
    events = _starts(scale, rng)[:, None] + [0, scale.size]  # [pairs, 2], in ms or Hz
    make_events = _clicks if scale.unit == "ms" else _tones
    sound, spectral_peak = make_events(events.ravel(), pairs.ravel(), rng)
    # The spectrum of noise of unit power has a magnitude of √(sum of squared window) in a frame.
    deviation = NOISE * spectral_peak / np.sqrt(WINDOW_SQUARES * WINDOW_SECONDS * SAMPLE_RATE)
    return sound + rng.normal(0, deviation, SAMPLES)


def _starts(scale: Scale, rng: np.random.Generator) -> np.ndarray:
    """Draw where the pairs begin: [pairs], in ms or Hz.

    From the end of a pair to the next there is more than from its start to its end, by a smear, and
    a smear is left free at both ends of the axis.
    """
    smear = SMEAR[scale.unit]
    block = 2 * scale.size + smear
    slack = LENGTH[scale.unit] - 2 * smear - PAIRS * block + (scale.size + smear)
    return smear + block * np.arange(PAIRS) + np.sort(rng.uniform(0, slack, PAIRS))


def _clicks(
    times: np.ndarray, levels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Put one sample of either sign at each time (ms); a click's spectrum is flat."""
    sound = np.zeros(SAMPLES)
    at = np.round(times * SAMPLE_RATE / 1000).astype(int)
    sound[at] = PEAK * levels * rng.choice([-1, 1], len(at))
    return sound, PEAK


def _tones(
    hertz: np.ndarray, levels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Add a steady tone of random phase at each frequency; the sum of their peaks stays below 1."""
    amplitude = PEAK / levels.sum()
    phases = rng.uniform(0, 2 * np.pi, (len(hertz), 1))
    seconds = np.arange(SAMPLES) / SAMPLE_RATE
    tones = np.sin(2 * np.pi * hertz[:, None] * seconds + phases)
    return amplitude * levels @ tones, amplitude * WINDOW_SUM * WINDOW_SECONDS * SAMPLE_RATE / 2


READ = partial(
    named_utterances,
    "planted signals of this version",
    f"v{RECIPE_VERSION}_p00_neutral_00.wav",
    NAME,
    {emotion: emotion for emotion in EMOTIONS},
)
CORPORA = tuple(
    Corpus(
        name=name,
        title=name,
        description=f"no speech; classes differ in a pattern of {scale.text} alone",
        licence="built in",
        read=READ,
        ensure=partial(cache.ensure, f"{name}-{RECIPE_VERSION}", partial(make, scale)),
    )
    for name, scale in BY_NAME.items()
)
