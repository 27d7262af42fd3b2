"""Pictures to tensors and back, and what every picture technique does around its own work: size, colour, tiles.

A picture tensor is (1, 3, H, W) float32, sRGB in [0, 1], on the CPU. Functions that say (B, C, H, W) take any batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from danqing.artwork.image import Picture
from danqing.errors import BadRequest

LUMA = (0.2126, 0.7152, 0.0722)  # Rec. 709
NOISE = 0.01  # standard deviation of colour below which there is only grain, 2.5 levels of 255

# Linear sRGB → cone responses → OKLab (Ottosson 2020, "A perceptual color space for image processing").
_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_STRIP = 2**20  # pixels converted at a time, so that a 67-megapixel picture needs no further gigabytes


def to_tensor(picture: Picture) -> Tensor:
    """The colours of a picture as (1, 3, H, W) float32 in [0, 1]; alpha stays with the picture."""
    return torch.from_numpy(picture.pixels.transpose(2, 0, 1).copy())[None]


def to_picture(x: Tensor, alpha: Tensor | NDArray[np.float32] | None = None, bits: int = 8) -> Picture:
    """A picture from (1, 3, H, W) or (3, H, W) of any float dtype and device; values are clamped to [0, 1].

    alpha: (H, W) in [0, 1]; `bits`, 8 or 16, is what a file of it will hold; nothing is dithered.
    Raises BadRequest for another shape, and for NaN, which no picture has.
    """
    if x.ndim == 4 and x.shape[0] == 1:
        x = x[0]
    if x.ndim != 3 or x.shape[0] != 3:
        raise BadRequest(f"a picture tensor has the shape (1, 3, H, W), not {tuple(x.shape)}")
    pixels = x.detach().to("cpu", torch.float32).clamp(0, 1).permute(1, 2, 0).contiguous().numpy()
    if isinstance(alpha, Tensor):
        alpha = alpha.detach().to("cpu", torch.float32).clamp(0, 1).contiguous().numpy()
    return Picture(pixels, alpha, bits)


# --- size -----------------------------------------------------------------------------------------------------------


def resize(x: Tensor, size: int | tuple[int, int]) -> Tensor:
    """A picture (B, C, H, W) in [0, 1] at another size, (height, width) in px or one number for a square.

    Smaller: light is averaged, as an eye further away would, with a triangle filter. Averaging the coded values instead
    darkens photos by 2 to 11 levels of 255 at a quarter of the size (12 photos measured), and a filter with negative
    lobes draws black outlines against the sky once it works in light. Larger: bicubic on the coded values, where
    overshoot is seen least. Maps (C other than 3) are averaged as they are. Keeps gradients; stays in [0, 1].
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise BadRequest(f"a picture cannot be {height}×{width} px; both sides are at least 1")
    if (height, width) == tuple(x.shape[-2:]):
        return x
    smaller = height < x.shape[-2] or width < x.shape[-1]
    if x.shape[1] != 3:
        return F.interpolate(x, (height, width), mode="bilinear", antialias=smaller, align_corners=False)
    if smaller:
        return to_coded(F.interpolate(to_light(x), (height, width), mode="bilinear", antialias=True))
    return F.interpolate(x, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)


def fit(x: Tensor, longer_side: int) -> Tensor:
    """A picture (B, C, H, W) in [0, 1] with its longer side at `longer_side` px; the other is at least 1 px."""
    height, width = x.shape[-2:]
    scale = longer_side / max(height, width)
    return resize(x, (max(1, round(height * scale)), max(1, round(width * scale))))


def resize_visible(x: Tensor, alpha: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A picture with transparency at another size: a colour counts as much as it is seen.

    Without that, what lies hidden in transparent pixels seeps out at the edges. x (B, 3, H, W) and alpha (B, 1, H, W)
    in [0, 1]; returns both at `size` (height, width). Where nothing is seen the colours are those of a plain resize.
    """
    light = resize(torch.cat([to_light(x) * alpha, alpha], dim=1), size)  # a map of four channels: averaged as it is
    share = light[:, 3:].clamp(0, 1)
    seen = to_coded(light[:, :3] / share.clamp_min(1e-6))
    return torch.where(share > 1e-3, seen, resize(x, size)), share


def to_light(x: Tensor) -> Tensor:
    """Coded sRGB in [0, 1] → linear light in [0, 1], any shape (IEC 61966-2-1)."""
    if x.device.type == "cpu" and x.dtype == torch.float32 and not x.requires_grad:
        # A table of 16-bit steps is six times faster than the power, and exact for whatever came from a file.
        codes = x.numpy() * np.float32(65535)
        codes += np.float32(0.5)
        return torch.from_numpy(_light_table()[np.clip(codes, 0, 65535, out=codes).astype(np.uint16)])
    x = x.clamp(0, 1)
    return torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def to_coded(x: Tensor) -> Tensor:
    """Linear light → coded sRGB, clamped to [0, 1], any shape."""
    x = x.clamp(0, 1)
    # The clamp under the root keeps its gradient finite at black, where the other branch is taken.
    return torch.where(x <= 0.0031308, x * 12.92, 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


@cache
def _light_table() -> NDArray[np.float32]:
    codes = np.arange(65536) / 65535
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).astype(np.float32)


# --- colour ---------------------------------------------------------------------------------------------------------


def luminance(x: Tensor) -> Tensor:
    """Rec. 709 luma (B, 1, H, W) of a picture (B, 3, H, W), of the coded values and in their range."""
    weights = torch.tensor(LUMA, dtype=x.dtype, device=x.device)
    return torch.einsum("c,bchw->bhw", weights, x)[:, None]


def keep_colors(result: Tensor, photo: Tensor) -> Tensor:
    """The brightness of `result` with the colours of `photo`; both (B, 3, H, W) in [0, 1] of one size, and the return.

    OKLab lightness and chroma. Where a colour does not exist at its new lightness, chroma gives way and lightness
    stays, so that black lines stay black: swapping Y in YIQ and clamping turned them navy on blue ground.
    """
    if result.shape != photo.shape:
        raise BadRequest(
            f"keep_colors takes two pictures of one size, not {tuple(result.shape)} and {tuple(photo.shape)}"
        )
    out = torch.empty_like(result, dtype=torch.float32)
    rows = max(1, _STRIP // max(1, result.shape[0] * result.shape[3]))
    for top in range(0, result.shape[2], rows):
        part = (slice(None), slice(None), slice(top, top + rows))
        lightness = to_oklab(result[part].float())[:, :1]
        out[part] = _from_oklab_in_gamut(torch.cat([lightness, to_oklab(photo[part].float())[:, 1:]], dim=1))
    return out


def to_oklab(x: Tensor) -> Tensor:
    """sRGB (B, 3, H, W) in [0, 1] → OKLab (B, 3, H, W): lightness in [0, 1], a and b around ±0.4."""
    cones = torch.einsum("ij,bjhw->bihw", _matrix(_CONES, x), to_light(x))
    return torch.einsum("ij,bjhw->bihw", _matrix(_OKLAB, x), cones.clamp(min=0) ** (1 / 3))


def from_oklab(lab: Tensor) -> Tensor:
    """OKLab (B, 3, H, W) → sRGB in [0, 1]; colours that sRGB lacks are clamped channel by channel."""
    return to_coded(_light_of(lab))


def _light_of(lab: Tensor) -> Tensor:
    """OKLab (B, 3, …) → linear sRGB, outside [0, 1] where sRGB lacks the colour."""
    cones = torch.einsum("ij,bj...->bi...", torch.linalg.inv(_matrix(_OKLAB, lab)), lab) ** 3
    return torch.einsum("ij,bj...->bi...", torch.linalg.inv(_matrix(_CONES, lab)), cones)


def _from_oklab_in_gamut(lab: Tensor) -> Tensor:
    """OKLab (B, 3, H, W) → sRGB; a colour that sRGB lacks loses chroma, by bisection, until it has it."""
    light = _light_of(lab)
    outside = ((light < -1e-4) | (light > 1 + 1e-4)).any(dim=1)  # (B, H, W), a few in a hundred as a rule
    if outside.any():
        colour = lab.permute(0, 2, 3, 1)[outside].T[None]  # (1, 3, N)
        low, high = torch.zeros_like(colour[:, :1]), torch.ones_like(colour[:, :1])
        for _ in range(8):  # 1/256 of the chroma: below what 8 bits show
            middle = (low + high) / 2
            tried = _light_of(torch.cat([colour[:, :1], colour[:, 1:] * middle], dim=1))
            inside = ((tried >= -1e-4) & (tried <= 1 + 1e-4)).all(dim=1, keepdim=True)
            low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
        fixed = _light_of(torch.cat([colour[:, :1], colour[:, 1:] * low], dim=1))
        light = light.permute(0, 2, 3, 1)
        light[outside] = fixed[0].T
        light = light.permute(0, 3, 1, 2)
    return to_coded(light)


def color_transport(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The linear map that carries the colours of `x` to those of `target` with the least movement.

    Monge–Kantorovich for Gaussians (Pitié & Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping for
    example-based colour transfer"). Both are (B, 3, H, W) in [0, 1] of any sizes; returns (matrix (3, 3), offset (3,))
    in float64, colour ↦ matrix · colour + offset. The matrix is symmetric and positive, so no hue turns over.
    Where `x` varies by less than NOISE in some direction it counts as varying by NOISE, so that a picture without
    colour does not have its grain blown up.
    """
    mean_x, cov_x = _moments(x)
    mean_t, cov_t = _moments(target)
    root = _root(cov_x, NOISE)
    inverse = torch.linalg.inv(root)
    matrix = inverse @ _root(root @ cov_t @ root) @ inverse
    return matrix, mean_t - matrix @ mean_x


def match_colors(x: Tensor, target: Tensor, *, amount: float = 1.0) -> Tensor:
    """`x` (B, 3, H, W) in [0, 1] with the mean and covariance of the colours of `target`; clamped to [0, 1].

    `amount` goes from 0 (as it was) to 1 along the transport's straight line. Keeps gradients to `x` through the map
    itself, not through its statistics.
    """
    matrix, offset = color_transport(x.detach(), target.detach())
    matrix = amount * matrix + (1 - amount) * torch.eye(3, dtype=torch.float64)
    moved = torch.einsum("ij,bjhw->bihw", matrix.to(x.device, x.dtype), x)
    return (moved + (amount * offset).to(x.device, x.dtype)[:, None, None]).clamp(0, 1)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3) of the colours, float64; summed in strips, as float64 copies are large."""
    flat = x.transpose(0, 1).reshape(3, -1)
    count = flat.shape[1]
    mean = torch.stack([part.double().sum(dim=1) for part in torch.split(flat, _STRIP, dim=1)]).sum(dim=0) / count
    cov = torch.zeros(3, 3, dtype=torch.float64, device=x.device)
    for part in torch.split(flat, _STRIP, dim=1):
        centred = part.double() - mean[:, None]
        cov += centred @ centred.T
    return mean.cpu(), (cov / count).cpu()


def _root(cov: Tensor, least: float = 0.0) -> Tensor:
    """The symmetric square root of a positive matrix (3, 3), with no eigenvalue below `least`."""
    values, vectors = torch.linalg.eigh((cov + cov.T) / 2)
    root: Tensor = vectors @ torch.diag(values.clamp(min=0).sqrt().clamp(min=least)) @ vectors.T
    return root


def _matrix(rows: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


# --- tiles ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One window of a large picture, and how much each of its pixels counts in the whole."""

    top: int
    left: int
    height: int
    width: int
    weight: Tensor  # (1, 1, height, width) float32; the weights of all tiles sum to 1 at every pixel

    def cut(self, x: Tensor) -> Tensor:
        """This window of x (B, C, H, W), a view (B, C, height, width): read from it, or add a weighted result to it."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]


def tiles(height: int, width: int, tile: int, overlap: int, shift: tuple[int, int] = (0, 0)) -> Iterator[Tile]:
    """Windows of one size that cover a picture and blend into each other without seams.

    Each is `tile` px a side (less only where the picture is smaller), inside the picture, and shares at least `overlap`
    px with the next; weights rise smoothly over those px. `shift` (down, right) px moves the grid, so that passes with
    different shifts have their joints in different places. Reassembly: `tile.cut(out).add_(tile.weight * result)`.
    """
    if tile < 1 or not 0 <= overlap < tile:
        raise BadRequest(f"tiles of {tile} px with {overlap} px of overlap: a tile is ≥ 1 px and its overlap smaller")
    rows = _spans(height, tile, overlap, shift[0])
    columns = _spans(width, tile, overlap, shift[1])
    for top, down in rows:
        for left, across in columns:
            yield Tile(top, left, len(down), len(across), torch.outer(down, across).float()[None, None])


def _spans(length: int, tile: int, overlap: int, shift: int) -> list[tuple[int, Tensor]]:
    """Starts and float64 weights of the windows along one side."""
    tile = min(tile, length)
    stride = max(1, tile - overlap)
    count = 2 + math.ceil(length / stride)
    starts = sorted({min(max(0, k * stride - shift % stride), length - tile) for k in range(count)})
    total = torch.zeros(length, dtype=torch.float64)
    ramps = []
    for start in starts:
        at = torch.arange(tile, dtype=torch.float64)
        inner = torch.full_like(at, math.inf)
        if start > 0:  # the picture's own edge needs no fading
            inner = torch.minimum(inner, at)
        if start + tile < length:
            inner = torch.minimum(inner, tile - 1 - at)
        rise = ((inner + 0.5) / max(overlap, 1)).clamp(max=1)
        ramp = rise * rise * (3 - 2 * rise)
        ramps.append(ramp)
        total[start : start + tile] += ramp
    return [(start, ramp / total[start : start + tile]) for start, ramp in zip(starts, ramps, strict=True)]
