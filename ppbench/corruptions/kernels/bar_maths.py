"""Sine, arc tangent and powers in float64 that numba can vectorise, to 15 digits, and alike on every machine.

The polynomials interpolate the functions at Chebyshev points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import f64, i64, inlined

HALF_PI = f64(np.pi / 2)
_PI_HIGH, _PI_LOW = f64(3.1415926535846666), f64(np.longdouble("3.14159265358979323846264") - 3.1415926535846666)


@inlined
def sine(x: Any) -> Any:
    """Sine of up to some thousands: the nearest multiple of pi is taken off, and the rest has a series."""
    k = np.rint(x * f64(1 / np.pi))
    r = (x - k * _PI_HIGH) - k * _PI_LOW
    z = r * r
    p = f64(2.731436876937989187e-15) * z + f64(-7.643969663988074354e-13)
    p = p * z + f64(1.60589772926427429e-10)
    p = p * z + f64(-2.505210761669044982e-8)
    p = p * z + f64(2.755731921916083259e-6)
    p = p * z + f64(-0.0001984126984125496488)
    p = p * z + f64(0.008333333333333315857)
    p = p * z + f64(-0.1666666666666666663)
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


@inlined
def power(x: Any, exponent: Any) -> Any:
    """``x ** exponent`` for x > 0, if neither x nor the result is tiny or huge: by its logarithm."""
    bits = f64(x).view(i64)
    # Integers up to 2^52 become floats by their bits alone, which is faster than to convert them.
    k = i64((bits >> i64(52)) | i64(0x4330000000000000)).view(f64) - f64(2.0**52 + 1023)
    m = i64((bits & i64(0xFFFFFFFFFFFFF)) | i64(0x3FF0000000000000)).view(f64)
    large = m > f64(1.4142135623730951)
    m, k = (m * f64(0.5) if large else m), (k + f64(1) if large else k)
    s = (m - f64(1)) / (m + f64(1))
    z = s * s
    p = f64(0.07308903576708662482) * z + f64(0.07665805861027503943)
    p = p * z + f64(0.090914462162684356)
    p = p * z + f64(0.1111110554468974811)
    p = p * z + f64(0.142857143131269188)
    p = p * z + f64(0.1999999999994944526)
    p = p * z + f64(0.3333333333333334854)
    y = exponent * (k * f64(0.6931471805599453) + f64(2) * (s + s * z * p))
    y = min(max(y, f64(-600)), f64(600))
    whole = y * f64(1.4426950408889634) + f64(1.5 * 2.0**52)
    times = whole - f64(1.5 * 2.0**52)
    r = (y - times * f64(0.6931471803691238)) - times * f64(1.9082149292705877e-10)
    q = f64(2.5100472505694996e-8) * r + f64(2.762020159103154879e-7)
    q = q * r + f64(2.755726827690569619e-6)
    q = q * r + f64(2.48015210578682052e-5)
    q = q * r + f64(0.0001984126986317155603)
    q = q * r + f64(0.001388888891736708056)
    q = q * r + f64(0.008333333333330038197)
    q = q * r + f64(0.04166666666662382053)
    q = q * r + f64(0.1666666666666666746)
    q = q * r + f64(0.5000000000000001031)
    two = i64((f64(whole).view(i64) << i64(52)) + i64(0x3FF0000000000000)).view(f64)
    return (f64(1) + (r + r * r * q)) * two
