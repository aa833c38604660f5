import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from conftest import python
from torch import Tensor, nn
from torch.nn import functional as F

from repro import trainer
from repro.config import Network, Training
from repro.device import ROOM, choose_device, choose_precision, enough_memory, has_room
from repro.errors import DivergedError, ReproError
from repro.model import build_network

NETWORK = Network(stem_channels=2, trunk=(4, 4, 4, 4))
SHORT = Training(epochs=2, batch_size=4, milestones=())


def data(n: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Segments [n, 1, 24, 16] whose bright quarter of rows is their label."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 4
    segments = torch.rand(n, 1, 24, 16, generator=generator) - 1
    for segment, label in zip(segments, labels, strict=True):
        segment[:, 6 * label : 6 * label + 6] += 1
    return segments, labels


def network(seed: int = 0, settings: Network = NETWORK) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(settings)


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(24 * 16, 4))


def test_the_rate_is_cut_tenfold_from_the_21st_31st_and_41st_epoch() -> None:
    rates = {1: 0.05, 20: 0.05, 21: 0.005, 30: 0.005, 31: 5e-4, 40: 5e-4, 41: 5e-5, 50: 5e-5}
    found = {epoch: trainer.learning_rate(epoch, Training()) for epoch in rates}
    assert found == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_two_steps_are_nesterovs_with_weight_decay(momentum: float) -> None:
    """v ← µ v + g, w ← w − η (g + µ v), with g the gradient plus the decay of w."""
    rule = {"learning_rate": 0.05, "momentum": momentum, "weight_decay": 0.01}
    training = Training(epochs=2, batch_size=12, milestones=(2,), **rule)
    segments, labels = data()
    trained = linear()
    parameters = [p.detach().clone().requires_grad_() for p in trained.parameters()]
    history = trainer.fit(trained, segments, labels, training, seed=0)

    velocities, losses = [torch.zeros_like(p) for p in parameters], []
    for rate in (0.05, 0.005):
        loss = -F.linear(segments.flatten(1), *parameters).log_softmax(1)[range(12), labels].mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for w, v, g in zip(parameters, velocities, gradients, strict=True):
                g = g + 0.01 * w
                v.mul_(momentum).add_(g)
                w.sub_(rate * (g + momentum * v))
    torch.testing.assert_close([*trained.parameters()], parameters, atol=1e-6, rtol=1e-5)
    assert history == pytest.approx(losses, rel=1e-5)


def test_each_epoch_shows_every_segment_once_in_batches() -> None:
    seen: list[Tensor] = []
    watched = nn.Sequential(nn.Flatten(), nn.Linear(1, 4))
    watched.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten().clone()))
    segments = torch.arange(10.0).reshape(10, 1, 1, 1)
    labels = torch.zeros(10, dtype=torch.long)
    trainer.fit(watched, segments, labels, replace(SHORT, learning_rate=1e-3), seed=0)
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    one, other = torch.cat(seen[:3]), torch.cat(seen[3:])
    assert sorted(one.tolist()) == sorted(other.tolist()) == list(range(10))
    assert not torch.equal(one, other)


def test_the_history_is_the_mean_loss_over_segments_not_over_batches() -> None:
    training = Training(epochs=1, batch_size=8, learning_rate=0.0, milestones=())
    segments, labels = data()  # batches of 8 and 4
    model = linear()
    [loss] = trainer.fit(model, segments, labels, training, seed=0)
    assert loss == pytest.approx(F.cross_entropy(model(segments), labels).item(), rel=1e-5)


def test_what_is_precomputed_goes_with_its_segment() -> None:
    class Paired(nn.Linear):
        def forward(self, x: Tensor, marks: Tensor) -> Tensor:
            assert torch.equal(x.flatten(), marks.flatten())
            return super().forward(x.flatten(1))

    segments, labels = torch.arange(10.0).reshape(10, 1, 1, 1), torch.zeros(10, dtype=torch.long)
    how: Any = {"rows": torch.tensor([1, 4, 5, 9, 2, 7]), "precomputed": (segments.clone(),)}
    trainer.fit(Paired(1, 4), segments, labels, replace(SHORT, learning_rate=1e-3), seed=0, **how)


@pytest.mark.parametrize("others", [0, 4])
def test_class_weights_are_the_inverse_frequencies(others: int) -> None:
    segments, _ = data(8 + others)  # of which the others are not trained on
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2] + [3] * others)
    rows = torch.arange(8)
    training = Training(epochs=1, batch_size=8, learning_rate=0.0, milestones=())
    training = replace(training, class_weights="inverse-frequency")
    model = linear()
    [loss] = trainer.fit(model, segments, labels, training, seed=0, rows=rows)
    losses = F.cross_entropy(model(segments[rows]), labels[rows], reduction="none")
    labels = labels[rows]
    per_class = torch.stack([losses[labels == k].mean() for k in range(3)])
    assert loss == pytest.approx(per_class.mean().item(), rel=1e-5)  # each class counts alike


def trained_with(seed: int) -> tuple[list[float], Tensor]:
    segments, labels = data()
    model = network()
    history = trainer.fit(model, segments, labels, SHORT, seed=seed)
    return history, trainer.predict(model, segments)


def test_the_seed_decides_history_and_predictions() -> None:
    history, scores = trained_with(seed=5)
    torch.randn(7)  # the global random state must not matter
    again, scores_again = trained_with(seed=5)
    other, other_scores = trained_with(seed=6)
    assert history == again != other
    assert torch.equal(scores, scores_again) and not torch.equal(scores, other_scores)


@pytest.mark.parametrize("pooling", ["gap", "bilinear", "attention"])
def test_it_overfits_a_few_segments(pooling: str) -> None:
    segments, labels = data()
    training = Training(epochs=40, batch_size=6, milestones=())
    model = network(0, replace(NETWORK, pooling=pooling, trunk=(8, 8, 8, 8), stem_channels=4))
    history = trainer.fit(model, segments, labels, training, seed=0)
    assert history[-1] < 0.2 < history[0]
    assert (trainer.predict(model, segments).argmax(1) == labels).all()


def test_bfloat16_begins_near_float32() -> None:
    segments, labels = data()
    training = Training(epochs=2, batch_size=12, learning_rate=0.01, milestones=())
    histories, scores = {}, {}
    for precision in ("fp32", "bf16"):
        model = network()
        how: Any = {"seed": 0, "precision": precision}
        histories[precision] = trainer.fit(model, segments, labels, training, **how)
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        scores[precision] = trainer.predict(model, segments, precision=precision)
        assert scores[precision].dtype == torch.float32
    assert histories["bf16"] == pytest.approx(histories["fp32"], rel=0.03)
    assert histories["bf16"] != histories["fp32"]
    assert (scores["bf16"] - scores["fp32"]).abs().max() < 0.1
    again = trainer.predict(model, segments, precision="fp32")
    assert not torch.equal(scores["bf16"], again), "the same weights, in float32"


def test_room_is_what_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "meminfo"
    monkeypatch.setattr("repro.device.MEMINFO", said)
    assert not has_room.__wrapped__(), "no such file"
    enough, too_little = (f"MemAvailable:   {ROOM // 1024 - less} kB\n" for less in (0, 1))
    for available, room in ((enough, True), (too_little, False), ("", False)):
        said.write_text(f"MemTotal: 99999999 kB\nMemFree:    1000 kB\n{available}Buffers: 9 kB\n")
        assert has_room.__wrapped__() == room


def test_only_the_rows_named_are_trained_on() -> None:
    segments, labels = data()
    rows = torch.tensor([1, 4, 5, 9, 2])
    some = trainer.fit(network(), segments, labels, SHORT, seed=3, rows=rows)
    alone = trainer.fit(network(), segments[rows], labels[rows], SHORT, seed=3)
    everything = trainer.fit(network(), segments, labels, SHORT, seed=3)
    assert some == alone != everything


def test_what_is_scaled_batch_by_batch_is_trained_on_as_if_it_had_been_before() -> None:
    segments, labels = data()
    before = trainer.fit(network(), segments * 2 + 1, labels, SHORT, seed=3)
    scale = Mock(side_effect=lambda x: x * 2 + 1)
    assert trainer.fit(network(), segments, labels, SHORT, seed=3, scale=scale) == before
    assert {len(call.args[0]) for call in scale.call_args_list} == {4}


# Faults ------------------------------------------------------------------------------------------


def test_no_segment_is_a_fault() -> None:
    segments, labels = data(0)
    with pytest.raises(ReproError, match="no segment"):
        trainer.fit(network(), segments, labels, SHORT, seed=0)


def test_a_loss_that_is_not_finite_is_a_fault() -> None:
    segments, labels = data()
    training = Training(epochs=5, batch_size=4, learning_rate=1e30, milestones=())
    with pytest.raises(DivergedError, match="diverged in epoch"):
        trainer.fit(network(), segments, labels, training, seed=0)


# Prediction --------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_predict_keeps_the_mode_and_changes_nothing(training: bool) -> None:
    model = network().train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer.predict(model, data()[0])
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_predict_evaluates_each_segment_alone() -> None:
    model = network()
    many = trainer.PREDICT_BATCH["cpu"] + 5
    segments = data(many)[0]
    scores = trainer.predict(model, segments)
    assert scores.shape == (many, 4) and not scores.requires_grad
    torch.testing.assert_close(scores[-3:], trainer.predict(model, segments[-3:]))
    with torch.no_grad():
        torch.testing.assert_close(scores, model.eval()(segments))


# Device and precision ----------------------------------------------------------------------------


def test_cuda_without_a_gpu_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ReproError, match="no GPU"):
        choose_device("cuda")
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


def test_auto_takes_a_gpu_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda size, device: ones(size))
    chosen = {name: choose_device(name).type for name in ("auto", "cuda", "cpu")}
    assert chosen == {"auto": "cuda", "cuda": "cuda", "cpu": "cpu"}

    for said, device in (("CUDA out of memory", "cuda"), ("no kernel image\nCUDA might", "cpu")):
        monkeypatch.setattr(torch, "ones", Mock(side_effect=RuntimeError(said)))
        assert choose_device("auto").type == device
    with pytest.raises(ReproError, match="--device cuda: no kernel image; use"):
        choose_device("cuda")


def test_precision_is_float32_unless_said_and_unknown_names_are_faults() -> None:
    found = [choose_precision(name) for name in ("auto", "fp32", "bf16")]
    assert found == ["fp32", "fp32", "bf16"]
    with pytest.raises(ReproError, match="auto, cpu or cuda"):
        choose_device("tpu")
    with pytest.raises(ReproError, match="auto, fp32 or bf16"):
        choose_precision("fp16")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory and a long story"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
)
def test_too_little_memory_on_a_gpu_is_a_fault_that_says_what_to_do(error: RuntimeError) -> None:
    said = r"^cuda has too little memory for a fold: .*--device cpu"
    with pytest.raises(ReproError, match=said), enough_memory("cuda", "a fold"):
        raise error
    with pytest.raises(RuntimeError, match="of another kind"), enough_memory("cuda", "a fold"):
        raise RuntimeError("an error of another kind")


def test_too_little_memory_on_a_processor_is_a_fault_that_names_no_other_device() -> None:
    said = "^cpu has too little memory for a fold: end what else uses it$"
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you ...")):
        with pytest.raises(ReproError, match=said), enough_memory("cpu", "a fold"):
            raise error
    with pytest.raises(ReproError, match=said), enough_memory("cpu", "a fold"):
        torch.empty(10**15)


# Memory ------------------------------------------------------------------------------------------

LEFT_BY_A_NETWORK = """
import torch
from repro.device import give_back_memory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return 4096 * int(file.read().split()[1])

keep_freed_memory(True)
maps = [torch.ones(2**20) for _ in range(64)]
held = resident()
del maps[::2]  # pieces between which something lives on
kept = resident()
give_back_memory()
print(held - kept, held - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is told nothing elsewhere")
def test_memory_is_kept_until_it_is_given_back() -> None:
    at_first, then = map(int, python("-c", LEFT_BY_A_NETWORK, check=True).stdout.split())
    assert at_first < 8 * 2**20 and then > 100 * 2**20


# Scores ------------------------------------------------------------------------------------------


def test_the_softmax_of_each_segment_is_averaged() -> None:
    logits = torch.tensor([[4.0, 0, 0, 0], [0, 1.0, 0, 0]])
    rows = [[math.exp(x) / sum(map(math.exp, row)) for x in row] for row in logits.tolist()]
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    assert trainer.utterance_score(logits, "softmax").tolist() == pytest.approx(means)
    assert trainer.utterance_score(logits, "logits").tolist() == [2.0, 0.5, 0, 0]


def test_fit_trains_in_training_mode() -> None:
    model = build_network(Network(pooling="gap", stem_channels=2, trunk=(4,), pools=())).eval()
    labels = torch.arange(8) % 4
    training = Training(epochs=1, batch_size=4)
    trainer.fit(model, torch.rand(8, 1, 24, 16), labels, training, seed=0)
    assert model.stems.norm.num_batches_tracked == 2
