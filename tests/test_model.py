from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.nn import functional as F

from repro import paper
from repro.config import READINGS, Experiment, Network
from repro.errors import ReproError
from repro.layers import conv_norm_relu
from repro.model import (
    AttentionPooling,
    BilinearPooling,
    GlobalAveragePooling,
    Stems,
    build_network,
    check_network,
)

SMALL = Network(stem_channels=2, trunk=(4, 4, 4, 4))
POOLINGS = ("gap", "bilinear", "attention")


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def feature_maps(n: int = 3, c: int = 8, h: int = 5, w: int = 7, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, c, h, w, generator=generator, dtype=torch.float64)


# Sizes -------------------------------------------------------------------------------------------


def test_parameters_of_the_paper_network() -> None:
    """Conv1 to Conv5, each with a bias and batch norm's scale and shift, then the GAP layer."""
    conv1 = 8 * (10 * 2 + 1) + 8 * (2 * 8 + 1) + 2 * 16
    trunk = sum(o * (9 * i + 1) + 2 * o for i, o in ((16, 32), (32, 48), (48, 64), (64, 80)))
    counts = {name: count(build_network(Network(pooling=name))) for name in POOLINGS}
    assert counts == {"gap": 93_492, "bilinear": 118_772, "attention": 93_573}
    assert counts["gap"] == conv1 + trunk + (80 * 4 + 4)


@pytest.mark.parametrize(("height", "width"), [(10, 2), (2, 8), (100, 2), (2, 80), (2, 2)])
def test_parameters_of_the_section_3_2_network(height: int, width: int) -> None:
    alone = {"stems": ((height, width),), "stem_channels": paper.SWEEP_CHANNELS, "trunk": ()}
    expected = 16 * (height * width + 1) + 2 * 16 + (16 * 4 + 4)
    assert count(build_network(Network(pooling="gap", **alone))) == expected


SIDES = st.integers(1, 450)
CHANGES = {
    "pooling": st.sampled_from(POOLINGS),
    "stems": st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=2).map(tuple),
    "trunk": st.lists(st.just(1), max_size=4).map(tuple),
    "padding": st.sampled_from(["same", "symmetric", "silence", "none"]),
    "pools": st.sets(st.integers(2, 5)),
    "attention_bn": st.booleans(),
    "stride": st.tuples(SIDES, SIDES) | st.tuples(*[st.integers(1, 40)] * 2),
}


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries(CHANGES))
def test_a_network_is_refused_if_and_only_if_a_spectrogram_does_not_pass(changes: dict) -> None:
    pools = tuple(number for number in changes["pools"] if number <= len(changes["trunk"]) + 1)
    network = Network(stem_channels=1, **changes | {"pools": pools})
    try:
        with torch.device("meta"):  # sizes without numbers: slow to load, but torch's own word
            built, x = build_network(network), torch.empty(1, 1, 400, 200)
            maps = built.features(x)
            built.pooling(maps)
            passes = maps.numel() > 0
    except (RuntimeError, ValueError):  # ValueError: one position, nothing to normalise
        passes = False
    try:
        check_network(network)
        assert passes
    except ReproError as error:
        assert "leave too little of a 400×200 map" in str(error)
        assert not passes


HUGE = [{"stem_channels": 10**9}, {"stems": ((10**9, 10**9),)}, {"trunk": (10**9, 10**9)}]
HUGE += [{"trunk": (16_000,), "pooling": "bilinear"}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *((changes, r"ask for [\d,]+ weights") for changes in HUGE),
        ({"pooling": "max"}, "no pooling 'max': choose gap or bilinear or attention"),
        ({"pools": (1, 2)}, r"network.pools \(1, 2\): no pooling follows Conv1"),
        ({"pools": (2, 2)}, "each layer once"),
        ({"pools": (2, 9)}, "the last layer is Conv5"),
    ],
)
def test_settings_of_no_network_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ReproError, match=said):
        check_network(replace(SMALL, **changes))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_full_network_gives_a_score_per_emotion(pooling: str) -> None:
    network = build_network(Network(pooling=pooling)).eval()
    x = torch.randn(2, 1, 400, 200)
    with torch.no_grad():
        maps = network.features(x)
        scores = network(x)
        assert maps.shape == (2, 80, 100, 50)  # two of 2×2 max-pooling
        assert (maps >= 0).all()  # ReLU
        torch.testing.assert_close(network.pooling(maps), scores)
    assert scores.shape == (2, 4) and scores.isfinite().all()


def test_shapes_are_checked_while_the_tests_run() -> None:
    with pytest.raises(TypeCheckError):
        build_network(SMALL)(torch.zeros(1, 400, 200))  # no axis for the segments


# Conv1 -------------------------------------------------------------------------------------------


ODD = [(1, 1), (3, 7), (11, 10), (25, 33)]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("shape", [(10, 2), (2, 8), (2, 2), (15, 2), (100, 2), (2, 80), *ODD])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_stems_are_convolutions_as_torchs(shape: tuple[int, int], stride: tuple[int, int]) -> None:
    """The norm takes off what is left out or added before."""
    stems = Stems(Network(stems=(shape,), stem_channels=2, stride=stride)).double()
    x = torch.rand(2, 1, 400, 200, dtype=torch.float64) * 2 - 1
    conv = stems.convs[0]
    whole = F.conv2d(x, conv.weight, conv.bias, padding="same")[:, :, :: stride[0], :: stride[1]]
    found = stems(x)  # first: torch's norm holds on to the statistics that are updated here
    expected = F.relu(stems.norm(whole))
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    sums = ((maps * weights).sum() for maps in (found, expected))
    torch.testing.assert_close(*(torch.autograd.grad(each, conv.weight)[0] for each in sums))


@pytest.mark.parametrize("stride", [(1, 1), (4, 4)])
def test_symmetric_padding_is_that_of_a_convolution_of_pytorch(stride: tuple[int, int]) -> None:
    stems = Stems(Network(padding="symmetric", stride=stride)).double()
    x = torch.rand(2, 1, 400, 200, dtype=torch.float64) * 2 - 1
    of_both = zip(stems.convs, [(4, 0), (0, 3)], strict=True)
    maps = [F.conv2d(x, conv.weight, padding=ends, stride=stride) for conv, ends in of_both]
    assert stride != (1, 1) or maps[0].shape == (2, 8, 399, 199)
    torch.testing.assert_close(stems(x), F.relu(stems.norm(torch.cat(maps, 1))))


def test_padding_with_silence_is_zeros_around_what_silence_is_zero_in() -> None:
    stems = Stems(Network(stems=((10, 2),), stem_channels=2, padding="silence")).double()
    x = torch.rand(2, 1, 400, 200, dtype=torch.float64) * 2 - 1
    conv = stems.convs[0]
    above_silence = F.conv2d(F.pad(x + 1, (0, 1, 4, 5)), conv.weight)
    torch.testing.assert_close(stems(x), F.relu(stems.norm(above_silence)))
    with_zeros = Stems(Network(stems=((10, 2),), stem_channels=2)).double()
    with_zeros.load_state_dict(stems.state_dict())
    difference = (with_zeros(x) - stems(x)).abs().amax((0, 1))
    assert difference[0].max() > 0.01  # at the edge


def test_without_padding_both_maps_are_cropped_to_the_smaller() -> None:
    stems = Stems(replace(SMALL, padding="none"))
    assert stems(torch.randn(2, 1, 400, 200)).shape == (2, 4, 391, 193)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_scores_are_made_in_float32_whatever_the_maps_are(pooling: str) -> None:
    model = build_network(replace(Network(), pooling=pooling)).eval()
    x = torch.rand(2, 1, 400, 200)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        maps, scores = model.features(x), model(x)
    assert (maps.dtype, scores.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(scores, model.pooling(maps.float()).detach())


def test_in_bfloat16_quiet_parts_are_told_apart() -> None:
    """Numbers so near -1 that bfloat16 cannot tell them apart give the maps of float32."""
    stems = Stems(Network())
    near = torch.rand(2, 1, 400, 200, generator=torch.Generator().manual_seed(0)) / 1000 - 1
    assert torch.equal(near.bfloat16(), torch.full(near.shape, -1.0).bfloat16())
    stems.pads = [(0, 0, 0, 0)] * 2  # which would be a thousand times as loud as the rest
    expected = stems(near)
    with torch.autocast("cpu", torch.bfloat16):
        found = stems(near)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() < 0.02 * expected.max()


@pytest.mark.parametrize(
    ("pools", "sizes"),
    [
        ((2, 3), "16 8 4 4 4"),
        ((2, 3, 4), "16 8 4 2 2"),
        ((), "16 16 16 16 16"),
        ((5,), "16 16 16 16 8"),
    ],
)
def test_max_pooling_follows_the_convolutions_that_it_is_named_after(
    pools: tuple[int, ...], sizes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The height of what Conv2 to Conv5 read, and of the last map."""
    read = []

    def spy(x: Tensor, *layer: Any) -> Tensor:
        read.append(x.shape[2])
        return conv_norm_relu(x, *layer)

    monkeypatch.setattr("repro.model.conv_norm_relu", spy)
    features = build_network(replace(SMALL, pools=pools)).features(torch.randn(1, 1, 16, 32))
    assert [*read, features.shape[2]] == [int(size) for size in sizes.split()]
    assert features.shape[3] == 2 * features.shape[2]


OF_NETWORKS = [reading for reading in READINGS if reading.field.startswith("network.")]
ALTERNATIVES = [f"{r.field}={value}" for r in OF_NETWORKS for value, _ in r.alternatives]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_every_reading_builds_and_learns(pooling: str, alternative: str) -> None:
    experiment = Experiment(network=replace(SMALL, pooling=pooling)).override(alternative)
    network = build_network(experiment.network)
    scores = network(torch.randn(3, 1, 40, 30))
    assert scores.shape == (3, 4)
    F.cross_entropy(scores, torch.tensor([0, 1, 2])).backward()
    gradients = [p.grad for p in network.parameters() if p.requires_grad]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert any(g.any() for g in gradients if g is not None)


# Eq. 3: global average pooling -------------------------------------------------------------------


def test_gap_is_eq_3() -> None:
    pooling = GlobalAveragePooling(Network(), 8).double()
    x = feature_maps()
    expected = torch.zeros(3, 4, dtype=torch.float64)
    for n, k in product(range(3), range(4)):
        mean = sum(x[n, :, i, j] for i in range(5) for j in range(7)) / 35
        expected[n, k] = mean @ pooling.classify.weight[k] + pooling.classify.bias[k]
    torch.testing.assert_close(pooling(x), expected)


# Eq. 4: bilinear pooling -------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["l2-sqrt", "sqrt-l2"])
def test_bilinear_is_the_trace_of_eq_4_on_normalised_features(norm: str) -> None:
    pooling = BilinearPooling(Network(bilinear_norm=norm), 8).double()
    for n, x in enumerate(feature_maps()):
        matrix = x.flatten(1).T  # X: positions × channels
        second_order = matrix.T @ matrix
        if norm == "l2-sqrt":
            features = second_order / second_order.norm()
            features = features.sign() * features.abs().sqrt()
        else:
            features = second_order.sign() * second_order.abs().sqrt()
            features = features / features.norm()
            assert features.norm().item() == pytest.approx(1)
        weights = pooling.classify.weight.reshape(4, 8, 8)
        traces = torch.stack([torch.trace(features @ w.T) for w in weights])
        expected = traces + pooling.classify.bias
        torch.testing.assert_close(pooling(feature_maps())[n], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["l2-sqrt", "sqrt-l2"])
@pytest.mark.parametrize("dead", [slice(0, 3), slice(None)], ids=["some", "all"])
def test_channels_that_relu_has_silenced_do_not_spoil_the_gradient(norm: str, dead: slice) -> None:
    pooling = BilinearPooling(Network(bilinear_norm=norm), 8)
    x = feature_maps().float().relu()
    x[:, dead] = 0
    x.requires_grad_()
    F.cross_entropy(pooling(x), torch.tensor([0, 1, 2])).backward()
    assert x.grad.isfinite().all() and pooling.classify.weight.grad.isfinite().all()


# Eqs. 5 to 10: attention pooling -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_attention_is_bilinear_pooling_with_weights_of_rank_1(seed: int) -> None:
    """With W_k = b a_kᵀ, Tr(XᵀX W_kᵀ) of Eq. 4 is (X a_k)ᵀ (X b) of Eq. 10."""
    torch.manual_seed(seed)
    attention = AttentionPooling(Network(attention_softmax=False), 8).double()
    nn.init.zeros_(attention.top_down.bias)
    nn.init.zeros_(attention.bottom_up.bias)
    x = feature_maps(seed=seed)
    a = attention.top_down.weight.flatten(1)  # [4, c]
    b = attention.bottom_up.weight.flatten()  # [c]
    second_order = x.flatten(2) @ x.flatten(2).mT
    traces = torch.stack(
        [torch.trace(m @ torch.outer(b, a_k).T) for m in second_order for a_k in a]
    )
    torch.testing.assert_close(attention(x).flatten(), traces, atol=1e-5, rtol=1e-5)


def test_attention_scores_by_hand() -> None:
    pooling = AttentionPooling(Network(), 8).double()
    x = feature_maps()
    a, a_bias = pooling.top_down.weight.flatten(1), pooling.top_down.bias
    b, b_bias = pooling.bottom_up.weight.flatten(), pooling.bottom_up.bias
    for n in range(3):
        positions = x[n].flatten(1).T  # [positions, c]
        weights = (positions @ b + b_bias).exp()
        weights = weights / weights.sum()
        expected = weights @ (positions @ a.T + a_bias)
        torch.testing.assert_close(pooling(x)[n], expected)


def test_the_mean_divides_by_the_number_of_positions_as_well() -> None:
    pooling = AttentionPooling(Network(), 8).double()
    total = pooling(feature_maps())
    mean = AttentionPooling(Network(attention_average="mean"), 8).double()
    mean.load_state_dict(pooling.state_dict())
    torch.testing.assert_close(mean(feature_maps()), total / 35)


def test_batch_norm_after_the_attention_maps() -> None:
    plain, normed = (build_network(replace(SMALL, attention_bn=bn)) for bn in (False, True))
    assert count(normed) - count(plain) == 2 * (4 + 1)
    top_down = normed.pooling.top_down(feature_maps(c=4).float())
    torch.testing.assert_close(top_down.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
