"""The frames of ImageNet-P by their plain definitions, one image and one frame at a time; shares no code with ppbench.

``frame`` is the entry. Images are whole, (H, W, 3) uint8 RGB; ``draws`` are those of one image.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv

from tests.oracles.corruptions.filters import gaussian, zoomed_into
from tests.oracles.corruptions.motion import in_16_bits
from tests.oracles.corruptions.snow import whitened
from tests.oracles.corruptions.spatter import shine

P = json.loads((Path(__file__).parent / "sequence_parameters.json").read_text())
NOISE = ("gaussian_noise", "shot_noise", "speckle_noise")


def value(expression: str, i: int) -> float:
    """A formula of the frame's number, as the table of constants writes it."""
    return float(eval(expression, {"__builtins__": {}}, {"i": i}))


def centre(image: np.ndarray, side: int) -> np.ndarray:
    top, left = (int(round((length - side) / 2)) for length in image.shape[:2])  # noqa: RUF046
    return image[top : top + side, left : left + side]


def frames(name: str, size: str) -> int:
    of_name = P["frames"].get(name, {})
    return int(of_name.get(size, P["frames"]["default"]))


SIDES = {"imagenet": 224, "inception": 299, "tiny": 64}


def frame(
    whole: np.ndarray, name: str, i: int, size: str, difficulty: int = 1, draws: dict[str, Any] | None = None
) -> np.ndarray:
    """Frame ``i``; the constants are those of ``size``: imagenet, inception, tiny or cifar."""
    draws = draws or {}
    side = SIDES.get(size)

    def cut(x: np.ndarray) -> np.ndarray:
        return x if side is None else centre(x, side)

    if size == "inception":
        kept = whole
        if name in ("translate", "rotate", "tilt", "shear"):
            return to_inception(MOVED[name](whole, i, size))
        kept = to_inception(kept)
        return MOVED[name](kept, i, size) if name in MOVED else CHANGED[name](kept, i, size, difficulty, draws)
    if name == "zoom_blur":
        return zoom_blur(whole, i, cut)
    if name in MOVED:
        return cut(MOVED[name](whole, i, size))
    if name == "motion_blur" and size == "tiny":
        blurred = motion_blur(whole, i, size, difficulty, draws)
        height, width = whole.shape[:2]
        short = min(height, width)
        if short == side:
            return blurred
        new = int(side * width / short), int(side * height / short)
        return np.asarray(Image.fromarray(blurred).resize(new, Image.Resampling.BILINEAR))
    return CHANGED[name](cut(whole), i, size, difficulty, draws)


def to_inception(image: np.ndarray) -> np.ndarray:
    height, width = (int(length * 0.875) for length in image.shape[:2])
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    kept = Image.fromarray(image[top : top + height, left : left + width])
    return np.asarray(kept.resize((299, 299), Image.Resampling.BILINEAR))


def truncated(x: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(x, 0, 255)).astype(np.uint8)


def gaussian_noise(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    if i == 0:
        return x
    std = P["gaussian_noise"]["std"][size][difficulty - 1]
    noisy = (x / 255).astype(np.float32) + np.float32(std) * draws["noise"][i - 1].astype(np.float32)
    return truncated(np.clip(noisy, 0, 1) * 255)


def shot_noise(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    if i == 0:
        return x
    photons = P["shot_noise"]["photons_per_unit"][size][difficulty - 1]
    return truncated(np.clip(draws["photons"][i - 1] / photons, 0, 1) * 255)


def speckle_noise(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    if i == 0:
        return x
    std = P["speckle_noise"]["std"][size][difficulty - 1]
    return truncated(np.clip(x / 255 + x / 255 * std * draws["noise"][i - 1], 0, 1) * 255)


def trail(x: np.ndarray, radius: int, sigma: float, degrees: float) -> np.ndarray:
    """A one-sided average along a line, whose step is measured along the line's own length."""
    length = 2 * radius + 1
    weights = np.exp(-(np.arange(length) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    py, px = length * math.sin(math.radians(degrees)), length * math.cos(math.radians(degrees))
    total = np.zeros(x.shape)
    for k in range(length):
        down = math.ceil(k * py / math.hypot(py, px) - 0.5)
        right = math.ceil(k * px / math.hypot(py, px) - 0.5)
        rows = np.clip(np.arange(x.shape[0]) + down, 0, x.shape[0] - 1)
        columns = np.clip(np.arange(x.shape[1]) + right, 0, x.shape[1] - 1)
        total += weights[k] * x[rows][:, columns]
    return total


def motion_blur(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    k = P["motion_blur"][size]
    return truncated(in_16_bits(trail(x, k["radius"], k["sigma"], value(k["angle"], i))))


def snow(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    k = P["snow"] | P["snow"][size]
    layer = zoomed_into(k["mean"] + k["std"] * draws["layer"], k["zoom"], "imagenet-c")
    layer = np.floor(np.clip(np.where(layer < k["threshold"], 0, layer), 0, 1) * 255)
    fallen = in_16_bits(trail(layer, k["radius"], k["sigma"], value(k["angle"], i)))[..., None] / 255
    white = whitened(x.astype(np.float32) / np.float32(255), k["image_weight"])
    return truncated(np.clip(white + fallen + fallen[::-1, ::-1], 0, 1) * 255)


def brightness(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    hsv = rgb2hsv(x / 255)
    hsv[..., 2] = np.clip(hsv[..., 2] + value(P["brightness"]["hsv_value_added"][size], i), 0, 1)
    return truncated(np.clip(hsv2rgb(hsv), 0, 1) * 255)


def gaussian_blur(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    k = P["gaussian_blur"]
    return truncated(gaussian(x / 255, value(k["sigma"][size], i), truncate=k["truncate"][size]) * 255)


def spatter(x: np.ndarray, i: int, size: str, difficulty: int, draws: dict[str, Any]) -> np.ndarray:
    k = P["spatter"] | P["spatter"][size]
    layer = gaussian(k["mean"] + k["std"] * draws["layer"], k["sigma"])
    layer = np.where(layer < k["threshold"], 0, layer)
    for _ in range(i):
        if len(k["flow_kernel"]) == 2:
            moved = [np.convolve(column, k["flow_kernel"])[: layer.shape[0]] for column in layer.T]
        else:  # 'same' of four taps: the second of them is the pixel's own
            moved = [np.convolve(column, k["flow_kernel"])[1 : layer.shape[0] + 1] for column in layer.T]
        layer = np.stack(moved, axis=1)
    levels = (np.floor(layer * 255).astype(np.int64) % 256).astype(np.uint8)
    mask = levels.astype(np.float32) * shine(levels).astype(np.float32)
    if mask.max() == 0:
        return np.zeros_like(x)  # 0 / 0 in the scripts
    light = mask / mask.max() * np.float32(k["opacity"])
    colour = np.array(k["color_rgb"], np.float32) / np.float32(255)
    return truncated(np.clip(x.astype(np.float32) / np.float32(255) + light[..., None] * colour, 0, 1) * 255)


CHANGED = {
    "gaussian_noise": gaussian_noise, "shot_noise": shot_noise, "speckle_noise": speckle_noise,
    "motion_blur": motion_blur, "snow": snow, "brightness": brightness, "gaussian_blur": gaussian_blur,
    "spatter": spatter,
}  # fmt: skip


def affine(image: np.ndarray, angle: float = 0, scale: float = 1, shear: float = 0) -> np.ndarray:
    """Pillow's own transform, by the matrix of torchvision up to 0.7."""
    a, b = math.radians(angle), math.radians(shear)
    height, width = image.shape[:2]
    cx, cy = width * 0.5 + 0.5, height * 0.5 + 0.5
    f = 1 / scale / (math.cos(a + b) * math.cos(a) + math.sin(a + b) * math.sin(a))
    m = [math.cos(a + b) * f, math.sin(a + b) * f, 0, -math.sin(a) * f, math.cos(a) * f, 0]
    m[2] = cx - m[0] * cx - m[1] * cy
    m[5] = cy - m[3] * cx - m[4] * cy
    moved = Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, tuple(m), Image.Resampling.BILINEAR
    )
    return np.asarray(moved)


def zoom_blur(whole: np.ndarray, i: int, cut: Any = lambda x: x) -> np.ndarray:
    total = (cut(whole) / 255).astype(np.float32)
    for j in range(1, i + 1):
        total = total + (cut(affine(whole, scale=1 + 0.004 * j)) / 255).astype(np.float32)
    return truncated(total / np.float32(i + 1) * np.float32(255))


def translate(whole: np.ndarray, i: int, size: str) -> np.ndarray:
    right = int(value(P["translate"]["dx_px"][size], i))
    moved = np.zeros_like(whole)
    for x in range(whole.shape[1]):
        if 0 <= x - right < whole.shape[1]:
            moved[:, x] = whole[:, x - right]
    return moved


def tilt(whole: np.ndarray, i: int, size: str) -> np.ndarray:
    """Pixel by pixel: places are followed through the camera, and its inverse is taken at the end."""
    height, width = whole.shape[:2]
    t = math.radians(value(P["tilt"]["angle"][size], i))
    f = math.sqrt(width**2 + height**2)

    def seen(x: float, y: float, one: float) -> list[float]:
        x, y, z, w = x - one * width / 2, y - one * height / 2, one, one
        x, z = x * math.cos(t) - z * math.sin(t), x * math.sin(t) + z * math.cos(t)
        y, z = y * math.cos(t) - z * math.sin(t), y * math.sin(t) + z * math.cos(t)
        z = z + f * w
        return [f * x + width / 2 * z, f * y + height / 2 * z, z]

    back = np.linalg.inv(np.array([seen(1, 0, 0), seen(0, 1, 0), seen(0, 0, 1)]).T)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    u, v, w = (back[k, 0] * x + back[k, 1] * y + back[k, 2] for k in range(3))
    u, v = np.rint(u / w * 32) / 32, np.rint(v / w * 32) / 32
    padded = np.zeros((height + 2, width + 2, whole.shape[2]))
    padded[1:-1, 1:-1] = whole

    def taken(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return padded[np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)]

    r, c = np.floor(v).astype(int), np.floor(u).astype(int)
    q, p = (v - r)[..., None], (u - c)[..., None]
    total = (1 - q) * ((1 - p) * taken(r, c) + p * taken(r, c + 1))
    total = total + q * ((1 - p) * taken(r + 1, c) + p * taken(r + 1, c + 1))
    return np.floor(total + 0.5).astype(np.uint8)


MOVED = {
    "translate": translate,
    "rotate": lambda whole, i, size: affine(whole, angle=i - 15),
    "shear": lambda whole, i, size: affine(whole, shear=i - 15),
    "scale": lambda whole, i, size: affine(whole, scale=value(P["scale"]["factor"][size], i)),
    "tilt": tilt,
    "zoom_blur": lambda whole, i, size: zoom_blur(whole, i),
}
