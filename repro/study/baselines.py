"""What the networks have to beat: two systems without any network, under the same folds.

`majority`
    always the commonest emotion of the training speakers
`prosody+spectrum`
    logistic regression on statistics of pitch, loudness, voice and spectrum, as the field used them
    before networks

All that could be chosen was chosen before any result was seen: the statistics are the usual ones,
measured by Praat with its standard settings, the classifier has scikit-learn's defaults. Both read
whole utterances, not 2 s segments, and the whole band up to 8 kHz.
"""

import numpy as np
import pandas as pd

from repro import audio
from repro.crossval import Fold
from repro.paper import EMOTIONS, SAMPLE_RATE

SYSTEMS = MAJORITY, CLASSIFIER = "majority", "prosody+spectrum"
STEP = 0.01  # seconds between measurements
PITCH = 75.0, 500.0  # Hz, lowest and highest
SHORTEST = 0.2  # seconds that Praat needs for its lowest pitch; shorter sounds are zero-padded
FORMANTS, COEFFICIENTS = 3, 12
SILENCE = -200.0  # dB: what is no sound at all has this harmonicity, and a loudness below it
SPLIT_HZ = 1000  # between the low and the high band of the spectral tilt


def measure(system: str, table: pd.DataFrame) -> np.ndarray | None:
    """Return what a system knows of a corpus: its `statistics`; nothing for the majority.

    Returns:
        [utterances, statistics], NaN where an utterance has none.
    """
    if system == MAJORITY:
        return None
    rows = [statistics(audio.load(path).numpy()) for path in table["path"]]
    return pd.DataFrame(rows).to_numpy(float)


def predict(
    system: str, table: pd.DataFrame, features: np.ndarray | None, fold: Fold
) -> pd.DataFrame:
    """Return the scores of a fold's held-out utterances, by a system fitted to the others.

    The system is one of `SYSTEMS`, the features are what `measure` gives for it and the table.

    Returns:
        A row per test utterance, with utterance, emotion (true) and a probability per class.
    """
    emotions = table["emotion"].to_numpy()
    test = table.iloc[fold.test][["utterance", "emotion"]].reset_index(drop=True)
    if system == MAJORITY or len(set(emotions[fold.train])) == 1:
        shares = pd.Series(emotions[fold.train]).value_counts(normalize=True)
        return test.assign(**{emotion: shares.get(emotion, 0.0) for emotion in EMOTIONS})
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert features is not None
    classifier = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=5000),
    ).fit(features[fold.train], emotions[fold.train])
    scores = pd.DataFrame(
        classifier.predict_proba(features[fold.test]), columns=list(classifier.classes_)
    )
    return test.join(scores.reindex(columns=list(EMOTIONS), fill_value=0.0))


def statistics(waveform: np.ndarray) -> dict[str, float]:
    """Return the statistics of one utterance, [samples] at 16 kHz, by name.

    Pitch is in semitones, loudness and harmonicity in dB, formants in Hz, duration in seconds. What
    has no value, such as the pitch of a whisper, is NaN.
    """
    import parselmouth
    from parselmouth.praat import call

    duration = len(waveform) / SAMPLE_RATE
    missing = round(SHORTEST * SAMPLE_RATE) - len(waveform)
    sound = parselmouth.Sound(np.pad(waveform.astype(float), (0, max(0, missing))), SAMPLE_RATE)
    lowest, highest = PITCH
    pitch = sound.to_pitch(STEP, lowest, highest)
    hertz = pitch.selected_array["frequency"]
    voiced = hertz > 0
    semitones = 12 * np.log2(np.where(voiced, hertz, np.nan))  # no change of pitch over a pause
    found = {"duration": duration, "voiced": float(voiced.mean())}
    found |= _summary("pitch", semitones) | _summary("pitch change", np.abs(np.diff(semitones)))
    loudness = sound.to_intensity(lowest, STEP).values.ravel()
    found |= _summary("loudness", loudness[loudness > SILENCE])
    harmonicity = sound.to_harmonicity_cc(STEP, lowest).values.ravel()
    found |= _summary("harmonicity", harmonicity[harmonicity > SILENCE])
    pulses = call([sound, pitch], "To PointProcess (cc)")
    found["jitter"] = call(pulses, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)
    found["shimmer"] = call([sound, pulses], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6)
    formants = sound.to_formant_burg(STEP)
    times = pitch.xs()[voiced]
    for number in range(1, FORMANTS + 1):
        values = [formants.get_value_at_time(number, time) for time in times]
        found |= _summary(f"formant {number}", np.array(values, float))
    for number, values in enumerate(sound.to_mfcc(COEFFICIENTS, time_step=STEP).to_array()):
        found |= _summary(f"MFCC {number}", values)
    spectrum = sound.to_spectrum()
    low = spectrum.get_band_energy(0, SPLIT_HZ)
    high = spectrum.get_band_energy(SPLIT_HZ, SAMPLE_RATE / 2)
    found["tilt"] = float(10 * np.log10(low / high)) if low > 0 and high > 0 else np.nan
    found["centroid"] = spectrum.get_centre_of_gravity()
    return found


def _summary(name: str, values: np.ndarray) -> dict[str, float]:
    """Return mean, standard deviation and range (first to last decile) of what there is."""
    values = values[np.isfinite(values)]
    if not len(values):
        return dict.fromkeys((f"{name} mean", f"{name} deviation", f"{name} range"), np.nan)
    low, high = np.quantile(values, [0.1, 0.9])
    return {
        f"{name} mean": float(values.mean()),
        f"{name} deviation": float(values.std()),
        f"{name} range": float(high - low),
    }
