"""SuperTrend, parabolic SAR, Keltner channel, Chandelier exit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import talib

from stratd.indicators.catalogue.channels import ChandelierExit, Keltner
from stratd.indicators.catalogue.trend import ParabolicSAR, SuperTrend

from ....support.indicator_cases import BarArrays, Case, Floats


def average_true_range(bars: BarArrays, period: int) -> Floats:
    high, low, close = (pd.Series(bars[name]) for name in ("high", "low", "close"))
    last = close.shift()
    ranges = pd.concat([high - low, (high - last).abs(), (low - last).abs()], axis=1).max(axis=1).tolist()
    found = [float("nan")] * len(ranges)
    if len(ranges) > period:
        found[period] = sum(ranges[1 : period + 1]) / period
    for row in range(period + 1, len(ranges)):
        found[row] = (found[row - 1] * (period - 1) + ranges[row]) / period
    return np.array(found)


def exponential(values: Floats, period: int) -> Floats:
    """An EMA that begins with a simple average: pandas' recursion from that value on."""
    seeded = pd.Series(values).astype(float)
    first = float(seeded[:period].mean())
    seeded[: period - 1] = np.nan
    seeded[period - 1] = first
    return seeded.ewm(span=period, adjust=False).mean().to_numpy()


def super_trend(period: int, width: float) -> Callable[[BarArrays], dict[str, Floats]]:
    def oracle(bars: BarArrays) -> dict[str, Floats]:
        close, atr = list(bars["close"]), average_true_range(bars, period)
        middle = (np.asarray(bars["high"]) + np.asarray(bars["low"])) / 2.0
        basic_upper, basic_lower = (middle + width * atr).tolist(), (middle - width * atr).tolist()
        upper, lower, rising = list(basic_upper), list(basic_lower), [False] * len(close)
        for row in range(period + 1, len(close)):
            if basic_upper[row] >= upper[row - 1] and close[row - 1] <= upper[row - 1]:
                upper[row] = upper[row - 1]
            if basic_lower[row] <= lower[row - 1] and close[row - 1] >= lower[row - 1]:
                lower[row] = lower[row - 1]
            if rising[row - 1]:
                rising[row] = not close[row] < lower[row]
            else:
                rising[row] = close[row] > upper[row]
        up = np.array(rising)
        direction = np.where(np.isnan(atr), np.nan, np.where(up, 1.0, -1.0))
        return {"line": np.where(up, lower, upper), "direction": direction}

    return oracle


def keltner(period: int, width: float, atr_period: int, field: str = "close") -> Callable[[BarArrays], dict[str, Floats]]:
    def oracle(bars: BarArrays) -> dict[str, Floats]:
        middle, away = exponential(bars[field], period), width * average_true_range(bars, atr_period)
        return {"middle": middle, "upper": middle + away, "lower": middle - away}

    return oracle


def chandelier(period: int, width: float) -> Callable[[BarArrays], dict[str, Floats]]:
    def oracle(bars: BarArrays) -> dict[str, Floats]:
        away = width * average_true_range(bars, period)
        highest = pd.Series(bars["high"]).rolling(period).max().to_numpy()
        lowest = pd.Series(bars["low"]).rolling(period).min().to_numpy()
        return {"long_stop": highest - away, "short_stop": lowest + away}

    return oracle


CASES = [
    Case(SuperTrend(), super_trend(10, 3.0), "independent"),
    Case(SuperTrend(1, 0.5), super_trend(1, 0.5), "independent"),
    Case(SuperTrend(7, 1.3), super_trend(7, 1.3), "independent"),
    Case(ParabolicSAR(), lambda b: {"value": talib.SAR(b["high"], b["low"], 0.02, 0.2)}),
    Case(ParabolicSAR(0.1, 0.1), lambda b: {"value": talib.SAR(b["high"], b["low"], 0.1, 0.1)}),
    Case(ParabolicSAR(0.07, 1.0), lambda b: {"value": talib.SAR(b["high"], b["low"], 0.07, 1.0)}),
    Case(Keltner(), keltner(20, 2.0, 10), "independent"),
    Case(Keltner(3, 1.5, 14, "open"), keltner(3, 1.5, 14, "open"), "independent"),
    Case(ChandelierExit(), chandelier(22, 3.0), "independent"),
    Case(ChandelierExit(1, 0.7), chandelier(1, 0.7), "independent"),
]
