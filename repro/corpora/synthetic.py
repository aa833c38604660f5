"""A small corpus of synthetic emotional speech, as a tree of IEMOCAP's shape.

It lets every page of the report run without a download, and it has the shape of the data of
Section 3.1: five sessions of a woman and a man, improvised dialogues, four emotions, lengths on
both sides of 2 s. It is no substitute for recorded speech and no result rests on it.

eSpeak (through Praat) speaks; the emotions are made from neutral speech by what the phonetics
literature agrees on (Banse and Scherer 1996; Burkhardt and Sendlmeier 2000; Scherer 2003):

anger
    higher pitch, wider range, faster, louder, much energy in the high frequencies
happiness
    the highest pitch, the widest range, a little faster and louder, somewhat brighter, formants
    raised by spread lips
sadness
    lower pitch, narrow range, slow, quiet, little energy in the high frequencies

Each utterance strays at random from its emotion's recipe, and each speaker has a voice of their
own, so that neither a single constant nor a single voice gives the emotion away.

R. Banse and K. R. Scherer, "Acoustic profiles in vocal emotion expression", Journal of Personality
and Social Psychology 70(3), 1996. F. Burkhardt and W. F. Sendlmeier, "Verification of acoustical
correlates of emotional speech using formant-synthesis", ISCA Workshop on Speech and Emotion, 2000.
K. R. Scherer, "Vocal communication of emotion: a review of research paradigms", Speech
Communication 40, 2003.
"""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from repro.corpora import cache, iemocap
from repro.corpora.record import Corpus
from repro.errors import ReproError
from repro.paper import SAMPLE_RATE

RECIPE_VERSION = 1  # in the cache folder's name; add one when the same seed gives other bytes
SPEAKERS, PER_EMOTION, SEED = 10, 5, 0  # of the corpus in the cache
NEUTRAL_LEVEL = 10 ** (-30 / 20)  # root mean square; leaves room for anger's peaks
# How the Mac's second, binary file beside a file on a foreign disk begins.
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \x00\x02\xff\xfe"
CHILD = Path(__file__).with_name("_speak.py")


class Voice(NamedTuple):
    """What is a speaker's own."""

    accent: str  # eSpeak's name of the language
    variant: str  # eSpeak's name of the voice
    pitch: float  # a multiple of the variant's own
    tract: float  # a multiple of the variant's formants; below 1 it is a longer vocal tract
    words_per_minute: int  # in neutral speech
    tilt: float  # of the spectrum, in dB an octave


class Style(NamedTuple):
    """How an emotion differs from neutral speech."""

    semitones: float  # by which the pitch is higher
    pitch_range: float  # a multiple of eSpeak's own
    rate: float  # a multiple of the speaker's words per minute
    level: float  # dB above neutral speech
    tilt: float  # of the spectrum, in dB an octave, on top of the speaker's
    formants: float  # a multiple of the speaker's


class Turn(NamedTuple):
    """One utterance to be made: its place in the tree, how it is said, and what."""

    dialogue: str  # its name, as IEMOCAP forms it
    utterance: str  # likewise
    label: str  # IEMOCAP's, a key of `STYLES`
    order: dict[str, str | float]  # to the text-to-speech child, the sentence in it
    formants: float  # a multiple of eSpeak's own
    tilt: float  # of the spectrum, in dB an octave
    level: float  # dB above `NEUTRAL_LEVEL`
    noise_seed: int  # of the background noise


AMERICAN, BRITISH = "English (America)", "English (Great Britain)"

# The woman and the man of session 1, of session 2, ...
VOICES = (
    Voice(AMERICAN, "Female1", 1.00, 1.00, 175, 0.0),
    Voice(AMERICAN, "Male3", 1.05, 1.00, 170, 0.0),
    Voice(BRITISH, "Female2", 0.95, 0.97, 165, -0.5),
    Voice(AMERICAN, "Male2", 1.20, 1.03, 180, 0.5),
    Voice(AMERICAN, "Steph", 1.05, 1.02, 180, 0.3),
    Voice(BRITISH, "Male7", 1.00, 0.95, 165, -0.3),
    Voice(AMERICAN, "Female5", 0.90, 0.96, 170, 0.4),
    Voice(AMERICAN, "Male6", 1.15, 0.98, 175, -0.4),
    Voice(BRITISH, "Female4", 1.10, 1.05, 185, 0.2),
    Voice(AMERICAN, "Michael", 1.10, 1.04, 160, 0.2),
)

STYLES = {
    "neu": Style(0.0, 1.0, 1.00, 0.0, 0.0, 1.00),
    "hap": Style(5.0, 1.8, 1.08, 3.0, 1.0, 1.08),
    "sad": Style(-3.0, 0.4, 0.78, -6.0, -5.5, 0.98),
    "ang": Style(3.0, 1.3, 1.20, 7.0, 7.0, 1.00),
    # Labels that a loader must refuse (excited unless it is asked for).
    "exc": Style(6.0, 1.9, 1.15, 4.0, 2.0, 1.08),
    "fru": Style(1.5, 1.1, 1.05, 3.0, 2.5, 1.00),
    "xxx": Style(1.0, 1.0, 1.00, 1.0, 0.0, 1.00),
}
EMOTIONS = ("neu", "hap", "sad", "ang")
DISTRACTORS = ("exc", "fru", "xxx")

# All emotions draw from the same sentences: the words say nothing about the emotion.
SENTENCES = (
    "You never told me.",
    "It's on the table.",
    "They already left.",
    "Give it to her, please.",
    "I have to go to the office now.",
    "We can talk about it tomorrow.",
    "She said that you would call me back.",
    "I waited at the station for an hour.",
    "The letter came this morning with the other mail.",
    "My brother is going to move to another city in May.",
    "I told you that the meeting was moved to Friday afternoon.",
    "They want us to fill in the same form all over again on Monday.",
    "When I came home last night, all the lights in the house were on.",
    "He said he would bring the car around and wait for us by the door.",
)


def ensure() -> Path:
    """Make the default corpus in the user's cache unless it is there; return its folder.

    Raises:
        ReproError: it cannot be made there.
    """
    name = f"synthetic-{RECIPE_VERSION}"
    return cache.ensure(name, lambda tree: _write_tree(tree, SPEAKERS, PER_EMOTION, SEED))


def make(
    directory: str | Path,
    *,
    speakers: int = SPEAKERS,
    per_emotion: int = PER_EMOTION,
    seed: int = SEED,
) -> Path:
    """Write the corpus; the same arguments give the same bytes.

    Args:
        directory: a folder that does not exist yet, or is empty.
        speakers: 2 to 10, filled session by session, a woman and a man each.
        per_emotion: utterances of each speaker in each of the four emotions; a few more with
            labels that a loader refuses come on top.
        seed: of everything random.

    Returns:
        The folder.

    Raises:
        ReproError: there are not so many voices, the folder is in use, or speech cannot be made.
    """
    directory = Path(directory)
    if not 2 <= speakers <= SPEAKERS:
        raise ReproError(f"the synthetic corpus has 2 to {SPEAKERS} speakers, not {speakers}")
    with cache.filled(directory) as tree:
        _write_tree(tree, speakers, per_emotion, seed)
    return directory


def _write_tree(tree: Path, speakers: int, per_emotion: int, seed: int) -> None:
    """Write every session; the sessions share nothing, so they are made side by side."""

    def write(session: int) -> None:
        members = range(2 * session, min(2 * session + 2, speakers))
        turns = [turn for i in members for turn in _turns(i, per_emotion, seed)]
        _write_session(tree / f"Session{session + 1}", turns)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range((speakers + 1) // 2)))


def _turns(speaker: int, per_emotion: int, seed: int) -> list[Turn]:
    """Plan what one speaker says: the four emotions at random, then what is to be refused."""
    rng = np.random.default_rng([seed, speaker])
    session, sex = f"Ses{speaker // 2 + 1:02d}", "FM"[speaker % 2]
    improvised = [f"{session}F_impro01", f"{session}M_impro02"]
    labels = [str(label) for label in rng.permutation(EMOTIONS * per_emotion)]
    plan = [(improvised[i % 2], label) for i, label in enumerate(labels)]
    plan += [(improvised[0], DISTRACTORS[speaker % 3]), (improvised[1], DISTRACTORS[-1])]
    plan += [(f"{session}F_script01_1", EMOTIONS[speaker % 4])]
    return [
        _turn(dialogue, f"{dialogue}_{sex}{i:03d}", label, VOICES[speaker], rng)
        for i, (dialogue, label) in enumerate(plan)
    ]


def _turn(
    dialogue: str, utterance: str, label: str, voice: Voice, rng: np.random.Generator
) -> Turn:
    """Draw the sentence and how far this utterance strays from the recipe of its label."""
    style = STYLES[label]
    formants = voice.tract * style.formants
    pitch = voice.pitch * 2 ** ((style.semitones + rng.normal(0, 1)) / 12)
    pitch_range = style.pitch_range * np.exp(rng.normal(0, 0.15))
    rate = voice.words_per_minute * style.rate * np.exp(rng.normal(0, 0.06))
    # Formants are moved by resampling, which moves pitch and rate too: that is taken off here.
    # Measured over its voices, eSpeak's pitch is 0.29 + 0.71 times Praat's multiplier (0.5 to 2).
    multiplier = np.clip((pitch / formants - 0.29) / 0.71, 0.5, 2.0)
    order: dict[str, str | float] = {
        "accent": voice.accent,
        "variant": voice.variant,
        "pitch": float(multiplier),
        "pitch_range": float(np.clip(pitch_range, 0.0, 2.0)),
        "words_per_minute": round(rate / formants),
        "text": str(rng.choice(SENTENCES)),
    }
    tilt = voice.tilt + style.tilt + rng.normal(0, 0.8)
    level = style.level + rng.normal(0, 1.5)
    noise_seed = int(rng.integers(2**32))
    return Turn(dialogue, utterance, label, order, formants, tilt, level, noise_seed)


def _write_session(folder: Path, turns: list[Turn]) -> None:
    """Speak and write the wav files, the evaluation files and the stray files of a session."""
    spoken = list(zip(turns, _speak(turns), strict=True))
    evaluations = folder / "dialog" / "EmoEvaluation"
    evaluations.mkdir(parents=True)
    for dialogue in sorted({turn.dialogue for turn in turns}):
        wavs = folder / "sentences" / "wav" / dialogue
        wavs.mkdir(parents=True)
        lines, end = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], 0.0
        for turn, sound in (each for each in spoken if each[0].dialogue == dialogue):
            waveform = _shape(sound, turn)
            wav = wavs / f"{turn.utterance}.wav"
            cache.write_wav(wav, waveform)
            start, end = end + 0.5, end + 0.5 + len(waveform) / SAMPLE_RATE
            times = f"[{start:.4f} - {end:.4f}]"
            lines.append(f"{times}\t{turn.utterance}\t{turn.label}\t[3.0000, 3.0000, 3.0000]")
        (evaluations / f"{dialogue}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for stray in (evaluations / f"._{dialogue}.txt", wav.with_name(f"._{wav.name}")):
            stray.write_bytes(APPLE_DOUBLE)


def _speak(turns: list[Turn]) -> list[np.ndarray]:
    """Run text to speech in a process of its own: float32 [samples] for each turn."""
    orders = json.dumps([turn.order for turn in turns])
    command = [sys.executable, "-P", str(CHILD)]
    child = subprocess.run(command, input=orders.encode(), capture_output=True, check=False)
    if child.returncode:
        reason = (child.stderr.decode(errors="replace").strip().splitlines() or ["no reason"])[-1]
        raise ReproError(f"speech synthesis failed ({reason}); is praat-parselmouth installed?")
    answer = io.BytesIO(child.stdout)
    return [np.load(answer, allow_pickle=False) for _ in turns]


def _shape(sound: np.ndarray, turn: Turn) -> np.ndarray:
    """Give formants, spectral balance, loudness and a quiet background: [samples] in [-1, 1]."""
    from scipy import signal  # takes most of a second, and only those who speak need it

    # eSpeak's 22,050 Hz are 441 / 320 of 16 kHz; taken as `formants` times that, formants rise.
    sound = signal.resample_poly(sound, 320, round(441 * turn.formants)).astype(np.float64)
    sound = _tilt(sound, turn.tilt)
    sound *= NEUTRAL_LEVEL * 10 ** (turn.level / 20) / np.sqrt(np.mean(sound**2))
    rng = np.random.default_rng(turn.noise_seed)
    noise = _tilt(rng.normal(size=len(sound)), -3.0)  # pink
    noise *= NEUTRAL_LEVEL * 10 ** (-rng.uniform(32, 42) / 20) / np.sqrt(np.mean(noise**2))
    mixed = sound + noise
    return mixed * min(1.0, 0.98 / np.abs(mixed).max())


def _tilt(waveform: np.ndarray, slope: float) -> np.ndarray:
    """Turn the spectrum about 500 Hz by `slope` dB an octave, down to 125 Hz."""
    from scipy import fft

    points = fft.next_fast_len(len(waveform), real=True)
    octaves = np.log2(np.fft.rfftfreq(points, 1 / SAMPLE_RATE).clip(125) / 500)
    spectrum = np.fft.rfft(waveform, points) * 10 ** (slope * octaves / 20)
    return np.fft.irfft(spectrum, points)[: len(waveform)]


CORPUS = Corpus(
    name="synthetic",
    title="synthetic speech",
    description="sentences by eSpeak in the shape of IEMOCAP",
    licence="built in",
    read=iemocap.utterances,
    ensure=ensure,
    women=iemocap.WOMEN,
)
