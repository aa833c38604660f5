"""Training on a processor as exactly as float32 allows (Sections 2.2, 3.1 and 3.2).

Where maps lie channels last, as convolutions want them, torch's batch normalisation adds up the
millions of positions of a batch one after another in float32: gradients are then off by several per
cent. `conv_norm_relu` adds up a few segments at a time, as a tree, and their sums in float64. So
does `first_layer`, which stores no map but the one that it gives. `mean_of_first_map` is the
network of Section 3.2 up to its last layer, and stores no map at all.

A GPU uses the last of these, and the gradient of Conv1.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from repro import paper
from repro.config import Shape

PART = 2**20  # values of maps that are worked on at once, so few that they fit the cache
ROWS = 50  # of a map, whose products are held at once
# Segments whose maps of Section 3.2 are worked on at once: they fit a processor's cache, or keep a
# GPU busy.
AT_ONCE = {"cpu": 1, "cuda": paper.BATCH_SIZE}

_convolution_backward = torch.ops.aten.convolution_backward
_relu_backward = partial(torch.ops.aten.threshold_backward, threshold=0)


def conv_norm_relu(
    x: Float[Tensor, "n c h w"], conv: nn.Conv2d, norm: nn.BatchNorm2d, pool: bool
) -> Float[Tensor, "n d i j"]:
    """Return the ReLU of a convolution's batch-normalised maps, 2×2 max-pooled if asked for.

    In evaluation on a processor, convolution and norm are one.
    """
    if x.device.type != "cpu":
        return _pool_relu(norm(conv(x)), pool)
    if norm.training:
        maps = _Convolution.apply(x, conv.weight, conv.bias, conv.padding)
        return _NormReLU.apply(maps, norm.weight, norm.bias, norm, pool)
    assert conv.bias is not None
    scale, shift = _in_evaluation(norm)
    shift = shift + conv.bias * scale
    x = F.conv2d(x, conv.weight * _as_weight(scale), shift, padding=conv.padding)
    return _pool_relu(x, pool)


class _Convolution(torch.autograd.Function):
    """A convolution whose weight and bias have their gradients added up in float64.

    A few segments at a time are left to torch, which adds up in float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: Shape) -> Tensor:
        y = F.conv2d(x, weight, bias, padding=padding)
        ctx.save_for_backward(x.to(y.dtype), weight.to(y.dtype))
        ctx.padding = padding
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        settings = weight, [len(weight)], (1, 1), ctx.padding, (1, 1), False, (0, 0), 1
        d_x, _, _ = _convolution_backward(gradient, x, *settings, (True, False, False))
        sums = _added_up(
            _convolution_backward(g_n, x_n, *settings, (False, True, True))[1:]
            for g_n, x_n in _parts(gradient, x)
        )
        return d_x, *(each.to(_wide(x)) for each in sums), None


def _in_evaluation(norm: nn.BatchNorm2d) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Return batch normalisation in evaluation as an affine map: scale and shift per channel."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def _pool_relu(x: Float[Tensor, "n c h w"], pool: bool) -> Float[Tensor, "n c i j"]:
    if pool:  # before ReLU: the maximum is the same, and ReLU has a quarter to do
        x = F.max_pool2d(x, paper.POOL_WINDOW)
    return F.relu(x, inplace=True)


@torch.no_grad()
def _tracked(
    norm: nn.BatchNorm2d, mean: Float[Tensor, " c"], var: Float[Tensor, " c"], count: int
) -> Float[Tensor, " c"]:
    """Update a norm's running statistics, as torch does, by those of a batch, in float64.

    The variance is over all positions of the batch, of which each channel has `count`. Returns
    1 / √(var + ε).
    """
    assert count > 1, "one position has no variance"
    buffers = norm.running_mean, norm.running_var
    for running, found in zip(buffers, (mean, var * count / (count - 1)), strict=True):
        running.lerp_(found.to(running), norm.momentum)  # type: ignore[union-attr, arg-type]
    norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
    return (var + norm.eps).rsqrt()


# What filters read -------------------------------------------------------------------------------


class Patches(NamedTuple):
    """What a filter reads at each position of segments' maps, which are h rows of w each.

    Args:
        values: what it reads, a row of maps in each matrix.
        h: how many rows each segment has.
        apart: by how many rows one segment begins after the one before.
    """

    values: Float[Tensor, "rows k w"]
    h: int
    apart: int

    def of_segments(self, rows: Float[Tensor, "rows ..."]) -> Float[Tensor, "n ..."]:
        """Return the sum over the rows of each segment."""
        return rows.unfold(0, self.h, self.apart).sum(-1)

    def products(self, filters: Float[Tensor, "c k"]) -> Float[Tensor, "rows c w"]:
        """Return the maps that filters give, a row of them in each product of two matrices."""
        filters = filters.to(self.values.dtype)
        return torch.matmul(filters.expand(len(self.values), *filters.shape), self.values)


def patches(x: Float[Tensor, "n rows columns"], size: Shape, stride: Shape) -> Patches:
    """Return what a filter of kh·kw = k weights reads at each position of n segments.

    Rows of a spectrogram that stand kw times, each time shifted by a column, hold the patches of
    one row of the map in one piece; those of the next begin further down, and no patch is copied.
    The segments stand one below another; rows that reach from one into the next are read as well.
    """
    (kh, kw), (down, right) = size, stride
    h, w = map_size(x.shape[1:], size, stride)
    x = F.pad(x, (0, 0, 0, -x.shape[1] % down))  # so that a row of patches begins each segment
    n, apart = len(x), x.shape[1] // down
    x = x.flatten(0, 1)
    shifted = torch.stack([x[:, j : j + (w - 1) * right + 1 : right] for j in range(kw)], 1)
    values = shifted.as_strided(((n - 1) * apart + h, kh * kw, w), (down * kw * w, w, 1))
    return Patches(values, h, apart)


# Conv1 -------------------------------------------------------------------------------------------


def first_layer(
    reads: list[Float[Tensor, "n 1 _ _"]],
    weights: list[Float[Tensor, "c 1 _ _"]],
    norm: nn.BatchNorm2d,
    stride: Shape,
) -> Float[Tensor, "n d h w"]:
    """Return the ReLU of the batch-normalised maps of convolutions side by side.

    The convolutions have no bias, maps of the same size, and inputs that need no gradient.
    """
    assert not any(x.requires_grad for x in reads)
    if reads[0].device.type != "cpu":
        maps = [_OneChannel.apply(x, w, stride) for x, w in zip(reads, weights, strict=True)]
        return F.relu(norm(torch.cat(maps, 1)), inplace=True)
    if norm.training:
        return _FirstLayer.apply(norm, norm.weight, norm.bias, stride, reads, *weights)
    channels = [len(w) for w in weights]
    scales, shifts = (each.split(channels) for each in _in_evaluation(norm))
    weights = [w * _as_weight(scale) for w, scale in zip(weights, scales, strict=True)]
    return F.relu(_maps(reads, weights, stride, shifts), inplace=True)


class _FirstLayer(torch.autograd.Function):
    """`first_layer` by the statistics of the batch, a few segments at a time.

    The maps z before the norm are not kept. The gradient of z is `_terms` of what ReLU lets through
    of the gradient, of z and of 1; that of the weights is their products with the input, and linear
    in them. It is a small difference of large sums, as the norm makes the gradients of a map add up
    to 0 and most of a spectrogram is nearly the same number: hence float64.
    """

    @staticmethod
    def forward(
        ctx: Any,
        norm: nn.BatchNorm2d,
        gamma: Tensor,
        beta: Tensor,
        stride: Shape,
        reads: list[Tensor],
        *weights: Tensor,
    ) -> Tensor:
        kh, kw = weights[0].shape[2:]
        n, (h, w) = len(reads[0]), map_size(reads[0].shape[2:], (kh, kw), stride)
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else gamma.dtype
        y = torch.empty(n, h, w, len(gamma), dtype=dtype).permute(0, 3, 1, 2)  # channels last
        for y_n, *reads_n in (parts := _parts(y, *reads)):
            y_n.copy_(_maps(reads_n, weights, stride))
        mean, rstd, scale, shift = _by_batch(norm, y)
        one = torch.ones(()).expand_as(y[:, : len(weights)])
        shapes, of_one_map = [w.shape for w in weights], [w[:1].shape for w in weights]
        of_z = _added_up(_by_weight(y_n, reads_n, shapes, stride) for y_n, *reads_n in parts)
        of_one = _added_up(
            _by_weight(one_n, reads_n, of_one_map, stride)
            for one_n, *reads_n in _parts(one, *reads)
        )
        ctx.weights = [w.detach().to(dtype).double() for w in weights]
        for y_n, *_ in parts:
            y_n.copy_(_affine(y_n, scale, shift, y_n).relu_())
        ctx.save_for_backward(y, *reads)
        ctx.channels, ctx.stride = (mean, rstd, scale), stride
        ctx.products = of_z, of_one
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, *reads = ctx.saved_tensors
        shapes = [w.shape for w in ctx.weights]
        passed = (
            (_relu_backward(g_n, y_n), reads_n)
            for y_n, g_n, *reads_n in _parts(y, gradient, *reads)
        )
        d_beta, *of_g = _added_up(
            [_positions(g_n).sum(0), *_by_weight(g_n, reads_n, shapes, ctx.stride)]
            for g_n, reads_n in passed
        )
        # The sums of a map times z are linear in those of the map times what was read.
        sums_by_z = torch.cat(
            [(w * of).sum((1, 2, 3)) for w, of in zip(ctx.weights, of_g, strict=True)]
        )
        d_gamma, terms = _terms(d_beta, sums_by_z, y.numel() // y.shape[1], *ctx.channels)
        wide, channels = _wide(y), [len(w) for w in ctx.weights]
        by_g, by_z, by_one = (_as_weight(term).split(channels) for term in terms)
        of_z, of_one = ctx.products
        stems = zip(by_g, of_g, by_z, of_z, by_one, of_one, strict=True)
        found = [(a * g + b * z + c * one).to(wide) for a, g, b, z, c, one in stems]
        return None, d_gamma.to(wide), d_beta.to(wide), None, None, *found


def _maps(
    reads: Sequence[Tensor],
    weights: Sequence[Tensor],
    stride: Shape,
    biases: Iterable[Tensor | None] = repeat(None),
) -> Float[Tensor, "n c h w"]:
    sides = zip(reads, weights, biases, strict=False)
    return torch.cat([F.conv2d(x, w, bias, stride) for x, w, bias in sides], 1)


def _as_weight(values: Float[Tensor, " c"]) -> Float[Tensor, "c 1 1 1"]:
    return values[:, None, None, None]


def _by_weight(
    maps: Tensor, reads: Sequence[Tensor], shapes: list[torch.Size], stride: Shape
) -> list[Float[Tensor, "c 1 kh kw"]]:
    """Return what the gradients of weights would be, given those of maps, and what was read."""
    of_stems = maps.split([shape[0] for shape in shapes], 1)
    return [
        _gradient_of_weight(of_stem.to(x.dtype), x, shape, stride)
        for x, shape, of_stem in zip(reads, shapes, of_stems, strict=True)
    ]


def _gradient_of_weight(
    of_maps: Float[Tensor, "n c h w"], x: Float[Tensor, "n 1 _ _"], shape: torch.Size, stride: Shape
) -> Float[Tensor, "c 1 kh kw"]:
    """Return the gradient of a convolution's weight, added up row by row of its maps."""
    read = patches(x[:, 0], (shape[2], shape[3]), stride)
    between = read.apart - read.h
    rows = F.pad(of_maps, (0, 0, 0, between)).movedim(1, 2).flatten(0, 1)[: len(read.values)]
    with torch.autocast(x.device.type, enabled=False):  # it would round what is multiplied
        return torch.bmm(rows, read.values.mT).sum(0).view(shape)


class _OneChannel(torch.autograd.Function):
    """A convolution of one channel on a GPU, where cuDNN takes long for its weight's gradient.

    Its deterministic way also loses a third of a per cent over long filters.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Shape) -> Tensor:
        ctx.save_for_backward(x)
        ctx.shape, ctx.stride = weight.shape, stride
        return F.conv2d(x, weight, None, stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        [x] = ctx.saved_tensors
        return None, _gradient_of_weight(gradient.to(x.dtype), x, ctx.shape, ctx.stride), None


# Batch normalisation, max-pooling and ReLU -------------------------------------------------------


@torch.no_grad()
def _by_batch(norm: nn.BatchNorm2d, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, ...]:
    """Return a norm's mean, 1 / √(var + ε), factor and summand by the statistics of maps.

    Each is [c] in float64. The running statistics are updated.
    """
    values = (_positions(x_n) for (x_n,) in _parts(x))
    count = x.numel() // x.shape[1]
    sums = _added_up((v.sum(0), (v * v).sum(0)) for v in values)
    mean, second = (each / count for each in sums)
    # Of a map that is constant, rounding may be left.
    rstd = _tracked(norm, mean, (second - mean**2).clamp_min(0), count)
    scale = norm.weight.double() * rstd
    return mean, rstd, scale, norm.bias.double() - mean * scale


class _NormReLU(torch.autograd.Function):
    """Batch normalisation by the statistics of the batch, max-pooling and ReLU.

    They work on a few segments at a time. The backward pass writes the gradient of x over x, which
    saves as much memory: x may not be a leaf, nor be read again.

    With x̂ = (x - mean) / √(var + ε) and N positions, the gradient of x is

        γ / √(var + ε) · (g - Σ g / N - x̂ · Σ g x̂ / N)

    where g is the gradient of γ x̂ + β: 0 where pooling or ReLU let nothing through.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, norm: nn.BatchNorm2d, pool: bool
    ) -> Tensor:
        mean, rstd, scale, shift = _by_batch(norm, x)
        # What is scaled by a negative number has its largest value where x has its smallest.
        sign = torch.where(scale < 0, -1.0, 1.0).double()
        window = paper.POOL_WINDOW if pool else 1
        n, c, h, w = x.shape
        y = x.new_empty(n, h // window, w // window, c).permute(0, 3, 1, 2)  # channels last
        for x_n, y_n in _parts(x, y):
            if pool:
                x_n, _ = _max_pool(x_n, sign)
            y_n.copy_(_affine(x_n, scale * sign if pool else scale, shift, y_n).relu_())
        ctx.save_for_backward(x, y)
        ctx.channels, ctx.pool = (mean, rstd, scale, sign), pool
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        mean, rstd, scale, sign = ctx.channels
        parts = _parts(x, y, gradient)
        sums = torch.zeros(2, x.shape[1], dtype=torch.float64)
        places = []
        for x_n, y_n, g_n in parts:
            if ctx.pool:
                x_n, found = _max_pool(x_n, sign)
                places.append(found.int())  # as large as x itself in int64
            g_n = _positions(_relu_backward(g_n, y_n))
            sums += torch.stack([g_n.sum(0), (g_n * _positions(x_n)).sum(0)])
        d_beta, by_x = sums
        by_x = by_x * sign if ctx.pool else by_x
        count = x.numel() // x.shape[1]
        d_gamma, (_, slope, shift) = _terms(d_beta, by_x, count, mean, rstd, scale)
        for n, (x_n, y_n, g_n) in enumerate(parts):
            g_n = _relu_backward(g_n, y_n).to(_wide(x))
            if ctx.pool:
                size = x_n.shape[2:]
                window = [paper.POOL_WINDOW] * 2
                g_n = F.max_unpool2d(g_n, places[n].long(), window, output_size=size)
            x_n.copy_(_affine(x_n, slope, shift, x_n).addcmul_(g_n, _by_channel(scale, g_n)))
        return x, d_gamma.to(_wide(x)), d_beta.to(_wide(x)), None, None


def _terms(
    d_beta: Tensor, by_x: Tensor, count: int, mean: Tensor, rstd: Tensor, scale: Tensor
) -> tuple[Float[Tensor, " c"], tuple[Tensor, ...]]:
    """Return the gradient of γ, and what g, x and 1 are multiplied by in that of x."""
    d_gamma = (by_x - mean * d_beta) * rstd
    slope = -scale * rstd * d_gamma / count
    return d_gamma, (scale, slope, -scale * d_beta / count - slope * mean)


def _parts(x: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Part maps, and what belongs to them, into a few segments at a time."""
    few = max(1, PART // x[0].numel())
    return list(zip(*(each.split(few) for each in (x, *others)), strict=True))


def _added_up(of_parts: Iterator[Sequence[Tensor]]) -> list[Tensor]:
    """Return the sums, in float64, of what each part of a batch gives."""
    totals = [each.double() for each in next(of_parts)]
    for of_part in of_parts:
        for total, each in zip(totals, of_part, strict=True):
            total += each
    return totals


def _wide(x: Tensor) -> torch.dtype:
    """Return the type to compute in: that of x, but no less than float32."""
    return torch.promote_types(x.dtype, torch.float32)


def _positions(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "positions c"]:
    return x.permute(0, 2, 3, 1).flatten(0, 2).to(_wide(x))


def _by_channel(values: Float[Tensor, " c"], x: Tensor) -> Float[Tensor, "c 1 1"]:
    return values.to(_wide(x))[:, None, None]


def _affine(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> Float[Tensor, "n c h w"]:
    """Return scale · x + shift, by channel, as `out` itself unless that is bfloat16."""
    x = x.to(_wide(x))
    out = out if out.dtype == x.dtype else torch.empty_like(x)
    return torch.addcmul(_by_channel(shift, x), x, _by_channel(scale, x), out=out)


def _max_pool(x: Tensor, sign: Tensor) -> tuple[Float[Tensor, "n c i j"], Tensor]:
    """Return 2×2 maxima of sign · x, and where they lie."""
    x = x.to(_wide(x))
    if sign.min() < 0:
        x = x * _by_channel(sign, x)
    return F.max_pool2d(x, paper.POOL_WINDOW, return_indices=True)


# The network of Section 3.2 ----------------------------------------------------------------------


class Moments(NamedTuple):
    """First and second moments of a segment's patches over the positions of Conv1's map.

    A patch p is the k values that one filter reads.

    Args:
        mean: E[p].
        second: E[p pᵀ], not centred.
    """

    mean: Float[Tensor, "n k"]
    second: Float[Tensor, "n k k"]


def moments(x: Float[Tensor, "n 1 rows columns"], size: Shape, stride: Shape) -> Moments:
    """Return the moments of the patches of padded segments, in float32."""
    if size[0] < size[1]:  # `patches` copies each column of a filter
        return moments(x.mT, size[::-1], stride[::-1])
    sums = [
        _added_up(
            (rows.sum((0, 2)), torch.bmm(rows, rows.mT).sum(0))
            for rows in patches(segment, size, stride).values.split(ROWS)
        )
        for segment in x[:, 0].split(1)
    ]
    positions = math.prod(map_size(x.shape[2:], size, stride))
    return Moments(*((torch.stack(each) / positions).float() for each in zip(*sums, strict=True)))


def mean_of_first_map(
    x: Float[Tensor, "n 1 rows columns"],
    weight: Float[Tensor, "c 1 kh kw"],
    norm: nn.BatchNorm2d,
    stride: Shape,
    precomputed: Moments | None = None,
) -> Float[Tensor, "n c"]:
    """Return the mean over positions of relu(norm(conv(x))), without storing a map.

    A convolution of one fixed channel is linear in it, so the batch's mean and variance of every
    filter follow from the moments of the patches::

        z = w · patch        E[z] = w · E[patch]        E[z²] = w' E[patch patch'] w

    With them, one pass over the positions gives all that forward and backward need: for each
    segment and filter, the share of positions where ReLU lets through, and the mean over all
    positions of the patch where it does, or 0.

    Args:
        x: padded segments.
        weight: of the convolution, which has no bias.
        norm: its batch normalisation.
        stride: of the convolution.
        precomputed: the moments of x; by default they are computed here.
    """
    size = weight.shape[2], weight.shape[3]
    if size[0] < size[1]:  # as in `moments`
        return mean_of_first_map(x.mT, weight.mT, norm, stride[::-1], precomputed)
    filters = weight.flatten(1)  # [c, k]
    at_once = AT_ONCE[x.device.type]
    read = (patches(few, size, stride) for few in x[:, 0].split(at_once))
    positions = math.prod(map_size(x.shape[2:], size, stride))
    if norm.training:
        first, second = precomputed or moments(x, size, stride)
        means = first.mean(0, dtype=torch.float64), second.mean(0, dtype=torch.float64)
        count = len(x) * positions
        return _MeanOfFirstMap.apply(filters, norm.weight, norm.bias, norm, read, *means, count)
    scale, shift = (each[:, None] for each in _in_evaluation(norm))
    maps = ((few, few.products(filters * scale) + shift) for few in read)
    return torch.cat([few.of_segments(z.relu_().sum(2)) for few, z in maps]) / positions


class _MeanOfFirstMap(torch.autograd.Function):
    """`mean_of_first_map` by the statistics of the batch."""

    @staticmethod
    def forward(
        ctx: Any,
        filters: Tensor,
        gamma: Tensor,
        beta: Tensor,
        norm: nn.BatchNorm2d,
        read: Iterator[Patches],
        mean: Tensor,
        second: Tensor,
        count: int,
    ) -> Tensor:
        w = filters.double()
        mu = w @ mean
        rstd = _tracked(norm, mu, (((w @ second) * w).sum(1) - mu**2).clamp_min(0), count)
        scale = gamma.double() * rstd
        scaled = w * scale[:, None]
        # ReLU lets through where scaled · patch is larger.
        threshold = mu * scale - beta.double()
        shares, means = [], []
        for few in read:
            z = few.products(scaled)
            on = torch.gt(z, threshold.to(z.dtype)[:, None], out=z)  # [rows, c, w] of 0 and 1
            positions = few.h * on.shape[2]
            shares.append(few.of_segments(on.sum(2)) / positions)
            means.append(few.of_segments(torch.bmm(on, few.values.mT)) / positions)
        share, passed = torch.cat(shares).double(), torch.cat(means).double()
        ctx.save_for_backward(filters, gamma, mean, second, rstd, share, passed)
        return ((scaled * passed).sum(2) - threshold * share).to(filters.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        filters, gamma, mean, second, rstd, share, passed = ctx.saved_tensors
        w, g = filters.double(), gradient.double()
        mu = w @ mean
        d_beta = (g * share).sum(0)
        d_gamma = (g * ((passed * w).sum(2) - mu * share)).sum(0) * rstd
        by_normed = (w @ second - mu[:, None] * mean) * rstd[:, None]  # E[ẑ patch]
        d_filters = (gamma.double() * rstd)[:, None] * (
            torch.einsum("nc,nck->ck", g, passed)
            - d_beta[:, None] * mean
            - d_gamma[:, None] * by_normed
        )
        found = (each.to(filters.dtype) for each in (d_filters, d_gamma, d_beta))
        return *found, None, None, None, None, None


def map_size(read: Sequence[int], size: Shape, stride: Shape) -> Shape:
    """Return height and width of the map of a convolution, given those of what it reads."""
    h, w = ((read[d] - size[d]) // stride[d] + 1 for d in (0, 1))
    return h, w
