"""Sine, arc tangent and powers in float64 that numba can vectorise, to 15 digits, and alike on every machine.

The polynomials interpolate the functions at Chebyshev points. Long ones are sums of pairs of terms, which a processor
adds while it waits for others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import f64, i64, inlined, u64

HALF_PI = f64(np.pi / 2)
_PI_HIGH, _PI_LOW = f64(3.1415926535846666), f64(np.longdouble("3.14159265358979323846264") - 3.1415926535846666)
_ROUNDING = f64(1.5 * 2.0**52)
"""A number added to it is rounded to an integer, which is in the lowest bits of the sum."""


@inlined
def with_sign(x: Any, sign: Any) -> Any:
    """``x``, or ``-x`` if the lowest bit of an integer is 1."""
    return i64(f64(x).view(i64) ^ (sign << i64(63))).view(f64)


@inlined
def sine(x: Any) -> Any:
    """Sine of up to some thousands: the nearest multiple of pi is taken off, and the rest has a series."""
    turns = x * f64(1 / np.pi) + _ROUNDING
    k = turns - _ROUNDING
    r = (x - k * _PI_HIGH) - k * _PI_LOW
    z = r * r
    p = f64(2.731436876937989187e-15) * z + f64(-7.643969663988074354e-13)
    p = p * z + f64(1.60589772926427429e-10)
    p = p * z + f64(-2.505210761669044982e-8)
    p = p * z + f64(2.755731921916083259e-6)
    p = p * z + f64(-0.0001984126984125496488)
    p = p * z + f64(0.008333333333333315857)
    p = p * z + f64(-0.1666666666666666663)
    return with_sign(r + r * z * p, f64(turns).view(i64))


@inlined
def sine_and_cosine(x: Any) -> Any:
    """Sine and cosine of up to some thousands, for little more than the cost of one: by quarters of a turn."""
    turns = x * f64(2 / np.pi) + _ROUNDING
    k = turns - _ROUNDING
    r = (x - k * (_PI_HIGH * f64(0.5))) - k * (_PI_LOW * f64(0.5))
    z = r * r
    p = f64(1.591810123027412035e-10) * z + f64(-2.505113145542794739e-8)
    p = p * z + f64(2.755731610068302914e-6)
    p = p * z + f64(-0.0001984126983675497001)
    p = p * z + f64(0.008333333333330946103)
    p = p * z + f64(-0.1666666666666666462)
    p = r + r * z * p
    q = f64(-1.138261486855632458e-11) * z + f64(2.08761460246897466e-9)
    q = q * z + f64(-2.755731727056032407e-7)
    q = q * z + f64(0.00002480158729876343316)
    q = q * z + f64(-0.001388888888888739575)
    q = q * z + f64(0.04166666666666666539)
    q = (f64(1) - f64(0.5) * z) + z * z * q
    quarter = f64(turns).view(i64)
    is_even = (quarter & i64(1)) == i64(0)
    s, c = (p if is_even else q), (q if is_even else p)
    return with_sign(s, quarter >> i64(1)), with_sign(c, (quarter + i64(1)) >> i64(1))


@inlined
def turn(y: Any, x: Any) -> Any:
    """``atan2(y, x)``, from -pi to pi; 0 if both are 0. Series on [0, tan(pi / 8)], other directions by reflection."""
    ax, ay = abs(x), abs(y)
    more, less = max(max(ax, ay), f64(1e-290)), min(ax, ay)
    steep = less > f64(0.41421356237309503) * more
    t = ((less - more) if steep else less) / ((less + more) if steep else more)
    z = t * t
    w = z * z
    v = w * w
    a = f64(-0.3333333333333333016) + f64(0.1999999999999552026) * z
    b = f64(-0.1428571428466645673) + f64(0.1111111101524942934) * z
    c = f64(-0.09090904577842225687) + f64(0.07692183184282383428) * z
    d = f64(-0.06664511355207619202) + f64(0.05858148112085184449) * z
    e = f64(-0.05085445547816843859) + f64(0.03923153724516447176) * z
    p = (a + b * w) + (c + d * w) * v + (e + f64(-0.01917673887238818851) * w) * (v * v)
    angle = t + t * z * p + (f64(np.pi / 4) if steep else f64(0))
    angle = HALF_PI - angle if ay > ax else angle
    angle = f64(np.pi) - angle if x < f64(0) else angle
    return -angle if y < f64(0) else angle


@inlined
def power(x: Any, exponent: Any) -> Any:
    """``x ** exponent`` for x >= 0, of which 0 counts as 1e-308: 2 to the exponent times the logarithm to base 2."""
    bits = f64(x).view(u64)
    # Integers up to 2^52 become floats by their bits alone, which is faster than to convert them.
    k = u64((bits >> u64(52)) | u64(0x4330000000000000)).view(f64) - f64(2.0**52 + 1023)
    m = u64((bits & u64(0xFFFFFFFFFFFFF)) | u64(0x3FF0000000000000)).view(f64)
    # The logarithm of a number from 1 to 2 is half that of 2, and the series of the artanh of this ratio.
    s = (m - f64(1.4142135623730951)) / (m + f64(1.4142135623730951))
    z = s * s
    w = z * z
    a = f64(0.9617966939259094758) + f64(0.5770780165172692859) * z
    b = f64(0.4121985191523471511) + f64(0.3206081323425226778) * z
    c = f64(0.2617076639944931212) + f64(0.2398023192290116429) * z
    p = (a + b * w) + c * (w * w)
    y = exponent * ((k + f64(0.5)) + s * (f64(2.885390081777926815) + z * p))
    y = min(max(y, f64(-800)), f64(800))
    rounded = y + _ROUNDING
    r = y - (rounded - _ROUNDING)
    z = r * r
    w = z * z
    a = f64(0.2402265069591007123) + f64(0.05550410866476042382) * r
    b = f64(0.009618129107624945519) + f64(0.00133335581790431503) * r
    c = f64(0.0001540353041221609731) + f64(0.00001525268684623012419) * r
    d = f64(1.321545967212164046e-6) + f64(1.02031210734173208e-7) * r
    q = (a + b * z) + (c + d * z) * w + f64(7.069370054761184924e-9) * (w * w)
    part = f64(1) + (r * f64(0.6931471805599453094) + z * q)
    return i64(f64(part).view(i64) + (f64(rounded).view(i64) << i64(52))).view(f64)
