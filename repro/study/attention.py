"""Where attention pooling looks in speech that it has not heard (Section 2.4.2).

While a fold's network is at hand, its maps over the held-out speaker's segments are measured: does
attention follow the loudness of the speech along time, or its periodicity, which is highest where
it has a pitch? And how widely is it spread? A few maps are kept as pictures.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional as F

from repro import paper, spectrogram, trainer
from repro.model import AttentionPooling, SpeechEmotionNetwork
from repro.results.pictures import pack

PITCH_HZ = 75, 500  # where a periodicity counts as a pitch
LAGS = slice(paper.SAMPLE_RATE // PITCH_HZ[1], paper.SAMPLE_RATE // PITCH_HZ[0] + 1)
FEWEST_COLUMNS = 4  # of a map that lie within an utterance: over fewer nothing is correlated
# How much of the pictures is kept, so that a fold's line stays near 60 KB.
SEGMENT_PICTURE, MAP_PICTURE = (80, 50), (25, 25)
DECIMALS = 3


class Maps(NamedTuple):
    """What a network sees in segments, and where it looks."""

    scores: Float[Tensor, "n 4"]  # after their softmax
    top_down: Float[Tensor, "n 4 h w"]
    bottom_up: Float[Tensor, "n h w"]  # after its softmax, if the network has one, it sums to 1


def measure(
    network: SpeechEmotionNetwork,
    segments: Iterable[Float[Tensor, "_ 1 bins frames"]],
    waveforms: Sequence[Float[Tensor, " _"]],
    predictions: pd.DataFrame,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Return where a network with attention pooling looks in a fold's test utterances.

    Args:
        network: trained.
        segments: of each utterance, `paper.TEST_HOP_SECONDS` apart, as the network reads them.
        waveforms: of each utterance, mono at 16 kHz.
        predictions: a row per utterance with its scores, as `crossval.run_fold` gives them.
        device: where to compute.

    Returns:
        What the key `attention` of a results line holds, that is, a list per measure with a number
        for each utterance, None where nothing varies, and `examples`. The measures are rank
        correlations over time, averaged over the utterance's segments, of the `bottom_up` map and
        of the `top_down` map of the predicted emotion, both summed over frequency, with `energy`
        and with `periodicity`, there called `pitch`; and the `spread` of the bottom-up map, its
        entropy as a share of the largest.
    """
    predicted = predictions[list(paper.EMOTIONS)].to_numpy().argmax(1).tolist()
    # Frames of the input behind one column of the map.
    step = network.settings.stride[1] * paper.POOL_WINDOW ** sum(network.trunk.pooled)
    measures, examples = [], {}
    rows = zip(predictions["utterance"], predictions["emotion"], predicted, strict=True)
    for row, cut, waveform in zip(rows, segments, waveforms, strict=True):
        utterance, emotion, taken = row
        seen = look(network, cut, device)
        measures.append(_measures(seen, waveform.cpu(), taken, step))
        case = emotion, paper.EMOTIONS[taken] == emotion
        if case not in examples:  # the first utterance of each emotion, right and wrong
            examples[case] = {"utterance": utterance} | _pictures(seen, cut, taken)
    columns = {name: [_rounded(each[name]) for each in measures] for name in measures[0]}
    return columns | {"examples": list(examples.values())}


def look(
    network: SpeechEmotionNetwork,
    segments: Float[Tensor, "n 1 bins frames"],
    device: torch.device | str = "cpu",
) -> Maps:
    """Return the scores and the attention maps of segments, see `trainer.in_batches`."""
    pooling = network.pooling
    assert isinstance(pooling, AttentionPooling)

    def maps(batch: Tensor) -> tuple[Tensor, ...]:
        top_down, bottom_up = pooling.maps(network.features(batch))
        return pooling.combine(top_down, bottom_up).softmax(1), top_down, bottom_up[:, 0]

    return Maps(*trainer.in_batches(network, segments, device, maps))


def energy(waveform: Float[Tensor, " samples"]) -> Float[Tensor, " frames"]:
    """Return the mean square of each window of 40 ms, one every 10 ms, of a signal at 16 kHz."""
    return spectrogram.windows(waveform).square().mean(1)


def periodicity(waveform: Float[Tensor, " samples"]) -> Float[Tensor, " frames"]:
    """Return how strongly each window of 40 ms repeats itself at a voice's pitch, from 0 to 1.

    One window every 10 ms, of a signal at 16 kHz; a voice's pitch is 75 to 500 Hz (`PITCH_HZ`).

    It is the highest peak of the autocorrelation, divided by that of the window, as in Boersma,
    "Accurate short-term analysis of the fundamental frequency" (1993). Unlike there, no window is
    too soft to count: the hum of a pause is periodic, too.
    """
    window = torch.hann_window(spectrogram.WINDOW, periodic=False)
    frames = spectrogram.windows(waveform)
    own = _autocorrelation((frames - frames.mean(1, keepdim=True)) * window)
    shape = _autocorrelation(window[None])
    ratio = own[:, LAGS] / own[:, :1].clamp_min(1e-12) / (shape[:, LAGS] / shape[:, :1])
    return ratio.amax(1).clamp(0, 1)


def _autocorrelation(frames: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(frames, n=2 * spectrogram.WINDOW)
    return torch.fft.irfft(spectrum.abs().square())


def _measures(
    seen: Maps, waveform: Float[Tensor, " samples"], predicted: int, step: int
) -> dict[str, float]:
    """Measure the maps of one utterance."""
    count, _, columns = seen.bottom_up.shape
    hop = round(paper.TEST_HOP_SECONDS / paper.SHIFT_SECONDS)  # frames
    # The silence that fills a segment up is no speech that one could look at.
    left = [len(waveform) / spectrogram.SHIFT - number * hop for number in range(count)]
    ends = [min(columns, math.ceil(frames / step)) for frames in left]
    waveform = F.pad(waveform, (0, spectrogram.SEGMENT))  # as much as the last may lack, or more
    sound = {}
    for name, of_frames in (("energy", energy), ("pitch", periodicity)):
        cut = of_frames(waveform).unfold(0, paper.FRAMES, hop)[:count]  # [n, frames]
        sound[name] = F.avg_pool1d(cut, step, ceil_mode=True).numpy()  # [n, columns]
    looks = {
        "bottom_up": seen.bottom_up.sum(1).numpy(),
        "top_down": seen.top_down[:, predicted].sum(1).numpy(),
    }
    return {
        f"{look}_{name}": float(pd.Series(map(_correlation, there, heard, ends)).mean())
        for look, there in looks.items()
        for name, heard in sound.items()
    } | {"spread": _spread(seen.bottom_up)}


def _correlation(a: np.ndarray, b: np.ndarray, end: int) -> float:
    """Return the rank correlation up to a column; NaN if one of the two does not vary."""
    end = min(end, len(a), len(b))
    if end < FEWEST_COLUMNS:
        return math.nan
    first, second = (rankdata(x[:end]) - (end + 1) / 2 for x in (a, b))
    norm = math.sqrt(first @ first * (second @ second))
    return float(first @ second) / norm if norm else math.nan


def _spread(bottom_up: Float[Tensor, "n h w"]) -> float:
    """Return the maps' mean entropy: 0 looks at one point, 1 everywhere alike."""
    positions = bottom_up[0].numel()
    if positions == 1:
        return math.nan
    return float(torch.special.entr(bottom_up).sum((1, 2)).mean() / math.log(positions))


def _pictures(seen: Maps, segments: Tensor, predicted: int) -> dict[str, Any]:
    """Keep the maps of the segment that speaks most clearly for the predicted emotion."""
    chosen = int(seen.scores[:, predicted].argmax())
    pictures = {
        "segment": (segments[chosen, 0].cpu(), SEGMENT_PICTURE),
        "bottom_up": (seen.bottom_up[chosen], MAP_PICTURE),
        "top_down": (seen.top_down[chosen, predicted], MAP_PICTURE),
    }
    return {name: pack(_reduced(*picture)) for name, picture in pictures.items()}


def _reduced(picture: Tensor, most: tuple[int, int]) -> np.ndarray:
    """Average neighbouring points until a picture has at most so many rows and columns."""
    size = min(picture.shape[0], most[0]), min(picture.shape[1], most[1])
    return F.adaptive_avg_pool2d(picture[None, None], size)[0, 0].numpy()


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DECIMALS)
