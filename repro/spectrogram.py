"""From waveform to network input: Section 2.1.

An utterance is cut into 2 s segments. Each becomes a spectrogram of 400 bins of 10 Hz by 200 frames
of 10 ms, scaled to [-1, 1] and put through the µ-law of Eq. 1. Frequency grows with the row.

A segment is a signal of its own: outside it there is silence, not the rest of the utterance. Only
the frames whose window crosses a segment's edge can tell the difference, so the spectrum of the
utterance is computed once, segments are cut from it, and those few frames are computed again.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from repro import paper
from repro.config import FrontEnd

SEGMENT = round(paper.SEGMENT_SECONDS * paper.SAMPLE_RATE)  # 32,000 samples
WINDOW = round(paper.WINDOW_SECONDS * paper.SAMPLE_RATE)  # 640
SHIFT = round(paper.SHIFT_SECONDS * paper.SAMPLE_RATE)  # 160
LOUDEST = 1e15  # a recording's full scale is 1; the squared spectrum of this still fits float32
PAPER = FrontEnd()
LOG_FLOOR = 1e-4  # of the segment's maximum (80 dB), for the reading that takes logarithms


def segment_count(samples: int, hop_seconds: float, front_end: FrontEnd = PAPER) -> int:
    """Return how many segments an utterance gives: whole ones, and one if it is under 2 s.

    Where the reading pads the tail, what whole segments leave over gives one more.
    """
    hop = _hop(hop_seconds)
    left_over = max(0, samples - SEGMENT)
    return 1 + (-(-left_over // hop) if front_end.tail == "pad" else left_over // hop)


def segments(
    waveform: Float[Tensor, " samples"],
    front_end: FrontEnd,
    hop_seconds: float,
    limits: tuple[float, float] | None = None,
) -> Float[Tensor, "n 1 bins frames"]:
    """Return the network's input for every segment of one utterance.

    Args:
        waveform: mono signal at 16 kHz.
        front_end: which reading of Section 2.1.
        hop_seconds: from one segment's start to the next: 1.0 in training, 0.4 in test.
        limits: lowest and highest magnitude of the training set, where one scale serves all of it.

    Returns:
        [n, 1, 400, 200], or [n, 1, 400, 197] under `frames="whole"`; values in [-1, 1], or in
        [0, 1] where the scale only divides by a maximum.

    Raises:
        ValueError: the waveform is empty, the hop is no multiple of 10 ms, or limits are missing.
    """
    return normalise(magnitudes(waveform, front_end, hop_seconds), front_end, limits)


def magnitudes(
    waveform: Float[Tensor, " samples"], front_end: FrontEnd, hop_seconds: float
) -> Float[Tensor, "n 1 bins frames"]:
    """Return the spectrograms of an utterance's segments before any normalisation.

    As `segments`, but magnitudes, or their squares under `magnitude="power"`.

    Raises:
        ValueError: the waveform is empty, or the hop is no multiple of 10 ms.
    """
    if not len(waveform):
        raise ValueError("the waveform is empty")
    hop = _hop(hop_seconds)
    # By 1, which changes no bit, unless the sums below would overflow.
    waveform = waveform / (waveform.abs().amax() / LOUDEST).clamp_min(1)
    waveform = fill(waveform, front_end, hop_seconds)
    if front_end.frames == "whole":
        frames = spectrum_of(waveform.unfold(0, WINDOW, SHIFT), front_end)
        return frames.unfold(0, (SEGMENT - WINDOW) // SHIFT + 1, hop // SHIFT).unsqueeze(1)

    # Frame t is centred on t × 10 ms; of the 201 that a segment has, the last is left out.
    half = WINDOW // 2
    frames = spectrum_of(windows(waveform), front_end)
    cut = frames[:-1].unfold(0, paper.FRAMES, hop // SHIFT).clone()  # [n, bins, frames]
    own = waveform.unfold(0, SEGMENT, hop)  # [n, samples]
    first = F.pad(own[:, : WINDOW + SHIFT - half], (half, 0)).unfold(1, WINDOW, SHIFT)
    last = F.pad(own[:, SHIFT - WINDOW :], (0, SHIFT)).unsqueeze(1)
    edges = spectrum_of(torch.cat([first, last], 1), front_end).mT
    cut[:, :, :2], cut[:, :, -1:] = edges[:, :, :2], edges[:, :, 2:]
    return cut.unsqueeze(1)


def normalise(
    x: Float[Tensor, "n 1 bins frames"],
    front_end: FrontEnd,
    limits: tuple[float, float] | None = None,
) -> Float[Tensor, "n 1 bins frames"]:
    """Return the µ-law of magnitudes scaled to [-1, 1], or [0, 1] where the scale only divides.

    Raises:
        ValueError: as `scale` does.
    """
    return mu_law(scale(x, front_end, limits))


def scale(
    x: Float[Tensor, "n 1 bins frames"],
    front_end: FrontEnd,
    limits: tuple[float, float] | None = None,
) -> Float[Tensor, "n 1 bins frames"]:
    """Return each segment scaled linearly, by default from its minimum and maximum to [-1, 1].

    A segment without any contrast, such as digital silence, has its minimum everywhere.

    Raises:
        ValueError: one scale serves all segments, and its limits are not given.
    """
    if front_end.one_scale:
        if limits is None:
            raise ValueError("one scale for the training set needs the limits of that set")
        low, high = (x.new_full((), limit) for limit in limits)
        low = low if front_end.scale == "training-set" else torch.zeros_like(low)
        x = x.clamp(low, high)  # test segments may lie outside
    else:
        high = x.amax((1, 2, 3), keepdim=True)
        if front_end.scale == "segment-log":
            depth = LOG_FLOOR**2 if front_end.magnitude == "power" else LOG_FLOOR
            floor = (depth * high).clamp_min(torch.finfo(x.dtype).tiny)
            x = x.maximum(floor).log()
            high = x.amax((1, 2, 3), keepdim=True)
        low = x.amin((1, 2, 3), keepdim=True)
    if front_end.scale in ("segment-max", "training-set-max"):
        return x / high.clamp_min(torch.finfo(x.dtype).tiny)
    # In place, here and below: getting memory takes longer than any of these operations.
    return (x - low).mul_(2).div_((high - low).clamp_min(torch.finfo(x.dtype).tiny)).sub_(1)


def mu_law(x: Tensor) -> Tensor:
    """Return F(x) = sgn(x) ln(1 + µ|x|) / ln(1 + µ) for x in [-1, 1], µ = 255 (Eq. 1)."""
    return x.abs().mul_(paper.MU).add_(1).log_().div_(math.log1p(paper.MU)).copysign_(x)


def _hop(hop_seconds: float) -> int:
    hop = round(hop_seconds * paper.SAMPLE_RATE)
    if hop <= 0 or hop % SHIFT:
        raise ValueError(f"a hop of {hop_seconds} s is no multiple of the 10 ms between frames")
    return hop


def fill(
    waveform: Float[Tensor, " samples"], front_end: FrontEnd, hop_seconds: float
) -> Float[Tensor, " filled"]:
    """Return an utterance as long as its segments, filled up if it is too short for the last.

    What is filled already comes back as it is, and so does any stretch of whole segments of it. The
    arguments are those of `segments`.

    Raises:
        ValueError: the hop is not a multiple of 10 ms.
    """
    last = segment_count(len(waveform), hop_seconds, front_end) - 1
    missing = last * _hop(hop_seconds) + SEGMENT - len(waveform)
    if missing <= 0:
        return waveform
    if last == 0 and front_end.short == "repeat":
        return waveform.repeat(-(-SEGMENT // len(waveform)))[:SEGMENT]
    return F.pad(waveform, (0, missing))


def windows(waveform: Float[Tensor, " samples"]) -> Float[Tensor, "windows 640"]:
    """Return what each window of 40 ms holds of a signal, centred every 10 ms from its start on."""
    return F.pad(waveform, (WINDOW // 2, WINDOW // 2)).unfold(0, WINDOW, SHIFT)


def spectrum_of(frames: Tensor, front_end: FrontEnd) -> Tensor:
    """[..., frames, 640 samples] to [..., frames, 400 bins]: Hamming window, DFT of 1600 points."""
    periodic = front_end.window == "periodic"
    window = torch.hamming_window(WINDOW, periodic, device=frames.device, dtype=frames.dtype)
    first = 0 if front_end.bins == "0-399" else 1
    spectrum = torch.fft.rfft(frames * window, n=paper.DFT_POINTS)
    parts = torch.view_as_real(spectrum[..., first : first + paper.BINS])
    power = parts[..., 0].square().add_(parts[..., 1].square())
    return power if front_end.magnitude == "power" else power.sqrt_()
