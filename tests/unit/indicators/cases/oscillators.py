"""Stochastic, FastStochastic, StochasticRSI, CCI."""

from __future__ import annotations

import numpy as np
import talib

from stratd.indicators.catalogue.cci import CCI
from stratd.indicators.catalogue.stochastic import FastStochastic, Stochastic, StochasticRSI

from ....support.indicator_cases import BarArrays, Case, Floats
from .deviation import windows

STILL = "a price that stands still has an RSI that changes by rounding errors; TA-Lib shows where it lies among them"
LATER = "TA-Lib shows k only from the first row of d"


def stoch(bars: BarArrays, *periods: int) -> dict[str, Floats]:
    fast_k, slow_k, slow_d = periods
    k, d = talib.STOCH(bars["high"], bars["low"], bars["close"], fast_k, slow_k, 0, slow_d, 0)
    return {"k": k, "d": d}


def stochf(bars: BarArrays, *periods: int) -> dict[str, Floats]:
    k, d = talib.STOCHF(bars["high"], bars["low"], bars["close"], *periods, 0)
    return {"k": k, "d": d}


def stochrsi(bars: BarArrays, period: int, fast_k: int, fast_d: int) -> dict[str, Floats]:
    """TA-Lib's, but 0 where the range of its RSI is nothing but rounding errors."""
    rsi = talib.RSI(bars["close"], period)
    k, _ = talib.STOCHF(rsi, rsi, rsi, fast_k, 1, 0)
    k[talib.MAX(rsi, fast_k) - talib.MIN(rsi, fast_k) < 1e-9] = 0.0
    return {"k": k, "d": talib.SMA(k, fast_d)}


def plain_cci(values: Floats, period: int) -> dict[str, Floats]:
    """Of distances from the newest value of each window, so that equal values give 0."""
    window = windows(values, period)
    apart = window - window[:, -1:]
    mean = apart.mean(axis=1)
    spread = np.abs(apart - mean[:, None]).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"value": np.where(spread == 0.0, 0.0, -mean / (0.015 * spread))}


CASES = [
    Case(Stochastic(), lambda b: stoch(b, 5, 3, 3), same_nan=False, scale="one", atol=1e-10, note=LATER),
    Case(Stochastic(14, 3, 5), lambda b: stoch(b, 14, 3, 5), same_nan=False, scale="one", atol=1e-10, note=LATER),
    Case(FastStochastic(), lambda b: stochf(b, 5, 3), same_nan=False, scale="one", atol=1e-10, note=LATER),
    Case(FastStochastic(14, 1), lambda b: stochf(b, 14, 1), scale="one", atol=1e-10),
    Case(StochasticRSI(), lambda b: stochrsi(b, 14, 5, 3), scale="one", atol=1e-8, note=STILL),
    Case(StochasticRSI(9, 14, 3), lambda b: stochrsi(b, 9, 14, 3), scale="one", atol=1e-8, note=STILL),
    Case(
        CCI(), lambda b: {"value": talib.CCI(b["high"], b["low"], b["close"], 14)}, scale="one", atol=1e-6,
        note="TA-Lib's mean is off by a rounding error, which counts in windows of little movement",
    ),
    Case(CCI(20), lambda b: plain_cci((b["high"] + b["low"] + b["close"]) / 3.0, 20), "independent", scale="one", atol=1e-9),
    Case(CCI(5).of("close"), lambda b: plain_cci(b["close"], 5), "independent", scale="one", atol=1e-9),
]  # fmt: skip
