"""The page of `repro predict --plot`: what stands on it, whatever the files and the model are."""

import io
import os
import re
from base64 import b64decode
from pathlib import Path

import pytest
import soundfile
import torch
from PIL import Image

from repro import config
from repro.errors import ReproError
from repro.model import build_network
from repro.report.pages import prediction
from repro.tools import recogniser
from repro.tools.recogniser import NOT_FOR, Recogniser

CARD = {"corpus": {"name": "emodb"}, "speakers": 10, "by <i>": "& <script>"}


def model(*assignments: str) -> Recogniser:
    experiment = config.preset(", ".join(["smoke", "network.stride=(8,8)", *assignments]))
    return Recogniser(build_network(experiment.network).eval(), experiment, None, CARD)


def shown(model: Recogniser, seconds: float, picture: Path, name: str = "a.wav") -> str:
    noise = torch.randn(round(seconds * 16_000), generator=torch.Generator().manual_seed(0))
    scores = recogniser.scores(model, noise)
    return prediction.recording(model, Path(name), noise, scores, picture)


def inside(part: str, kind: str) -> io.BytesIO:
    found = re.search(f'data:{kind};base64,([^"]+)', part)
    assert found
    return io.BytesIO(b64decode(found[1]))


@pytest.mark.parametrize(("seconds", "columns"), [(1.5, 200), (3.21, 321), (30, 1000)])
def test_sound_and_pictures_have_one_time_axis(
    tmp_path: Path, seconds: float, columns: int
) -> None:
    part = shown(model(), seconds, tmp_path / "a.png")
    (tmp_path / "a.mp3").write_bytes(inside(part, "audio/mpeg").getvalue())
    sound, rate = soundfile.read(tmp_path / "a.mp3")
    assert rate == 16_000 and len(sound) / rate == pytest.approx(seconds, abs=1e-3)
    assert Image.open(inside(part, "image/jpeg")).size == (columns, prediction.ROWS)
    [width] = re.findall(r'viewBox="0 0 (\S+) ', part)
    assert float(width) == pytest.approx(columns, abs=1)
    [last] = re.findall(r" ([\d.]+),\S+\"/>", part)  # 0.4 s at the end need not be in a segment
    assert 0 <= columns - float(last) <= 40
    assert ("fills up" in part) == (seconds < 2)
    assert (tmp_path / "a.png").is_file()


def test_a_network_without_attention_says_so(tmp_path: Path) -> None:
    part = shown(model("network.pooling=gap"), 2, tmp_path / "a.png")
    assert "without attention (gap)" in part and "<svg" not in part
    assert not list(tmp_path.iterdir())
    page = prediction.write(tmp_path, Path("m"), model("network.pooling=gap"), [part])
    assert "Attention" not in page.read_text(encoding="utf-8")


def test_scores_are_bars() -> None:
    logits = prediction._bars({"neutral": -3.0, "happy": 0.0, "sad": 2.0, "angry": -1.0}, "sad")
    assert re.findall(r"width:(\S+)%", logits) == ["0.0", "60.0", "100.0", "40.0"]
    shares = prediction._bars({"neutral": 0.1, "happy": 0.2, "sad": 0.3, "angry": 0.4}, "angry")
    assert re.findall(r"width:(\S+)%", shares) == ["10.0", "20.0", "30.0", "40.0"]
    assert shares.count("class=best") == 1 and "<span>0.400</span></li></ul>" in shares


def test_what_others_named_is_only_text(tmp_path: Path) -> None:
    name = os.fsdecode(b'<b>&\xff".wav')
    part = shown(model(), 2, tmp_path / "a.png", name)
    page = prediction.write(tmp_path, Path("<u>.safetensors"), model(), [part])
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;" in text and not re.search(r"<(b>&|i>|u>|script)", text)
    assert "&amp; &lt;script&gt;" in text and f"</strong> {NOT_FOR}" in text
    assert not re.search('https?:|<script|src=(?!"data:)', text)


def test_a_page_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    for _ in range(2):  # its own it replaces
        prediction.prepare(tmp_path / "own")
        page = prediction.write(tmp_path / "own", Path("m"), model(), [])
    assert page.stat().st_size > 0
    other = tmp_path / "index.html"
    other.write_text("mine")
    with pytest.raises(ReproError, match=r"index\.html: .*name another folder"):
        prediction.prepare(tmp_path)
    with pytest.raises(ReproError, match=r"index\.html: cannot hold the page"):
        prediction.prepare(other)
    with pytest.raises(ReproError, match="cannot write the page"):
        prediction.write(other, Path("m"), model(), [])
