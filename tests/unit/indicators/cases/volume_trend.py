"""A/D line, Chaikin oscillator, on-balance volume."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import talib

from stratd.indicators.catalogue.volume_trend import OBV, ADLine, ChaikinOscillator

from ....support.indicator_cases import BarArrays, Case, Floats

LOST = "TA-Lib sums without care: its values near zero, below 1e-4 of the largest, have lost their digits and are left out"
LONG = "TA-Lib's formula in extended precision: for the rows near zero, down to 1e-6 of the largest"


def chaikin(fast: int, slow: int) -> Callable[[BarArrays], dict[str, Floats]]:
    return lambda b: {"value": without_lost(talib.ADOSC(b["high"], b["low"], b["close"], b["volume"], fast, slow))}


def line(bars: BarArrays) -> dict[str, Floats]:
    return {"value": without_lost(talib.AD(bars["high"], bars["low"], bars["close"], bars["volume"]))}


def without_lost(values: Floats, least: float = 1e-4) -> Floats:
    return np.where(np.abs(values) >= least * np.nanmax(np.abs(values)), values, np.nan)


def long_line(bars: BarArrays) -> np.ndarray:
    """The A/D line as long doubles: of the same rounded flows, which TA-Lib's C code takes too."""
    high, low, close, volume = (np.asarray(bars[name]) for name in ("high", "low", "close", "volume"))
    with np.errstate(invalid="ignore", divide="ignore"):
        flow = ((close - low) - (high - close)) / (high - low) * volume
    return np.cumsum(np.where(high > low, flow, 0.0).astype(np.longdouble))


def long_chaikin(fast: int, slow: int) -> Callable[[BarArrays], dict[str, Floats]]:
    def oracle(bars: BarArrays) -> dict[str, Floats]:
        values = list(long_line(bars))
        one = two = values[0]
        found = []
        for value in values:
            one = one + np.longdouble(2) / (fast + 1) * (value - one)
            two = two + np.longdouble(2) / (slow + 1) * (value - two)
            found.append(float(one - two))
        return {"value": without_lost(np.array([np.nan] * (slow - 1) + found[slow - 1 :]), 1e-6)}

    return oracle


CASES = [
    Case(ADLine(), line, same_nan=False, note=LOST),
    Case(ADLine(), lambda b: {"value": long_line(b).astype(float)}, "independent", note=LONG),
    Case(ChaikinOscillator(), chaikin(3, 10), same_nan=False, note=LOST),
    Case(ChaikinOscillator(), long_chaikin(3, 10), "independent", same_nan=False, note=LONG),
    Case(ChaikinOscillator(2, 40), chaikin(2, 40), same_nan=False, note=LOST),
    Case(ChaikinOscillator(2, 40), long_chaikin(2, 40), "independent", same_nan=False, note=LONG),
    Case(OBV(), lambda b: {"value": talib.OBV(b["close"], b["volume"])}),
    Case(OBV("high"), lambda b: {"value": talib.OBV(b["high"], b["volume"])}),
]
