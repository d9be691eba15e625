"""Sine and arc tangent in float64 that numba can vectorise, to the last digits, and alike on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import f64, inlined

HALF_PI = f64(np.pi / 2)
_PI_HIGH, _PI_LOW = f64(3.1415926535846666), f64(np.longdouble("3.14159265358979323846264") - 3.1415926535846666)


@inlined
def sine(x: Any) -> Any:
    """Sine of up to some thousands: the nearest multiple of pi is taken off, and the rest has a series."""
    k = np.rint(x * f64(1 / np.pi))
    r = (x - k * _PI_HIGH) - k * _PI_LOW
    z = r * r
    p = f64(1 / 51090942171709440000) * z - f64(1 / 121645100408832000)
    p = p * z + f64(1 / 355687428096000)
    p = p * z - f64(1 / 1307674368000)
    p = p * z + f64(1 / 6227020800)
    p = p * z - f64(1 / 39916800)
    p = p * z + f64(1 / 362880)
    p = p * z - f64(1 / 5040)
    p = p * z + f64(1 / 120)
    p = p * z - f64(1 / 6)
    odd = k - f64(2) * np.floor(k * f64(0.5))
    return (r + r * z * p) * (f64(1) - f64(2) * odd)


@inlined
def turn(y: Any, x: Any) -> Any:
    """``atan2(y, x)``, from -pi to pi; 0 if both are 0. Series on [0, tan(pi / 8)], other directions by reflection."""
    ax, ay = abs(x), abs(y)
    more, less = max(ax, ay), max(min(ax, ay), f64(1e-300))
    more = max(more, f64(1e-290))
    steep = less > f64(0.41421356237309503) * more
    t = ((less - more) if steep else less) / ((less + more) if steep else more)
    z = t * t
    p = f64(-0.0139053745331132339) * z + f64(0.03062299555373551467)
    p = p * z + f64(-0.04103887546862687196)
    p = p * z + f64(0.0471925918824209238)
    p = p * z + f64(-0.05258020272656758339)
    p = p * z + f64(0.05881923056114022562)
    p = p * z + f64(-0.06666641869131182673)
    p = p * z + f64(0.076923067291948968)
    p = p * z + f64(-0.09090909066816080901)
    p = p * z + f64(0.1111111111075148104)
    p = p * z + f64(-0.142857142857114906)
    p = p * z + f64(0.1999999999999999145)
    p = p * z + f64(-0.3333333333333333333)
    angle = t + t * z * p + (f64(np.pi / 4) if steep else f64(0))
    angle = HALF_PI - angle if ay > ax else angle
    angle = f64(np.pi) - angle if x < f64(0) else angle
    return -angle if y < f64(0) else angle
