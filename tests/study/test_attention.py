import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny_corpus
import torch
from made_up import file_of

from repro import crossval, paper, results, spectrogram
from repro.config import Experiment, FrontEnd, Network, Training
from repro.model import build_network
from repro.report.pages import attention as page
from repro.study import attention, fold, grids
from repro.study.grids import Variant
from repro.study.plan import Plan, Run, Task

EMOTIONS = list(paper.EMOTIONS)
NETWORK = Network(stem_channels=2, trunk=(4, 4, 4, 4), stride=(8, 4))
TINY = Experiment(network=NETWORK, training=Training(epochs=1, batch_size=8, milestones=()))
COLUMNS = 12  # 200 frames, every fourth of them, pooled twice
STEP = 16  # frames behind a column
CPU = torch.device("cpu")


def tone(seconds: float, hertz: float = 150) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * 16_000)) / 16_000)


def noise(seconds: float) -> torch.Tensor:
    return torch.randn(round(seconds * 16_000), generator=torch.Generator().manual_seed(0))


INNER = slice(3, -3)  # without the windows that hang over an end


def predictions_of(predicted: list[str], emotions: list[str] | None = None) -> pd.DataFrame:
    scores = pd.get_dummies(pd.Categorical(predicted, EMOTIONS)).astype(float)
    names = [f"u{number}" for number in range(len(predicted))]
    return pd.DataFrame({"utterance": names, "emotion": emotions or predicted}).join(scores)


def measure(sounds: list[torch.Tensor], predictions: pd.DataFrame | None = None) -> dict[str, Any]:
    segments = [spectrogram.segments(w, FrontEnd(), paper.TEST_HOP_SECONDS) for w in sounds]
    torch.manual_seed(0)
    predicted = predictions_of(["sad"] * len(sounds)) if predictions is None else predictions
    return attention.measure(build_network(NETWORK), segments, sounds, predicted)


# What is heard -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hertz", [80, 150, 400])
def test_a_tone_in_the_range_of_voices_is_periodic(hertz: float) -> None:
    assert attention.periodicity(tone(1, hertz))[INNER].min() > 0.95


def test_noise_and_silence_have_no_pitch() -> None:
    assert attention.periodicity(noise(1))[INNER].mean() < 0.5
    assert attention.periodicity(torch.zeros(8000)).abs().max() == 0


def test_a_soft_tone_is_as_periodic_as_a_loud_one() -> None:
    """The page says so: pauses count."""
    soft, loud = attention.periodicity(0.001 * tone(1)), attention.periodicity(tone(1))
    torch.testing.assert_close(soft, loud, atol=1e-3, rtol=0)


def test_energy_is_that_of_the_window() -> None:
    loud, soft = tone(1), 0.1 * tone(1)
    found = attention.energy(torch.cat([loud, soft]))
    assert found[50] == pytest.approx(0.5, rel=0.02)
    assert found[150] == pytest.approx(0.005, rel=0.02)
    # A window for each frame of the spectrogram, centred like it, and one behind the last.
    frames = spectrogram.magnitudes(torch.cat([loud, soft]), FrontEnd(), 1.0).shape[-1]
    assert len(found) == frames + 1


# What is measured --------------------------------------------------------------------------------


def follow(curve: torch.Tensor) -> Any:
    """Stand in for a network whose maps follow a curve over the columns, in all segments."""

    def look(network: Any, segments: torch.Tensor, device: Any = "cpu") -> attention.Maps:
        bottom_up = curve.expand(len(segments), 25, COLUMNS)
        bottom_up = bottom_up / bottom_up.sum((1, 2), keepdim=True)
        top_down = torch.zeros(len(segments), 4, 25, COLUMNS)
        top_down[:, EMOTIONS.index("sad")] = -bottom_up
        return attention.Maps(torch.full((len(segments), 4), 0.25), top_down, bottom_up)

    return look


def test_a_map_that_follows_energy_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    swell = torch.linspace(0.05, 1, 32_000)
    monkeypatch.setattr(attention, "look", follow(torch.linspace(1, 2, COLUMNS)))
    found = measure([noise(2) * swell, noise(2) * swell.flip(0)])
    assert found["bottom_up_energy"][0] > 0.9 and found["bottom_up_energy"][1] < -0.9
    assert abs(found["bottom_up_pitch"][0]) < 0.9
    # The map of the predicted emotion counts, here the mirror image.
    assert found["top_down_energy"] == [-x for x in found["bottom_up_energy"]]


def test_a_map_that_follows_pitch_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # Equally loud throughout, ever more a tone and less a noise.
    share = torch.linspace(0, 1, 32_000)
    sound = share.sqrt() * tone(2) * 2**0.5 + (1 - share).sqrt() * noise(2)
    monkeypatch.setattr(attention, "look", follow(torch.linspace(1, 2, COLUMNS)))
    found = measure([sound])
    assert found["bottom_up_pitch"][0] > 0.9
    assert found["bottom_up_energy"][0] < 0.7


def test_the_silence_that_fills_up_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    # The sound grows, the map falls while there is sound and is highest where there is none.
    curve = torch.cat([torch.linspace(2, 1, 6), torch.full((6,), 9.0)])
    monkeypatch.setattr(attention, "look", follow(curve))
    grows = noise(0.96) * torch.linspace(0.05, 1, 15_360)
    assert measure([grows])["bottom_up_energy"][0] < -0.9


def test_what_does_not_vary_has_no_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "look", follow(torch.ones(COLUMNS)))
    found = measure([noise(2), tone(0.3)])
    assert found["bottom_up_energy"] == [None, None]
    assert found["spread"] == [1.0, 1.0]
    monkeypatch.setattr(attention, "look", follow(torch.eye(COLUMNS)[3]))
    spread = measure([noise(2)])["spread"][0]
    assert spread == pytest.approx(math.log(25) / math.log(25 * COLUMNS), abs=1e-3)


def test_each_segment_is_compared_with_its_own_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 4.4  # seven segments
    sound = noise(seconds) * (1 + tone(seconds, 0.7)).sqrt()
    heard = attention.energy(sound)

    def look(network: Any, segments: torch.Tensor, device: Any = "cpu") -> attention.Maps:
        own = [heard[40 * n : 40 * n + 192].reshape(12, STEP).mean(1) for n in range(7)]
        bottom_up = torch.stack(own)[:, None].expand(7, 25, COLUMNS)
        return attention.Maps(torch.ones(7, 4) / 4, torch.zeros(7, 4, 25, COLUMNS), bottom_up)

    monkeypatch.setattr(attention, "look", look)
    assert measure([sound])["bottom_up_energy"] == [1.0]


@pytest.mark.parametrize("front_end", [FrontEnd(), FrontEnd(frames="whole"), FrontEnd(tail="pad")])
@pytest.mark.parametrize("stride", [(1, 1), (8, 8)])
def test_any_front_end_and_network_will_do(front_end: FrontEnd, stride: tuple[int, int]) -> None:
    network = build_network(replace(NETWORK, stride=stride))
    waveforms = [noise(0.1), noise(1.9), noise(2.9)]
    segments = [spectrogram.segments(w, front_end, paper.TEST_HOP_SECONDS) for w in waveforms]
    found = attention.measure(network, segments, waveforms, predictions_of(["sad", "happy", "sad"]))
    assert all(len(found[name]) == 3 for name in results.ATTENTION_COLUMNS)
    assert found["bottom_up_energy"][0] is None, "a tenth of a second has too few columns"
    assert all(-1 <= found[name][2] <= 1 for name in results.ATTENTION_COLUMNS)


def test_maps_are_those_of_the_pooling() -> None:
    torch.manual_seed(0)
    network = build_network(NETWORK)
    segments = spectrogram.segments(noise(3), FrontEnd(), paper.TEST_HOP_SECONDS)
    network.train()
    seen = attention.look(network, segments)
    assert network.training, "left as it came"
    network.eval()
    with torch.no_grad():
        expected = network(segments).softmax(1)
    assert torch.allclose(seen.scores, expected, atol=1e-6)
    assert torch.allclose(seen.bottom_up.sum((1, 2)), torch.ones(len(segments)))


# What is kept ------------------------------------------------------------------------------------


def test_the_first_right_and_the_first_wrong_of_each_emotion_are_kept() -> None:
    truth = ["sad", "sad", "happy", "sad", "happy", "sad"]
    taken = ["sad", "happy", "happy", "sad", "happy", "angry"]
    found = measure([noise(2)] * 6, predictions=predictions_of(taken, truth))
    assert [each["utterance"] for each in found["examples"]] == ["u0", "u1", "u2"]
    shapes = {name: found["examples"][0][name]["shape"] for name in results.PICTURES}
    assert shapes == {"segment": [80, 50], "bottom_up": [12, 12], "top_down": [12, 12]}


def test_pictures_of_the_paper_s_network_keep_a_line_near_60_kb() -> None:
    network = build_network(Network())
    segments = [spectrogram.segments(noise(2), FrontEnd(), paper.TEST_HOP_SECONDS)] * 8
    truth = EMOTIONS * 2
    taken = EMOTIONS + EMOTIONS[::-1]
    found = attention.measure(network, segments, [noise(2)] * 8, predictions_of(taken, truth))
    assert len(found["examples"]) == 8
    assert len(json.dumps(found)) < 62_000


@pytest.fixture(scope="module")
def features(corpus: Path) -> crossval.Features:
    return crossval.extract(tiny_corpus.table(corpus), TINY.front_end)


def tasks(features: crossval.Features) -> list[Task]:
    networks = {name: replace(NETWORK, pooling=name) for name in ("gap", "attention")}
    grid = {
        name: Variant(name, replace(TINY, network=network), attends=name == "attention")
        for name, network in networks.items()
    }
    return Plan(Run("pooling"), grid, {(None, "hap"): features.table}, {}).tasks()


def test_a_line_of_the_attention_network_holds_maps_and_others_none(
    features: crossval.Features, path: Path
) -> None:
    records = [fold.run_task(t, features, CPU, "fp32") for t in tasks(features)]
    kept = {(each["variant"], "attention" in each) for each in records}
    assert kept == {("gap", False), ("attention", True)}
    read = results.read(file_of(path, *records))
    attended = read.predictions[read.predictions["variant"] == "attention"]
    assert read.attention["utterance"].to_list() == attended["utterance"].to_list()
    assert read.attention["predicted"].to_list() == attended["predicted"].to_list()
    assert read.attention["spread"].between(0, 1).all()
    assert set(read.examples["utterance"]) <= set(attended["utterance"])
    assert isinstance(read.examples["segment"].iloc[0], np.ndarray)
    assert set(read.attention["variant"]) == {"attention"}


def test_measuring_changes_no_prediction(features: crossval.Features) -> None:
    task = next(task for task in tasks(features) if task.heading["variant"] == "attention")
    with_maps = fold.run_task(task, features, CPU, "fp32")
    plain = task._replace(variant=replace(task.variant, attends=False))
    without = fold.run_task(plain, features, CPU, "fp32")
    assert "attention" in with_maps and "attention" not in without
    for name in ("predictions", "history"):
        assert with_maps[name] == without[name]


@pytest.mark.parametrize("study", ["pooling", "readings", "protocol"])
def test_maps_of_the_last_epoch_are_not_kept_beside_scores_of_the_best(study: str) -> None:
    for epoch in ("last", "best-on-test"):
        grid = grids.variants(study, f"paper, protocol.epoch={epoch}").values()
        attend = [variant.name for variant in grid if variant.attends]
        assert attend == (["attention" if study == "pooling" else "default"])[: epoch == "last"]
    for shifted in ("network.padding=none", "front_end.frames=whole"):
        grid = grids.variants(study, f"paper, {shifted}").values()
        assert not any(variant.attends for variant in grid), "sound and map would not align"


# Pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speakers", [2, 5])
def test_the_answer_needs_five_speakers(speakers: int) -> None:
    rows = [
        {"fold": f"s{speaker}", "seed": 0, "utterance": f"u{speaker}{emotion}", "corpus": "emodb"}
        | {"emotion": emotion, "predicted": "sad", "spread": 0.5, "held_out": "speaker"}
        | dict.fromkeys(("bottom_up_energy", "top_down_energy"), 0.3 + speaker / 100)
        | dict.fromkeys(("bottom_up_pitch", "top_down_pitch"), 0.0)
        for speaker in range(speakers)
        for emotion in EMOTIONS
    ]
    measured = pd.DataFrame(rows)
    kept = pd.DataFrame({"emotion": ["sad"], "bottom_up": [np.ones((4, 5), np.float32)]})
    said = page.answer(page.averages(measured), kept, "coarse").data
    assert "keep, of 1 utterance, 25% of the attention lies below 1 kHz; a plain" in said
    sure = " [17, 17]" * (speakers >= 5)
    assert f"as concentrated as one that lies evenly on 17{sure} of 300 positions." in said
    follows = "follows the energy of the sound (rank correlation over time 0.32 [0."
    assert (follows in said and "hardly follows its periodicity (0.00 [" in said) == (speakers >= 5)
    assert ("There is no interval: it needs 5 speakers" in said) == (speakers < 5)


def test_attention_by_frequency_is_beside_that_of_a_plain_average() -> None:
    even, low = np.ones((4, 5), np.float32), np.zeros((4, 5), np.float32)
    low[0] = 3
    examples = pd.DataFrame({"emotion": ["sad", "angry"], "bottom_up": [even, low]})
    profile = page.by_frequency(examples)
    assert [*profile["kHz"]] == [0.5, 1.5, 2.5, 3.5]
    assert [*profile["sad"]] == [1, 1, 1, 1] and [*profile["angry"]] == [4, 0, 0, 0]
    assert [*profile["all"]] == [2.5, 0.5, 0.5, 0.5] and profile["happy"].isna().all()
    said = page.low(examples)
    assert "keep, of 2 utterances, 62% of the attention lies below 1 kHz" in said
    assert "a plain average has 25% there" in said
    said = page.at_the_edge(examples).data  # the edge: 14 of 20 positions
    assert "have 85% of the attention; a plain average gives them 70%." in said
