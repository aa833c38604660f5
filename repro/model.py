"""The networks of Sections 2.2 to 2.4 and 3.2.

Conv1 reads the spectrogram through filters of several shapes side by side (the stems); their maps
are concatenated and pass through 3×3 layers (the trunk). A pooling turns the last feature map X,
read as a matrix of H·W positions by C channels, into one score per emotion::

    GAP         score_k = mean over positions of X, times W_k                     Eq. 3
    bilinear    score_k = Tr(XᵀX W_kᵀ), the features XᵀX normalised               Eq. 4
    attention   score_k = (X a_k)ᵀ (X b), a rank-1 W_k = a_k bᵀ shared in b       Eqs. 5 to 10

Section 3.3 puts a softmax on X b, and so does the default.
"""

import itertools
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from repro import paper
from repro.config import Network, Shape
from repro.errors import ReproError
from repro.layers import conv_norm_relu, first_layer, map_size, mean_of_first_map, moments

CLASSES = len(paper.EMOTIONS)
MOST_WEIGHTS = 10**9  # the paper's networks have 100,000
LONGEST = 200  # weights of a filter: as many as the longest of Section 3.2 has
PADDED = 64  # segments that are padded at once


class Stems(nn.Module):
    """Conv1: filters of different shapes over the same spectrogram (Section 2.3)."""

    def __init__(self, network: Network):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(1, network.stem_channels, shape, stride=network.stride)
            for shape in network.stems
        )
        for conv in self.convs:
            conv.bias.requires_grad_(False)  # see `padded`
        self.pads = [_pads(network, shape) for shape in network.stems]
        self.settings = network
        self.around = -1.0 if network.padding == "silence" else 0.0
        self.norm = nn.BatchNorm2d(network.channels[0])

    def padded(self, x: Float[Tensor, "n 1 bins frames"]) -> list[Float[Tensor, "n 1 _ _"]]:
        """Return each convolution's input: the padded segments plus 1.

        Most values of a spectrogram lie so close to −1 that bfloat16 cannot tell them apart; plus 1
        they lie near 0, where it can. The shift adds a constant to each map, which batch
        normalisation subtracts again. It subtracts a bias likewise, so the convolutions' biases are
        frozen and unused. (Under scales that only divide, quiet parts lie at 0 already, and
        bfloat16 loses by it.)
        """
        reads = [F.pad(x, pad, value=self.around) + 1 for pad in self.pads]
        shapes, stride = self.settings.stems, self.settings.stride
        sizes = [map_size(r.shape[2:], s, stride) for r, s in zip(reads, shapes, strict=True)]
        # The sizes of the maps differ only without padding.
        steps = [min(size) - 1 for size in zip(*sizes, strict=True)]
        down, right = (step * by for step, by in zip(steps, stride, strict=True))
        return [r[:, :, : down + s[0], : right + s[1]] for r, s in zip(reads, shapes, strict=True)]

    def forward(self, x: Float[Tensor, "n 1 bins frames"]) -> Float[Tensor, "n c h w"]:
        weights = [conv.weight for conv in self.convs]
        return first_layer(self.padded(x), weights, self.norm, self.settings.stride)  # type: ignore[arg-type]


class Trunk(nn.Module):
    """Conv2 to Conv5: 3×3 filters, 2×2 max-pooling after some of them (Section 2.2)."""

    def __init__(self, network: Network):
        super().__init__()
        pairs = [*itertools.pairwise(network.channels)]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, paper.TRUNK_KERNEL, padding=paper.TRUNK_KERNEL // 2) for i, o in pairs
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o in pairs)
        self.pooled = [number in network.pools for number in range(2, len(pairs) + 2)]

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        for conv, norm, pooled in zip(self.convs, self.norms, self.pooled, strict=True):
            x = conv_norm_relu(x, conv, norm, pooled)  # type: ignore[arg-type]
        return x


class GlobalAveragePooling(nn.Module):
    """Mean over all positions, then a fully connected layer (Section 2.4.1, Eq. 3)."""

    def __init__(self, network: Network, channels: int):
        super().__init__()
        self.classify = nn.Linear(channels, CLASSES)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 4"]:
        # Channels last, as the maps lie in memory: the gradient of a mean over the last dimensions
        # would lie the other way, and ReLU's backward pass over two layouts takes eight times as
        # long.
        return self.classify(x.permute(0, 2, 3, 1).flatten(1, 2).mean(1))


class BilinearPooling(nn.Module):
    """Second-order pooling XᵀX, normalised, then a fully connected layer (Eq. 4, Section 3.3)."""

    def __init__(self, network: Network, channels: int):
        super().__init__()
        self.norm = network.bilinear_norm
        self.classify = nn.Linear(channels * channels, CLASSES)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 4"]:
        x = x.flatten(2)  # [n, c, positions], Xᵀ of the paper
        # A mean instead of the sum changes nothing after the l2 norm but keeps numbers small.
        second_order = (x @ x.mT / x.shape[2]).flatten(1)  # [n, c·c]
        if self.norm == "l2-sqrt":
            features = signed_sqrt(F.normalize(second_order))
        else:
            features = F.normalize(signed_sqrt(second_order))
        return self.classify(features)


class AttentionPooling(nn.Module):
    """Class-specific top-down map times class-agnostic bottom-up map (Section 2.4.2, Eq. 10)."""

    def __init__(self, network: Network, channels: int):
        super().__init__()
        self.average, self.softmax = network.attention_average, network.attention_softmax
        self.top_down = _attention_map(channels, CLASSES, network.attention_bn)
        self.bottom_up = _attention_map(channels, 1, network.attention_bn)

    def maps(
        self, x: Float[Tensor, "n c h w"]
    ) -> tuple[Float[Tensor, "n 4 h w"], Float[Tensor, "n 1 h w"]]:
        """Return the top-down maps X a_k and the bottom-up map X b, after its softmax if any."""
        bottom_up = self.bottom_up(x)
        if self.softmax:
            bottom_up = bottom_up.flatten(2).softmax(2).view_as(bottom_up)
        return self.top_down(x), bottom_up

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 4"]:
        return self.combine(*self.maps(x))

    def combine(
        self, top_down: Float[Tensor, "n 4 h w"], bottom_up: Float[Tensor, "n 1 h w"]
    ) -> Float[Tensor, "n 4"]:
        """Return the scores that the two maps give."""
        product = top_down * bottom_up  # [n, 4, h, w]
        return product.sum((2, 3)) if self.average == "sum" else product.mean((2, 3))


# A pooling for each name: from the settings and the number of channels to a module that turns the
# last map [n, c, h, w] into scores [n, 4].
POOLINGS: dict[str, Callable[[Network, int], nn.Module]] = {
    "gap": GlobalAveragePooling,
    "bilinear": BilinearPooling,
    "attention": AttentionPooling,
}


class SpeechEmotionNetwork(nn.Module):
    """Stems, trunk and pooling: from spectrograms to one score (logit) per emotion."""

    def __init__(self, network: Network):
        super().__init__()
        self.settings = network
        self.stems = Stems(network)
        self.trunk = Trunk(network)
        self.pooling = POOLINGS[network.pooling](network, network.channels[-1])

    def features(self, x: Float[Tensor, "n 1 bins frames"]) -> Float[Tensor, "n c h w"]:
        """Return the last feature map X, which the pooling reads."""
        return self.trunk(self.stems(x))

    def forward(self, x: Float[Tensor, "n 1 bins frames"]) -> Float[Tensor, "n 4"]:
        x = self.features(x)
        # In full precision, whatever the convolutions compute in: with eight bits scores tie, and
        # autocast would give them to one pooling and not to another.
        with torch.autocast(x.device.type, enabled=False):
            return self.pooling(x.to(next(self.pooling.parameters()).dtype))

    def precompute(self, segments: Float[Tensor, "n 1 bins frames"]) -> tuple[Tensor, ...]:
        """Return tensors [n, …] that `forward` takes besides, which saves time; none here."""
        return ()


class FirstLayerNetwork(SpeechEmotionNetwork):
    """One stem of short filters, global average pooling and nothing between (Section 3.2)."""

    def precompute(self, segments: Float[Tensor, "n 1 bins frames"]) -> tuple[Tensor, ...]:
        """Return the moments of the segments' patches."""
        parts = segments.split(PADDED)  # a copy of all would be as large as the corpus
        [shape], stride = self.settings.stems, self.settings.stride
        found = [moments(self.stems.padded(part)[0], shape, stride) for part in parts]
        return tuple(torch.cat(each) for each in zip(*found, strict=True))

    def forward(
        self, x: Float[Tensor, "n 1 bins frames"], *precomputed: Tensor
    ) -> Float[Tensor, "n 4"]:
        [read], stems, stride = self.stems.padded(x), self.stems, self.settings.stride
        weight: Tensor = stems.convs[0].weight  # type: ignore[assignment]
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 makes small products slower
            means = mean_of_first_map(read, weight, stems.norm, stride, precomputed)
            return self.pooling.classify(means)  # type: ignore[operator]


def build_network(network: Network) -> SpeechEmotionNetwork:
    """Return an untrained network, initialised from torch's current random state.

    Returns:
        A module from [n, 1, 400, 200], or 197 frames under `frames="whole"`, to scores [n, 4] in
        the order of `paper.EMOTIONS`.
    """
    return (FirstLayerNetwork if is_first_layer(network) else SpeechEmotionNetwork)(network)


def is_first_layer(network: Network) -> bool:
    """Return whether it is built as a `FirstLayerNetwork`, which always computes in float32."""
    alone = len(network.stems) == 1 and not network.trunk and network.pooling == "gap"
    # The moments of its patches take the square of this for each segment.
    return alone and math.prod(network.stems[0]) <= LONGEST


def check_network(network: Network) -> None:
    """Make sure that a spectrogram passes through a network, without building it.

    It is taken as 400×200, even where `frames="whole"` gives 197 frames.

    Raises:
        ReproError: it has no pooling of that name, it pools after Conv1, twice after one layer or
            after one that it does not have, its filters, strides or poolings leave too little of a
            400×200 map, or it is far larger than any that could be trained.
    """
    if network.pooling not in POOLINGS:
        raise ReproError(f"no pooling {network.pooling!r}: choose {' or '.join(POOLINGS)}")
    if 1 in network.pools:
        raise ReproError(f"network.pools {network.pools}: no pooling follows Conv1; begin with 2")
    if (weights := _weights(network)) > MOST_WEIGHTS:
        raise ReproError(
            f"these network settings ask for {weights:,} weights: lower stem_channels, the "
            "filters of stems or the channels of trunk"
        )
    if len(set(network.pools)) < len(network.pools):
        raise ReproError(f"network.pools {network.pools}: name each layer once")
    last = len(network.trunk) + 1
    if network.trunk and max(network.pools, default=0) > last:
        raise ReproError(f"network.pools {network.pools}: the last layer is Conv{last}")
    if not _passes(network):
        raise ReproError(
            f"these network settings leave too little of a {paper.BINS}×{paper.FRAMES} map: "
            f"stems {network.stems}, stride {network.stride}, pools {network.pools}"
        )


def _weights(network: Network) -> int:
    """Count the weights of a network, without its biases and norms."""
    stems = sum(network.stem_channels * height * width for height, width in network.stems)
    trunk = sum(i * o * paper.TRUNK_KERNEL**2 for i, o in itertools.pairwise(network.channels))
    channels = network.channels[-1]
    pooled = {"gap": CLASSES, "bilinear": channels * CLASSES, "attention": CLASSES + 1}
    return stems + trunk + channels * pooled.get(network.pooling, CLASSES)


def _passes(network: Network) -> bool:
    """Follow the size of a map through a network; each norm needs more than one position."""
    sizes = []
    for shape in network.stems:
        left, right, top, bottom = _pads(network, shape)
        padded = paper.BINS + top + bottom, paper.FRAMES + left + right
        sizes.append(map_size(padded, shape, network.stride))
    height, width = (min(size) for size in zip(*sizes, strict=True))
    for number in range(1, len(network.trunk) + 2):
        if min(height, width) < 1 or height * width == 1:
            return False
        if number > 1 and number in network.pools:
            height, width = height // paper.POOL_WINDOW, width // paper.POOL_WINDOW
    normed = network.pooling == "attention" and network.attention_bn
    return min(height, width) >= 1 and height * width > normed


def signed_sqrt(x: Tensor) -> Tensor:
    """Return sgn(x) √|x|, with a finite slope at 0, where channels that ReLU has silenced lie."""
    return x.sign() * (x.abs() + 1e-10).sqrt()


def _attention_map(channels: int, maps: int, bn: bool) -> nn.Module:
    conv = nn.Conv2d(channels, maps, 1)
    return nn.Sequential(conv, _Norm(maps)) if bn else conv


class _Norm(nn.BatchNorm2d):
    """Batch normalisation of a few small maps: torch's own is exact if they are contiguous."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return super().forward(x.contiguous())


def _pads(network: Network, shape: Shape) -> tuple[int, int, int, int]:
    """Return a stem's padding of its map: left, right, top, bottom.

    Where the map keeps the size of what is read, that of even filters is longer at the end.
    """
    if network.padding == "none":
        return 0, 0, 0, 0
    more = network.padding != "symmetric"
    (top, bottom), (left, right) = (((side - 1) // 2, (side - 1 + more) // 2) for side in shape)
    return left, right, top, bottom
