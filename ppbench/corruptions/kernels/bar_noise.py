"""Noise with a spectrum of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kept import kept_within
from ppbench.corruptions.kernels import compiled, f64, inlined, u8
from ppbench.corruptions.kernels.bar_fourier import AT_ONCE, transform_of
from ppbench.corruptions.kernels.bar_maths import sine_and_cosine
from ppbench.corruptions.kernels.bar_rows import below, flat_rows, interleave, lines_for, separate, shifted
from ppbench.corruptions.types import Doubles, Pixels


@inlined
def from_middle(place: int, side: int) -> Any:
    """Where on an axis with frequency 0 in the middle the frequency is that has this place in a transform."""
    there = place + side // 2
    return there if there < side else there - side


@inlined
def table_of(tables: Any, row: int, column: int, width: int) -> Any:
    """Sine and cosine of the phase at a place of the whole spectrum, of which the tables have half, see `_turn`."""
    height, half = tables.shape[1], tables.shape[2]
    if column < half:
        place, at = half - 1 - column, row
    else:  # beyond the middle, the phases are those of the first half, turned by 180 degrees
        place, at = half - width + column, height - 1 - row
    return tables[0, at, place], tables[1, at, place]


@compiled
def _turn(phases: Any, tables: Any) -> None:
    """Sines and cosines of phases ``(H, half)``, each row from its end, so that rows of both halves run ahead."""
    half = phases.shape[1]
    for i in range(phases.shape[0]):
        row, sines, cosines = phases[i], tables[0, i], tables[1, i]
        for j in range(half):
            sines[j], cosines[j] = sine_and_cosine(row[half - 1 - j])


@compiled
def _spectrum(phases: Any, width: int, weights: Any, tables: Any, line: Any, out: Any) -> None:
    """``out (blocks, H * 2 * AT_ONCE)``: see `ppbench.corruptions.kernels.bar_fourier.transform_of`."""
    height, back, real, imaginary = phases.shape[0], 1 - width % 2, line[0], line[1]
    _turn(phases, tables)
    for p in range(height):
        i, k, weight = from_middle(p, height), from_middle(height - p if p else 0, height), weights[p]
        sine, cosine = tables[0, height - 1 - i], tables[1, height - 1 - i]
        other_sine, other_cosine = tables[0, k], tables[1, k]
        # With the conjugate of the opposite frequency added, the spectrum is that of a real field.
        for q in range(1, (width + 1) // 2):
            real[q] = weight[q] * (cosine[q] + other_cosine[q - back])
        for q in range(1, (width + 1) // 2):
            imaginary[q] = weight[q] * (sine[q] - other_sine[q - back])
        for edge in range(1 + back):
            q = edge * (width // 2)
            j = from_middle(q, width)
            a, b = table_of(tables, i, j, width), table_of(tables, k, j, width)
            real[q], imaginary[q] = weight[q] * (a[1] + b[1]), weight[q] * (a[0] - b[0])
        for block in range(out.shape[0]):
            to, left = out[block, 2 * AT_ONCE * p : 2 * AT_ONCE * (p + 1)], block * AT_ONCE
            for lane in range(AT_ONCE):
                to[lane] = real[left + lane]
            for lane in range(AT_ONCE):
                to[AT_ONCE + lane] = imaginary[left + lane]


def noise_from(phases: Doubles, height: int, width: int, power: int) -> Doubles:
    """Kernel of `ppbench.corruptions.bar.fields.noise_from`."""
    out, weights = np.empty((len(phases), height, width)), _weights(height, width, power)
    blocks = -(-weights.shape[1] // AT_ONCE)
    tables, line = np.empty((2, *phases.shape[1:])), np.zeros((2, blocks * AT_ONCE))
    spectrum, transform = np.empty((blocks, height * 2 * AT_ONCE)), transform_of(height, width)
    # One by one: what the steps need stays in the cache.
    for one, field in zip(phases, out, strict=True):
        _spectrum(one, width, weights, tables, line, spectrum)
        transform(spectrum, field)
    return out


@kept_within(2**24)
def _weights(height: int, width: int, power: int) -> Doubles:
    """Half of the amplitude of each frequency that a spectrum keeps: ``(height, width // 2 + 1)``."""
    rows, side = np.arange(height), min(height, width)
    down, across = (rows - height * (2 * rows >= height)) / height * side, np.arange(width // 2 + 1) / width * side
    square = down[:, None] ** 2 + across**2
    weights: Doubles = (np.sqrt(square) if power == 1 else 1 / (square + 1)) / 2
    return weights


@compiled
def _deviations(noise: Any, sums: Any, out: Any) -> None:
    """Standard deviations of maps ``(n, H, W)``. ``sums`` are two lines, because sums of lines are vectorised."""
    height, width = noise.shape[1:]
    for n in range(noise.shape[0]):
        sums[:] = f64(0)
        for h in range(height):
            line, first, second = noise[n, h], sums[0], sums[1]
            for w in range(width):
                first[w] += line[w]
                second[w] += line[w] * line[w]
        mean = sums[0].sum() / f64(height * width)
        out[n] = np.sqrt(sums[1].sum() / f64(height * width) - mean * mean)


@compiled
def _keep_where_high(images: Any, noise: Any, deviations: Any, threshold: Any, mask: Any, out: Any) -> None:
    for n in range(images.shape[0]):
        least = threshold * deviations[n]
        for h in range(images.shape[1]):
            field, row, made = noise[n, h], images[n, h], out[n, h]
            for w in range(mask.size):
                mask[w] = u8(255) if field[w] > least else u8(0)
            if row.size == 3 * mask.size:
                for w in range(mask.size):
                    made[3 * w], made[3 * w + 1] = row[3 * w] & mask[w], row[3 * w + 1] & mask[w]
                    made[3 * w + 2] = row[3 * w + 2] & mask[w]
            else:
                for w in range(mask.size):
                    made[w] = row[w] & mask[w]


def keep_where_high(images: Pixels, noise: Doubles, threshold: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.fields.keep_where_high`."""
    n, _, width, _ = images.shape
    out, deviations = np.empty_like(images), np.empty(n)
    _deviations(noise, np.empty((2, width)), deviations)
    mask = np.empty(width, np.uint8)
    _keep_where_high(flat_rows(images), noise, deviations, f64(threshold), mask, flat_rows(out))
    return out


@compiled
def _add_fields(images: Any, noise: Any, deviations: Any, amount: Any, steps: Any, levels: Any, out: Any) -> None:
    channels = levels.shape[0]
    for n in range(images.shape[0]):
        for h in range(images.shape[1]):
            separate(images[n, h], levels)
            for c in range(channels):
                one, field, weight = levels[c], noise[n * channels + c, h], amount / deviations[n * channels + c]
                for w in range(steps.size):
                    steps[w] = below(field[w] * weight)
                for w in range(steps.size):
                    one[w] = shifted(one[w], steps[w])
            interleave(levels, out[n, h])


def add_fields(images: Pixels, noise: Doubles, amount: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.fields.add_fields`."""
    n, _, width, channels = images.shape
    out, deviations = np.empty_like(images), np.empty(n * channels)
    _deviations(noise, np.empty((2, width)), deviations)
    room = np.empty(width, np.int16), lines_for(images)
    _add_fields(flat_rows(images), noise, deviations, f64(amount), *room, flat_rows(out))
    return out
