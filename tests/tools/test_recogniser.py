import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from conftest import Command, python

from repro import config, spectrogram
from repro.config import Experiment
from repro.corpora import load_corpus
from repro.errors import ReproError
from repro.model import build_network
from repro.study import attention
from repro.study.plan import Run
from repro.tools import recogniser
from repro.tools.recogniser import Recogniser


def experiment(*assignments: str) -> Experiment:
    return config.preset(
        ", ".join(["smoke", "training.max_segments=8", "training.epochs=1", *assignments])
    )


def noise(samples: int) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(0))


def untrained(settings: Experiment) -> Recogniser:
    return Recogniser(build_network(settings.network).eval(), settings, None, {})


@pytest.fixture(scope="module")
def trained(corpus: Path) -> Recogniser:
    return recogniser.train(load_corpus("emodb", corpus), experiment())


def test_what_is_saved_is_what_is_loaded(trained: Recogniser, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "model.safetensors"
    one_scale = experiment("front_end.scale=training-set")
    of_one_scale = recogniser.train(load_corpus("emodb", corpus), one_scale)
    assert of_one_scale.limits is not None and of_one_scale.limits[0] < of_one_scale.limits[1]
    bilinear = untrained(experiment("network.pooling=bilinear"))
    for model in (trained, of_one_scale, bilinear._replace(card=trained.card)):
        recogniser.save(model, path)
        loaded = recogniser.load(path)
        assert loaded[1:] == model[1:] and loaded.card["corpus"]["name"] == "emodb"
        speech = noise(40_000)
        assert recogniser.scores(loaded, speech) == recogniser.scores(model, speech)
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("score", ["softmax", "logits"])
def test_scores_are_the_mean_over_all_test_segments(
    trained: Recogniser, score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained._replace(experiment=experiment(f"protocol.score={score}"))
    speech = noise(90_000)
    inputs = spectrogram.segments(speech, model.experiment.front_end, 0.4)
    with torch.no_grad():
        logits = model.network(inputs)
    expected = (logits.softmax(1) if score == "softmax" else logits).mean(0).tolist()
    monkeypatch.setattr(recogniser, "BLOCK", 3 * 80)  # 10 segments in four blocks
    monkeypatch.setattr(recogniser, "keep_freed_memory", ready := Mock())
    got = recogniser.scores(model, speech)
    assert list(got.values()) == pytest.approx(expected, abs=1e-5)
    ready.assert_called_once_with(False)


def test_blocks_score_as_the_whole(trained: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rest of under 2 s, alone in the last block, is not taken for an utterance under 2 s."""
    fills = experiment("front_end.short=repeat", "front_end.tail=pad", "protocol.score=logits")
    model = trained._replace(experiment=fills)
    speech = noise(40_000)
    assert spectrogram.segment_count(len(speech), 0.4, fills.front_end) == 3
    whole = recogniser.scores(model, speech)
    monkeypatch.setattr(recogniser, "BLOCK", 2 * 80)
    assert recogniser.scores(model, speech) == pytest.approx(whole, abs=1e-5)


def test_attention_maps_belong_to_the_segment_that_is_shown(
    trained: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = noise(70_000)
    monkeypatch.setattr(recogniser, "BLOCK", 3 * 80)  # 6 segments in two blocks
    seen = recogniser.attention_maps(trained, speech)
    assert seen.bottom_up.sum().item() == pytest.approx(1, abs=1e-5)
    network_input = spectrogram.segments(speech, trained.experiment.front_end, 0.4)
    number = round(seen.start / 0.4)
    again = spectrogram.normalise(seen.magnitude[None, None], trained.experiment.front_end)
    torch.testing.assert_close(again[0], network_input[number])
    scores = (seen.top_down * seen.bottom_up).sum((1, 2)).softmax(0)
    assert torch.allclose(scores, seen.scores, atol=1e-5)
    with torch.no_grad():
        every = trained.network(network_input).softmax(1)
    assert number == every.amax(1).argmax(), "the segment that is most decided"
    assert torch.allclose(every[number], seen.scores, atol=1e-5)


@pytest.mark.parametrize("softmax", [True, False])
def test_attention_over_time_is_the_mean_of_the_segments_that_overlap(softmax: bool) -> None:
    settings = experiment(f"network.attention_softmax={softmax}")
    model = untrained(settings)
    speech = noise(50_000)
    over_time = recogniser.attention_maps(model, speech).over_time
    inputs = spectrogram.segments(speech, settings.front_end, 0.4)  # 3 of them
    maps = attention.look(model.network, inputs).bottom_up.abs().sum(1)
    shares = maps / maps.mean(1, keepdim=True)
    column = shares.shape[1] / 200  # per frame
    assert len(over_time) == 280 and over_time.std() > 0
    for frame in (0, 39, 40, 100, 199, 200, 279):
        over = [n for n in range(3) if 0 <= frame - 40 * n < 200]
        expected = sum(shares[n, int((frame - 40 * n) * column)] for n in over) / len(over)
        assert over_time[frame] == pytest.approx(float(expected), rel=1e-5)


def test_another_pooling_has_no_attention_maps() -> None:
    model = untrained(experiment("network.pooling=gap"))
    with pytest.raises(ReproError, match="gap pooling has no attention maps"):
        recogniser.attention_maps(model, torch.zeros(100))


def test_the_card_says_what_a_model_is_and_is_not_for(trained: Recogniser) -> None:
    trained = trained._replace(card=trained.card | {"held-out speakers": {"WA": 51.5}})
    described = recogniser.describe(trained)
    assert described["settings"] == trained.experiment.key
    again = ", ".join(["paper", *described["configuration"]])
    assert config.preset(again) == trained.experiment
    assert described["corpus"]["name"] == "emodb" and described["speakers"] == 2
    lines = recogniser.model_card(trained).splitlines()
    assert "held-out speakers: WA: 51.5" in lines
    assert lines[-1] == f"not for: {recogniser.NOT_FOR}"
    page = Path(__file__).parents[2] / "book" / "model-card.md"
    assert recogniser.NOT_FOR in " ".join(page.read_text(encoding="utf-8").split())


def test_the_card_counts_what_was_learnt_from(corpus: Path) -> None:
    few = experiment("training.max_segments=3", "front_end.scale=training-set")
    card = recogniser.train(load_corpus("emodb", corpus), few).card
    assert 1 <= card["utterances"] <= 3 and 1 <= card["speakers"] <= 2


def test_a_card_cannot_play_tricks_on_a_terminal(trained: Recogniser) -> None:
    card = {"corpus\n": "\x1b[2J\nspeakers: 1000"}
    lines = recogniser.model_card(trained._replace(card=card)).splitlines()
    assert len(lines) == 6 and not any("\x1b" in line for line in lines)


def test_recognising_does_not_wait_for_what_only_training_needs(
    trained: Recogniser, corpus: Path, tmp_path: Path
) -> None:
    """Torch takes two seconds to load; nothing else may take long."""
    recogniser.save(trained, tmp_path / "m.safetensors")
    code = """import sys; from repro.cli import app; app(sys.argv[1:], standalone_mode=False)
print({'pandas', 'scipy', 'sklearn', 'sympy', 'matplotlib', 'IPython'} & set(sys.modules))"""
    wav = load_corpus("emodb", corpus)["path"][0]
    done = python("-c", code, "predict", tmp_path / "m.safetensors", wav, check=True)
    assert done.stdout.splitlines()[1:] == ["set()"]


def test_a_file_of_other_weights_is_refused(trained: Recogniser, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    other = trained._replace(experiment=experiment("network.trunk=(8,8)"))
    recogniser.save(other, path)
    with pytest.raises(ReproError, match=r"m\.safetensors: .*weights do not match"):
        recogniser.load(path)


def test_a_model_is_made_from_python_as_from_the_command_line(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    steps: list[tuple[str, int, int]] = []
    how = {"device": "cpu", "precision": "fp32", "only": "attention"}
    asked = Run("pooling", "emodb", corpus, **how)
    path.write_text("the user's own")
    with pytest.raises(ReproError, match=r"not a model that .* read; remove it, or name another"):
        recogniser.train_and_save(path, asked)
    assert path.read_text() == "the user's own" and list(tmp_path.iterdir()) == [path]
    path.unlink()
    made = recogniser.train_and_save(path, asked, lambda *step: steps.append(step))
    assert recogniser.load(path).card == made.card
    assert made.card["held-out speakers"]["folds"] == 2
    assert made.card["made by"]["precision"] == "fp32"
    assert steps[-1] == ("all speakers", 2, 2)
    assert {p.name for p in tmp_path.iterdir()} == {"m.safetensors", "m.folds.jsonl"}
    before = path.read_bytes()
    fewer = tmp_path / "fewer"
    shutil.copytree(corpus, fewer)
    next(fewer.rglob("*.wav")).unlink()
    for other in ({"preset": "smoke, training.epochs=1"}, {"root": fewer}):
        with pytest.raises(ReproError, match="a model of another corpus or of other settings"):
            recogniser.train_and_save(path, replace(asked, **other))
    for change in ("protocol.epoch=best-on-test", "protocol.folds=random"):
        with pytest.raises(ReproError, match="on speakers that are held out: leave protocol"):
            recogniser.train_and_save(path, replace(asked, preset=f"smoke, {change}"))
    assert path.read_bytes() == before
    assert recogniser.train_and_save(path, asked).card["corpus"] == made.card["corpus"]


def test_where_no_model_can_be_written_nothing_is_trained(
    corpus: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.study.run.run", Mock(side_effect=AssertionError))
    (tmp_path / "file").touch()
    how = ("train", "--corpus=emodb", f"--root={corpus}", f"--results={tmp_path / 'both'}")
    for out, said in (
        ("both", "also the results file of its folds; name another"),
        ("file/m.safetensors", "the model cannot be written ("),
        ("x" * 300, "the model cannot be written ("),
    ):
        done = command(*how, "--out", tmp_path / out)
        [line] = done.err
        assert done.status == 1 and said in line


@pytest.mark.slow
def test_folds_that_a_study_has_trained_are_not_trained_again(
    corpus: Path, tmp_path: Path, command: Command
) -> None:
    how = ("--corpus=emodb", f"--root={corpus}", "--preset=smoke", "--device=cpu")
    how += (f"--results={tmp_path / 'r.jsonl'}", "--set=training.epochs=1")
    how += ("--set=network.pooling=gap",)
    said = command("run", "pooling", "--only=gap", *how).err
    assert not any("ignores" in line for line in said)
    before = (tmp_path / "r.jsonl").read_bytes()
    model = tmp_path / "m.safetensors"
    assert command("train", *how, "--out", model).status == 0
    assert (tmp_path / "r.jsonl").read_bytes() == before
    assert recogniser.load(model).experiment.network.pooling == "gap"
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"r.jsonl", "m.safetensors"}


@pytest.mark.slow
def test_train_then_predict_as_commands(corpus: Path, tmp_path: Path, command: Command) -> None:
    model = tmp_path / "m.safetensors"
    how = ("--corpus", "emodb", "--root", corpus, "--preset", "smoke", "--device", "cpu")
    done = command("train", *how, "--out", model)
    assert done.status == 0, done.err
    assert "on held-out speakers the same settings reach WA" in "\n".join(done.out)
    card = recogniser.load(model).card
    tested = card["held-out speakers"]
    assert tested["folds"] == 2 and 0 <= tested["WA"] <= 100 and tested["WA low"] is None
    assert card["made by"]["version"] and card["made by"]["device"].startswith("cpu")
    shown = command("card", model)
    assert shown.status == 0 and "held-out speakers: WA: " in "\n".join(shown.out)
    assert json.loads("\n".join(command("card", model, "--json").out))["speakers"] == 2

    [first, second] = load_corpus("emodb", corpus)["path"][:2]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no sound")
    namesake = tmp_path / "other" / Path(first).name
    namesake.parent.mkdir()
    shutil.copy(second, namesake)
    files = [first, broken, second, namesake]
    stem = Path(first).stem
    (tmp_path / "plots").mkdir()
    mine = tmp_path / "plots" / f"{stem}.png"
    mine.write_text("a picture of the user's own")
    for _ in range(2):  # its own pictures it replaces
        done = command("predict", model, *files, "--json", "--plot", tmp_path / "plots")
    assert done.status == 1
    answers = [json.loads(line) for line in done.out]
    assert [answer["file"] for answer in answers] == [first, second, str(namesake)]
    for answer in answers:
        assert answer["emotion"] == max(answer["scores"], key=answer["scores"].get)
        assert sum(answer["scores"].values()) == pytest.approx(1)
    [line] = done.err
    assert "broken.wav" in line
    plots = {p.name for p in (tmp_path / "plots").iterdir()} - {mine.name}
    assert plots == {"index.html", f"{stem}-2.png", f"{stem}-3.png", f"{Path(second).stem}.png"}
    assert mine.read_text() == "a picture of the user's own"
