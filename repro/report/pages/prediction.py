"""The page of `repro predict --plot`: each recording to hear, and what the network made of it.

It is one file that can be mailed: pictures and sound are inside, as the network had them, and it
asks for nothing else. An hour of speech adds about 20 MB, an utterance some 30 KB.
"""

import io
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping
from html import escape
from itertools import chain, count
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
import torch
from jaxtyping import Float
from matplotlib.image import imsave
from torch import Tensor

from repro import files, paper, spectrogram
from repro.config import FrontEnd
from repro.errors import ReproError
from repro.model import AttentionPooling
from repro.report import plots
from repro.tools import recogniser as tool
from repro.tools.recogniser import Attention, Recogniser

COLUMNS = 1200  # of a picture, at most: as many points as a wide screen has for it
ROWS = 200  # two bins of 10 Hz each
STEPS = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 2400)  # seconds between marks of time
MARKS = 6  # at most, which is what a phone has room for
ABOUT_ATTENTION = """
Attention is how much the network looks at a moment, averaged over the segments there. At 1×, the
dashed line, a moment gets as much as if the network looked everywhere alike. It says where the
network looked, not why."""
PAGE, MAKER = "index.html", "repro predict"  # the maker's name stands in pages and pictures
MADE_BY = f'<meta name="generator" content="{MAKER}">'


def recording(
    recogniser: Recogniser,
    path: Path,
    waveform: Float[Tensor, " samples"],
    scores: Mapping[str, float],
    picture: Path,
    *,
    device: torch.device | str = "cpu",
) -> str:
    """Return a recording's part of the page, as HTML; draw its attention maps into a file.

    Args:
        recogniser: that scored it.
        path: its file.
        waveform: mono at 16 kHz.
        scores: of each emotion, from `recogniser.scores`.
        picture: the PNG file to write, if the network has attention.
        device: where to compute.

    Raises:
        ReproError: the picture cannot be written.
    """
    front_end, pooling = recogniser.experiment.front_end, recogniser.experiment.network.pooling
    heard = spectrogram.fill(waveform, front_end, paper.TEST_HOP_SECONDS)
    name, seconds = escape(str(path)), len(waveform) / paper.SAMPLE_RATE
    strip = ""
    said = (
        f"This network pools without attention ({pooling}): it does not say which stretch counts."
    )
    if isinstance(recogniser.network.pooling, AttentionPooling):
        seen = tool.attention_maps(recogniser, waveform, device=device)
        _draw(seen, picture, power=front_end.magnitude == "power")
        strip, said = _strip(seen.over_time, len(heard)), "Below: attention over time."
    if len(heard) > len(waveform):
        said += (
            f" The recording ends at {seconds:.1f} s; the rest fills up a segment of two seconds."
        )
    best = max(scores, key=scores.__getitem__)
    return f"""<section>
<h2>{name}</h2>
<div class="heard">
<p class="best">{best}</p>
{_bars(scores, best)}
<audio controls preload="metadata" src="{_sound(waveform)}"></audio>
</div>
<figure>
<div class="plot">
<div class="y"><span style="top:0">4 kHz</span><span style="bottom:0">0</span></div>
<img src="{_spectrogram(heard)}" alt="Spectrogram of {name}, 0 to 4 kHz, {seconds:.1f} s">
{strip}
<div class="time">{_marks(len(heard) / paper.SAMPLE_RATE)}</div>
</div>
<figcaption>Spectrogram. {said}</figcaption>
</figure>
</section>"""


def prepare(folder: Path) -> None:
    """Make the folder of a page, if it is not there.

    Raises:
        ReproError: another page of this name is there, or none can be written.
    """
    page = folder / PAGE
    with files.refused(f"{folder}: cannot hold the page"):
        folder.mkdir(parents=True, exist_ok=True)
        if page.exists() and MADE_BY.encode() not in page.read_bytes():
            raise ReproError(f"{page}: not of `repro predict`; name another folder")


def picture_of(recording: Path, folder: Path, taken: Collection[Path]) -> Path:
    """Return where to draw a recording: numbered if one of its name is taken, or not made here."""
    ends = chain([""], (f"-{number}" for number in count(2)))
    paths = (folder / f"{recording.stem}{end}.png" for end in ends)
    free = (path for path in paths if path not in taken)
    return next(p for p in free if not p.exists() or MAKER.encode() in p.read_bytes())


def write(folder: Path, model: Path, recogniser: Recogniser, recordings: Iterable[str]) -> Path:
    """Write the page of some recordings, `index.html`, and return its path.

    Args:
        folder: where to write it, from `prepare`.
        model: the file of the recogniser.
        recogniser: that scored them.
        recordings: a part of the page each, from `recording`.

    Raises:
        ReproError: it cannot be written.
    """
    page = folder / PAGE
    # Names of files need not be text.
    whole = _page(model.name, recogniser, recordings).encode("utf-8", "xmlcharrefreplace")
    with files.refused(f"{page}: cannot write the page"):
        files.write_whole(page, whole)
    return page


def _page(model: str, recogniser: Recogniser, recordings: Iterable[str]) -> str:
    lines = [line.partition(": ") for line in tool.model_card(recogniser).splitlines()]
    card = "\n".join(
        f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>"
        for name, _, said in lines
        if name != "not for"
    )
    looks = isinstance(recogniser.network.pooling, AttentionPooling)
    body = "\n".join(recordings)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{MADE_BY}
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>Emotions by {escape(model)}</title>
<style>
{CSS}</style>
</head>
<body>
<h1>Emotions by {escape(model)}</h1>
<p class="warning"><strong>Not for judging people.</strong> {escape(tool.NOT_FOR)}</p>
{body}
<h2>How to read it</h2>
<p>A recording is scored in overlapping segments of two seconds, and its scores are their average.
Sound and spectrogram are what the network has of it: one channel at 16&nbsp;kHz, up to 4&nbsp;kHz.
{ABOUT_ATTENTION if looks else ""}</p>
<h2>The model</h2>
<dl>
{card}
</dl>
</body>
</html>
"""


def _bars(scores: Mapping[str, float], best: str) -> str:
    """Draw the scores from 0 to 1; logits, which may lie outside, from their lowest to highest."""
    low, high = min(0, *scores.values()), max(1, *scores.values())
    rows = "".join(
        f"<li{' class=best' * (name == best)}><span>{name}</span><span class='bar'>"
        f"<i style='width:{100 * (score - low) / (high - low):.1f}%'></i></span>"
        f"<span>{score:.3f}</span></li>"
        for name, score in scores.items()
    )
    return f"<ul>{rows}</ul>"


def _spectrogram(waveform: Float[Tensor, " samples"]) -> str:
    """Draw the spectrum up to 4 kHz in decibels, the loudest of each column's frames."""
    frames = spectrogram.windows(waveform)[:-1]
    columns = []
    for part in frames.split(_frames_per_column(len(frames))):
        columns.append(spectrogram.spectrum_of(part, FrontEnd()).amax(0).view(ROWS, -1).amax(1))
    magnitude = torch.stack(columns, 1)
    relative = magnitude / magnitude.max().clamp_min(torch.finfo().tiny)
    decibels = 20 * relative.clamp_min(plots.FLOOR).log10()
    image = io.BytesIO()
    floor = 20 * np.log10(plots.FLOOR)
    imsave(image, decibels.flip(0), floor, 0, "magma", "jpeg", "upper")
    return _data("image/jpeg", image)


def _frames_per_column(frames: int) -> int:
    return -(-frames // COLUMNS)


def _strip(over_time: Float[Tensor, " time"], samples: int) -> str:
    """Draw attention on the time axis of a waveform that has so many samples."""
    step = _frames_per_column(samples // spectrogram.SHIFT)
    values = [float(part.mean()) for part in over_time.split(step)]
    top = max(2, *values)
    points = " ".join(f"{i + 0.5},{top - value:.2f}" for i, value in enumerate(values))
    width = samples / spectrogram.SHIFT / step
    return f"""<div class="y"><span style="top:0">{top:.1f}×</span>
<span style="bottom:calc({100 / top:.1f}% - .5em)">1×</span></div>
<svg viewBox="0 0 {width:.2f} {top:.2f}" preserveAspectRatio="none" role="img"
 aria-label="Attention over time, at most {max(values):.1f} times an even share">
<polygon points="0,{top:.2f} {points} {len(values)},{top:.2f}"/>
<line x2="{width:.2f}" y1="{top - 1:.2f}" y2="{top - 1:.2f}"/>
</svg>"""


def _marks(seconds: float) -> str:
    """Mark the time, over the spectrogram and the attention below it."""
    step = next((step for step in STEPS if seconds / step <= MARKS), STEPS[-1])
    times = np.arange(0, 0.95 * seconds, step)
    return "".join(
        f"<span style='left:{100 * time / seconds:.2f}%'><b>{_clock(time, seconds)}</b></span>"
        for time in times
    )


def _clock(time: float, longest: float) -> str:
    if longest < 120:
        return f"{time:g} s"
    minutes, seconds = divmod(round(time), 60)
    return f"{minutes}:{seconds:02}"


def _sound(waveform: Float[Tensor, " samples"]) -> str:
    """Encode sound as MP3, which every browser plays, whatever the recording's own format."""
    loudest = waveform.abs().max().clamp_min(1)
    file = io.BytesIO()
    samples = (waveform / loudest).numpy()
    soundfile.write(file, samples, paper.SAMPLE_RATE, format="MP3", compression_level=0.9)
    return _data("audio/mpeg", file)


def _data(kind: str, file: io.BytesIO) -> str:
    return f"data:{kind};base64,{b64encode(file.getvalue()).decode()}"


def _draw(seen: Attention, path: Path, *, power: bool) -> None:
    matplotlib.rcdefaults()  # a file of settings may ask for LaTeX, or hide what is drawn
    with files.refused(f"{path}: cannot write the plot"):
        plots.attention(seen, power=power).savefig(path, dpi=150, metadata={"Software": MAKER})


CSS = """\
:root { color-scheme: light dark; --text: #1c1e21; --soft: #5b6168; --line: #d5d9de; --page: #fff;
  --accent: #0b6bb0; --bar: #9aa3ad; --warn: #fff4d6; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e8eb; --soft: #a4abb3; --line: #3a4048; --page: #15181c; --accent: #58b0ee;
    --bar: #6d7680; --warn: #3a3014; }
}
* { box-sizing: border-box; }
body { max-width: 72rem; margin: 0 auto; padding: 1rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
p, dd { max-width: 44rem; }
.warning { max-width: none; padding: .6rem .9rem; border-radius: .4rem; background: var(--warn); }
section { margin: 2rem 0; padding-top: 1.2rem; border-top: 1px solid var(--line); }
.best { font-weight: 700; }
p.best { margin: 0 0 .4rem; font-size: 1.6rem; line-height: 1.2; color: var(--accent); }
ul { margin: 0 0 1rem; padding: 0; list-style: none; }
li { display: grid; grid-template-columns: 4.7rem 1fr 3.5rem; gap: .5rem; align-items: center; }
li span:last-child { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.bar { height: .7rem; border-radius: .2rem; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--bar); print-color-adjust: exact; }
.best .bar i { background: var(--accent); }
audio { display: block; width: 100%; }
figure { margin: 1rem 0 0; }
.plot { position: relative; display: grid; grid-template-columns: 3rem 1fr; row-gap: .6rem;
  padding-bottom: 1.4rem; }
.plot img { display: block; width: 100%; height: 11rem; }
.plot svg { display: block; width: 100%; height: 4.5rem; }
polygon { fill: var(--accent); }
line { stroke: var(--text); stroke-dasharray: 4 4; vector-effect: non-scaling-stroke; }
.y { position: relative; font-size: .8rem; line-height: 1; color: var(--soft); }
.y span { position: absolute; right: .4rem; white-space: nowrap; }
.time { position: absolute; inset: 0 0 0 3rem; font-size: .8rem; color: var(--soft); }
.time span { position: absolute; top: 0; bottom: 1.2rem; border-left: 1px dotted #8886; }
.time b { position: absolute; top: 100%; transform: translateX(-50%); font-weight: 400;
  white-space: nowrap; }
figcaption { margin: .2rem 0 0 3rem; font-size: .85rem; color: var(--soft); }
dt { font-weight: 700; }
dd { margin: 0 0 .4rem; }
@media (min-width: 50rem) {
  section { display: grid; grid-template-columns: 17rem 1fr; column-gap: 2rem; }
  section h2 { grid-column: 1 / -1; }
  figure { margin: 0; }
  dl { display: grid; grid-template-columns: 12rem 1fr; }
}
"""
