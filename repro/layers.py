"""Training on a processor as exactly as float32 allows (Sections 2.2, 3.1 and 3.2).

Where maps lie channels last, as convolutions want them, torch's batch normalisation adds up the
millions of positions of a batch one after another in float32: gradients are then off by several per
cent. `conv_norm_relu` and `first_layer` add up a few segments at a time, as a tree, and their sums
in float64. `mean_of_first_map`, the network of Section 3.2 up to its last layer, stores no map.

A GPU uses the last of these, and the gradient of Conv1.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
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
    """Return the ReLU of a convolution's batch-normalised maps, 2×2 max-pooled if asked for."""
    if x.device.type == "cpu" and norm.training:
        x = _Convolution.apply(x, conv.weight, conv.bias, conv.padding)
    else:
        x = conv(x)
    return _norm_relu(x, norm, pool)


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


def _norm_relu(
    x: Float[Tensor, "n c h w"], norm: nn.BatchNorm2d, pool: bool = False
) -> Float[Tensor, "n c i j"]:
    if x.device.type == "cpu" and norm.training:
        return _NormReLU.apply(x, norm.weight, norm.bias, norm, pool)
    x = norm(x)
    if pool:  # before ReLU: the maximum is the same, and ReLU has a quarter to do
        x = F.max_pool2d(x, paper.POOL_WINDOW)
    return F.relu(x, inplace=True)


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
        running.lerp_(found.detach().to(running), norm.momentum)  # type: ignore[union-attr, arg-type]
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
    sides = zip(reads, weights, strict=True)
    return _norm_relu(torch.cat([_OneChannel.apply(x, w, stride) for x, w in sides], 1), norm)


class _OneChannel(torch.autograd.Function):
    """A convolution of one channel, with the gradient of its weight alone.

    That is added up row by row: cuDNN takes long for it, and in its deterministic way is off by a
    third of a per cent over long filters.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Shape) -> Tensor:
        ctx.save_for_backward(x)
        ctx.shape, ctx.stride = weight.shape, stride
        return F.conv2d(x, weight, None, stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        [x] = ctx.saved_tensors
        read = patches(x[:, 0], ctx.shape[2:], ctx.stride)
        maps = F.pad(gradient.to(x.dtype), (0, 0, 0, read.apart - read.h))
        rows = maps.movedim(1, 2).flatten(0, 1)[: len(read.values)]
        with torch.autocast(x.device.type, enabled=False):  # it would round what is multiplied
            return None, torch.bmm(rows, read.values.mT).sum(0).view(ctx.shape), None


# Batch normalisation, max-pooling and ReLU -------------------------------------------------------


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
        values, count = (_positions(x_n) for (x_n,) in _parts(x)), x.numel() // x.shape[1]
        sums = _added_up((v.sum(0), (v * v).sum(0)) for v in values)
        mean, second = (each / count for each in sums)  # [c] in float64
        # Of a map that is constant, rounding may be left.
        rstd = _tracked(norm, mean, (second - mean**2).clamp_min(0), count)
        scale = gamma.double() * rstd
        shift = beta.double() - mean * scale
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
        d_gamma = (by_x - mean * d_beta) * rstd
        slope = -scale * rstd * d_gamma / count
        shift = -scale * d_beta / count - slope * mean
        for n, (x_n, y_n, g_n) in enumerate(parts):
            g_n = _relu_backward(g_n, y_n).to(_wide(x))
            if ctx.pool:
                size = x_n.shape[2:]
                window = [paper.POOL_WINDOW] * 2
                g_n = F.max_unpool2d(g_n, places[n].long(), window, output_size=size)
            x_n.copy_(_affine(x_n, slope, shift, x_n).addcmul_(g_n, _by_channel(scale, g_n)))
        return x, d_gamma.to(_wide(x)), d_beta.to(_wide(x)), None, None


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


# First and second moments, E[p] and E[p pᵀ], of a segment's patches over the positions of its map;
# a patch p is the k values that one filter reads.
Moments = tuple[Float[Tensor, "n k"], Float[Tensor, "n k k"]]


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
    mean, second = ((torch.stack(each) / positions).float() for each in zip(*sums, strict=True))
    return mean, second


def mean_of_first_map(
    x: Float[Tensor, "n 1 rows columns"],
    weight: Float[Tensor, "c 1 kh kw"],
    norm: nn.BatchNorm2d,
    stride: Shape,
    precomputed: tuple[Tensor, ...] = (),
) -> Float[Tensor, "n c"]:
    """Return the mean over positions of relu(norm(conv(x))), without storing a map.

    A convolution of one fixed channel is linear in it, so the batch's mean and variance of every
    filter follow from the moments of the patches::

        z = w · patch        E[z] = w · E[patch]        E[z²] = w' E[patch patch'] w

    With them, one pass over the positions gives all that is needed besides: for each segment and
    filter, the share of positions where ReLU lets through, and the mean over all positions of the
    patch where it does, or 0. To the gradient both are constants, as which positions these are does
    not change with a small step.

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
    read = (patches(few, size, stride) for few in x[:, 0].split(AT_ONCE[x.device.type]))
    positions = math.prod(map_size(x.shape[2:], size, stride))
    if not norm.training:
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = (norm.bias - norm.running_mean * scale)[:, None]
        maps = ((few, few.products(filters * scale[:, None]) + shift) for few in read)
        return torch.cat([few.of_segments(z.relu_().sum(2)) for few, z in maps]) / positions
    of_segments = precomputed or moments(x, size, stride)
    mean, second = (each.mean(0, dtype=torch.float64) for each in of_segments)
    w = filters.double()
    mu = w @ mean
    var = (((w @ second) * w).sum(1) - mu**2).clamp_min(0)
    scale = norm.weight.double() * _tracked(norm, mu, var, len(x) * positions)
    # ReLU lets through where scaled · patch is larger.
    scaled, threshold = w * scale[:, None], mu * scale - norm.bias.double()
    shares, means = [], []
    with torch.no_grad():
        for few in read:
            z = few.products(scaled)
            on = torch.gt(z, threshold.to(z.dtype)[:, None], out=z)  # [rows, c, w] of 0 and 1
            shares.append(few.of_segments(on.sum(2)) / positions)
            means.append(few.of_segments(torch.bmm(on, few.values.mT)) / positions)
    share, passed = torch.cat(shares).double(), torch.cat(means).double()
    return ((scaled * passed).sum(2) - threshold * share).to(filters.dtype)


def map_size(read: Sequence[int], size: Shape, stride: Shape) -> Shape:
    """Return height and width of the map of a convolution, given those of what it reads."""
    h, w = ((read[d] - size[d]) // stride[d] + 1 for d in (0, 1))
    return h, w
