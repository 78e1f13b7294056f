"""Convolutions of many models at once on a GPU, as Triton kernels: each model has its own images and its own weights.

cuDNN sees such a stack as one convolution with a group per model, for which it has no fast kernel: it cuts the images
into slices, or leaves the tensor cores idle. Here each is a product of matrices with a batch axis for the models, whose
left operand is gathered from the images on the way (implicit GEMM). Products are of TF32 with sums of float32, as
cuDNN's are, and no sum depends on the order in which the device comes to it.

Letters: M models, B images, S stride, K = taps of a window times its channels. `small` is the side of a strided
convolution with fewer pixels, `large` the other: `down` goes from large to small, `up` back. Images have any strides;
weights are [M, small channels, taps, large channels], without gaps.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_PIXELS, _DEPTH = 128, 64  # of a tile: rows of the result, and what is summed at a time at most
_ROWS, _SUMMED = 64, 32  # the same of the weights' gradient
_ENOUGH = 512  # programs that fill a large GPU
WIDE = tl.constexpr(8)  # channels from which on one tap fills the tensor cores at least by half


@triton.jit
def _activated(value, ACTIVATION: tl.constexpr):
    if ACTIVATION == "relu":
        value = tl.where(value < 0, 0.0, value)  # as torch has it, also of a NaN, which a maximum would lose
    elif ACTIVATION == "elu":
        value = tl.where(value < 0, tl.exp(value) - 1, value)
    return value


@triton.jit
def _through(
    after, grad, before, parts, total, PX: tl.constexpr, C: tl.constexpr, EACH: tl.constexpr,
    am, ab, ac, ap, gm, gb, gc, gp, M, BP: tl.constexpr, BC: tl.constexpr, ACTIVATION: tl.constexpr,
):  # fmt: skip
    """before[p, c] = grad[p, c] times the activation's slope, from what came after it; parts[share, c], its sums"""
    share, model = tl.program_id(0), tl.program_id(1).to(tl.int64)
    c = tl.arange(0, BC)
    acc = tl.zeros([BC], dtype=tl.float32)
    for first in range(0, EACH, BP):
        p = share * EACH + first + tl.arange(0, BP)
        image, pixel = p // PX, p % PX
        mask = (p < total)[:, None] & (c < C)[None, :]
        g = tl.load(grad + model * gm + (image * gb + pixel * gp)[:, None] + (c * gc)[None, :], mask=mask, other=0.0)
        at = model * am + (image * ab + pixel * ap)[:, None] + (c * ac)[None, :]
        y = tl.load(after + at, mask=mask, other=0.0)
        if ACTIVATION == "relu":
            g = tl.where(y <= 0, 0.0, g)
        else:
            g = tl.where(y > 0, g, g * (y + 1))
        tl.store(before + at, g, mask=mask)
        acc += tl.sum(g, axis=0)
    tl.store(parts + (share * M + model) * C + c, acc, mask=c < C)


@triton.jit
def _down(
    large, weight, bias, small, total,
    lm, lb, lc, lh, lw, sm, sb, sc, sh, sw,
    H: tl.constexpr, W: tl.constexpr, OH: tl.constexpr, OW: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    KH: tl.constexpr, KW: tl.constexpr, S: tl.constexpr, PAD: tl.constexpr, BIASED: tl.constexpr,
    ACTIVATION: tl.constexpr, BP: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """small[p, n] = bias[n] + sum over taps and c of large[pixel of p's tap, c] weight[n, tap, c]"""
    model = tl.program_id(1).to(tl.int64)
    p = tl.program_id(0) * BP + tl.arange(0, BP)
    image, rest = p // (OH * OW), p % (OH * OW)
    oy, ox = rest // OW, rest % OW
    n = tl.arange(0, BN)
    large += model * lm
    weight += model * (CO * KH * KW * CI)
    start = image * lb
    acc = tl.zeros([BP, BN], dtype=tl.float32)
    if CI >= WIDE:  # tap after tap: a pixel is found once for all its channels
        CHUNKS: tl.constexpr = (CI + BK - 1) // BK
        for step in range(0, KH * KW * CHUNKS):
            tap = step // CHUNKS
            c = step % CHUNKS * BK + tl.arange(0, BK)
            iy = oy * S - PAD + tap // KW
            ix = ox * S - PAD + tap % KW
            inside = (p < total) & (iy >= 0) & (iy < H) & (ix >= 0) & (ix < W)
            at = (start + iy * lh + ix * lw)[:, None] + (c * lc)[None, :]
            a = tl.load(large + at, mask=inside[:, None] & (c < CI)[None, :], other=0.0)
            at = (n * (KH * KW * CI))[None, :] + (tap * CI + c)[:, None]
            b = tl.load(weight + at, mask=(c < CI)[:, None] & (n < CO)[None, :], other=0.0)
            acc = tl.dot(a, b, acc, input_precision=PRECISION)
    else:  # many taps at once
        for first in range(0, KH * KW * CI, BK):
            k = first + tl.arange(0, BK)
            tap, c = k // CI, k % CI
            iy = (oy * S - PAD)[:, None] + (tap // KW)[None, :]
            ix = (ox * S - PAD)[:, None] + (tap % KW)[None, :]
            known = k < KH * KW * CI
            inside = (p < total)[:, None] & known[None, :] & (iy >= 0) & (iy < H) & (ix >= 0) & (ix < W)
            a = tl.load(large + start[:, None] + iy * lh + ix * lw + (c * lc)[None, :], mask=inside, other=0.0)
            at = (n * (KH * KW * CI))[None, :] + k[:, None]
            b = tl.load(weight + at, mask=known[:, None] & (n < CO)[None, :], other=0.0)
            acc = tl.dot(a, b, acc, input_precision=PRECISION)
    if BIASED:
        acc += tl.load(bias + model * CO + n, mask=n < CO, other=0.0)[None, :]
    acc = _activated(acc, ACTIVATION)
    place = small + model * sm + (image * sb + oy * sh + ox * sw)[:, None] + (n * sc)[None, :]
    tl.store(place, acc, mask=(p < total)[:, None] & (n < CO)[None, :])


@triton.jit
def _up(
    small, weight, bias, large, total,
    lm, lb, lc, lh, lw, sm, sb, sc, sh, sw,
    H: tl.constexpr, W: tl.constexpr, OH: tl.constexpr, OW: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    KH: tl.constexpr, KW: tl.constexpr, S: tl.constexpr, PAD: tl.constexpr, BIASED: tl.constexpr,
    ACTIVATION: tl.constexpr, BP: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """large[p, n] = bias[n] + sum over the windows that p lies in and c of small[window, c] weight[n, tap, c]

    Pixels fall into S x S classes that lie in the same taps of their windows; a program works on pixels of one class.
    """
    TX: tl.constexpr = (KW + S - 1) // S
    TAPS: tl.constexpr = (KH + S - 1) // S * TX
    QH: tl.constexpr = (H + S - 1) // S
    QW: tl.constexpr = (W + S - 1) // S
    CHUNKS: tl.constexpr = (CO + BK - 1) // BK
    model = tl.program_id(1).to(tl.int64)
    ry, rx = tl.program_id(2) // S, tl.program_id(2) % S
    p = tl.program_id(0) * BP + tl.arange(0, BP)
    image, rest = p // (QH * QW), p % (QH * QW)
    iy = (rest // QW) * S + (ry + (S - 1) * PAD) % S
    ix = (rest % QW) * S + (rx + (S - 1) * PAD) % S
    there = (p < total) & (iy < H) & (ix < W)
    small += model * sm
    weight += model * (CO * KH * KW * CI)
    start = image * sb
    n = tl.arange(0, BN)
    acc = tl.zeros([BP, BN], dtype=tl.float32)
    for step in range(0, TAPS * CHUNKS):
        tap = step // CHUNKS
        c = step % CHUNKS * BK + tl.arange(0, BK)
        ky, kx = ry + tap // TX * S, rx + tap % TX * S
        fromy, fromx = iy + PAD - ky, ix + PAD - kx
        oy, ox = fromy // S, fromx // S
        known = (ky < KH) & (kx < KW)
        inside = there & known & (fromy >= 0) & (oy < OH) & (fromx >= 0) & (ox < OW)
        at = (start + oy * sh + ox * sw)[:, None] + (c * sc)[None, :]
        a = tl.load(small + at, mask=inside[:, None] & (c < CO)[None, :], other=0.0)
        if CI == 1:  # a product with one column has nothing to give the tensor cores
            b = tl.load(weight + (ky * KW + kx) * CO + c, mask=known & (c < CO), other=0.0)
            acc += tl.sum(a * b[None, :], axis=1)[:, None]
        else:
            at = (n * (KH * KW * CO))[None, :] + ((ky * KW + kx) * CO + c)[:, None]
            b = tl.load(weight + at, mask=known & (c < CO)[:, None] & (n < CI)[None, :], other=0.0)
            acc = tl.dot(a, b, acc, input_precision=PRECISION)
    if BIASED:
        acc += tl.load(bias + model * CI + n, mask=n < CI, other=0.0)[None, :]
    acc = _activated(acc, ACTIVATION)
    place = large + model * lm + (image * lb + iy * lh + ix * lw)[:, None] + (n * lc)[None, :]
    tl.store(place, acc, mask=there[:, None] & (n < CI)[None, :])


@triton.jit
def _weight(
    large, small, parts, total,
    lm, lb, lc, lh, lw, sm, sb, sc, sh, sw, M,
    H: tl.constexpr, W: tl.constexpr, OH: tl.constexpr, OW: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    KH: tl.constexpr, KW: tl.constexpr, S: tl.constexpr, PAD: tl.constexpr, EACH: tl.constexpr,
    BP: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """parts[share, n, k] = sum over the share's pixels p of small[p, n] large[pixel of p's tap, c], k = (tap, c)

    What is summed lies apart in both operands, which TF32 cannot take and bfloat16 can: so each number goes as two of
    those, and of the four products the least is left out. That is more exact than TF32.
    """
    K: tl.constexpr = KH * KW * CI
    share, model = tl.program_id(2), tl.program_id(1).to(tl.int64)
    k = tl.program_id(0) * BK + tl.arange(0, BK)
    tap, c = k // CI, k % CI
    n = tl.arange(0, BN)
    large += model * lm
    small += model * sm
    ahead = (tap // KW * lh + tap % KW * lw + c * lc)[None, :]
    acc = tl.zeros([BK, BN], dtype=tl.float32)
    for first in range(0, EACH, BP):
        p = share * EACH + first + tl.arange(0, BP)
        image, rest = p // (OH * OW), p % (OH * OW)
        oy, ox = rest // OW, rest % OW
        iy = (oy * S - PAD)[:, None] + (tap // KW)[None, :]
        ix = (ox * S - PAD)[:, None] + (tap % KW)[None, :]
        inside = (p < total)[:, None] & (k < K)[None, :] & (iy >= 0) & (iy < H) & (ix >= 0) & (ix < W)
        at = (image * lb + (oy * S - PAD) * lh + (ox * S - PAD) * lw)[:, None]
        a = tl.load(large + at + ahead, mask=inside, other=0.0)
        at = (image * sb + oy * sh + ox * sw)[:, None] + (n * sc)[None, :]
        g = tl.load(small + at, mask=(p < total)[:, None] & (n < CO)[None, :], other=0.0)
        if PRECISION == "ieee":
            acc = tl.dot(tl.trans(a), g, acc, input_precision="ieee")
        else:
            a_high, g_high = a.to(tl.bfloat16), g.to(tl.bfloat16)
            a_low, g_low = (a - a_high.to(tl.float32)).to(tl.bfloat16), (g - g_high.to(tl.float32)).to(tl.bfloat16)
            acc = tl.dot(tl.trans(a_high), g_high, acc)
            acc = tl.dot(tl.trans(a_low), g_high, acc)
            acc = tl.dot(tl.trans(a_high), g_low, acc)
    place = parts + ((share * M + model) * CO + n[None, :]) * K + k[:, None]
    tl.store(place, acc, mask=(k < K)[:, None] & (n < CO)[None, :])


def down(
    large: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    padding: int,
    precision: str,
    activation: str = "",
) -> Tensor:
    """[M, B, C, H, W] -> [M, B, C', H', W'] with weight [M, C', kh, kw, C]: a convolution."""
    models, images, channels, height, width = large.shape
    outputs, kh, kw = weight.shape[1:4]
    inner = channels if channels >= WIDE.value else kh * kw * channels
    oh, ow = (height + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1
    small = _images(models, images, outputs, oh, ow, like=weight)
    total = images * oh * ow
    _down[(triton.cdiv(total, _PIXELS), models)](
        large, weight, bias if bias is not None else weight, small, total, *large.stride(), *small.stride(),
        **_sizes(large, small, weight, stride, padding), BIASED=bias is not None, ACTIVATION=activation,
        BP=_PIXELS, BK=_block(inner, _DEPTH), BN=_block(outputs), PRECISION=precision,
    )  # fmt: skip
    return small


def up(
    small: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    padding: int,
    size: tuple[int, int],
    precision: str,
    activation: str = "",
) -> Tensor:
    """[M, B, C', H', W'] -> [M, B, C, *size] with weight [M, C', kh, kw, C]: a transposed convolution."""
    models, images = small.shape[:2]
    channels = weight.shape[4]
    large = _images(models, images, channels, *size, like=weight)
    turned = weight.permute(0, 4, 2, 3, 1).contiguous()  # what is summed lies side by side, as tensor cores want it
    total = images * triton.cdiv(size[0], stride) * triton.cdiv(size[1], stride)
    _up[(triton.cdiv(total, _PIXELS), models, stride * stride)](
        small, turned, bias if bias is not None else weight, large, total, *large.stride(), *small.stride(),
        **_sizes(large, small, weight, stride, padding), BIASED=bias is not None, ACTIVATION=activation,
        BP=_PIXELS, BK=_block(small.shape[2], _DEPTH), BN=_block(channels) if channels > 1 else 1, PRECISION=precision,
        num_stages=1,
    )  # fmt: skip
    return large


def weight_gradient(
    large: Tensor, small: Tensor, kernel: tuple[int, int], stride: int, padding: int, precision: str
) -> Tensor:
    """[M, C', kh, kw, C], of either kind of convolution: `small` or `large` is the gradient of what came out."""
    models, images, channels = large.shape[:3]
    outputs, oh, ow = small.shape[2:]
    depth = kernel[0] * kernel[1] * channels
    rows, total = _block(depth, _ROWS), images * oh * ow
    blocks = triton.cdiv(depth, rows)
    shares = max(1, min(triton.cdiv(_ENOUGH, blocks * models), triton.cdiv(total, 8 * _SUMMED)))
    each = triton.cdiv(triton.cdiv(total, shares), _SUMMED) * _SUMMED
    shares = triton.cdiv(total, each)
    parts = large.new_empty((shares, models, outputs, *kernel, channels))
    _weight[(blocks, models, shares)](
        large, small, parts, total, *large.stride(), *small.stride(), models,
        **_sizes(large, small, parts[0], stride, padding),
        EACH=each, BP=_SUMMED, BK=rows, BN=_block(outputs), PRECISION=precision, num_stages=1,
    )  # fmt: skip
    return parts[0] if shares == 1 else parts.sum(0)


def through(after: Tensor, grad: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """(gradient before the activation [M, B, C, H, W], its sum [M, C]) from that after it and from what came out."""
    models, images, channels, height, width = after.shape
    grad = grad if _one_step_a_pixel(grad) else grad.contiguous()
    before, total = torch.empty_like(after), images * height * width
    shares = max(1, min(_ENOUGH // models, triton.cdiv(total, _SUMMED)))
    each = triton.cdiv(triton.cdiv(total, shares), _SUMMED) * _SUMMED
    shares = triton.cdiv(total, each)
    parts = after.new_empty((shares, models, channels))
    m, b, c, _, w = after.stride()
    gm, gb, gc, _, gw = grad.stride()
    _through[(shares, models)](
        after, grad, before, parts, total, height * width, channels, each, m, b, c, w, gm, gb, gc, gw, models,
        BP=_SUMMED, BC=triton.next_power_of_2(channels), ACTIVATION=activation,
    )  # fmt: skip
    return before, parts.sum(0)


def _one_step_a_pixel(images: Tensor) -> bool:
    """Whether row follows row, so that one stride leads from each pixel to the next."""
    return images.stride(3) == images.shape[4] * images.stride(4)


def _images(models: int, images: int, channels: int, height: int, width: int, like: Tensor) -> Tensor:
    """An empty [M, B, C, H, W] whose channels lie side by side."""
    return like.new_empty((models, images, height, width, channels)).permute(0, 1, 4, 2, 3)


def _sizes(large: Tensor, small: Tensor, weight: Tensor, stride: int, padding: int) -> dict[str, int]:
    (ci, h, w), (co, oh, ow) = large.shape[2:], small.shape[2:]
    kh, kw = weight.shape[2:4]
    return {"H": h, "W": w, "OH": oh, "OW": ow, "CI": ci, "CO": co, "KH": kh, "KW": kw, "S": stride, "PAD": padding}


def _block(count: int, most: int = 128) -> int:
    """Of a tile's side: a power of two that the tensor cores take."""
    return max(16, min(most, triton.next_power_of_2(count)))
