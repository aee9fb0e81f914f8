"""StdDev, Variance, ZScore, Bollinger, UlcerIndex."""

from __future__ import annotations

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view

from stratd.indicators.catalogue.deviation import Bollinger, StdDev, Variance, ZScore
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.ulcer import UlcerIndex

from ....support.indicator_cases import BarArrays, Case, Floats


def windows(values: Floats, period: int) -> Floats:
    """The last `period` values of each row: [rows, period], NaN before there are so many."""
    if len(values) < period:
        return np.full((len(values), period), np.nan)
    return np.concatenate([np.full((period - 1, period), np.nan), sliding_window_view(values, period)])


def exact_std(values: Floats, period: int) -> Floats:
    """Two passes over each window. The second is of distances from its first value, so that equal ones have none."""
    apart = windows(values, period)
    apart = apart - apart[:, :1]
    return np.asarray(np.sqrt(((apart - apart.mean(axis=1, keepdims=True)) ** 2).mean(axis=1)))


def exact_bollinger(bars: BarArrays, period: int, width: float) -> dict[str, Floats]:
    middle, half = windows(bars["close"], period).mean(axis=1), width * exact_std(bars["close"], period)
    upper, lower = middle + half, middle - half
    percent_b = 0.5 + exact_zscore(bars, period)["value"] / (2.0 * width)  # (close - lower) / (upper - lower)
    return {"middle": middle, "upper": upper, "lower": lower, "percent_b": percent_b, "width": 2.0 * half / middle}


def talib_bollinger(bars: BarArrays, period: int, width: float) -> dict[str, Floats]:
    upper, middle, lower = talib.BBANDS(bars["close"], period, width, width)
    exact = exact_bollinger(bars, period, width)
    return {"middle": middle, "upper": upper, "lower": lower, "percent_b": exact["percent_b"], "width": exact["width"]}


def exact_zscore(bars: BarArrays, period: int) -> dict[str, Floats]:
    apart = windows(bars["close"], period)
    above = -(apart - apart[:, -1:]).mean(axis=1)
    deviation = exact_std(bars["close"], period)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"value": np.where(deviation == 0.0, 0.0, above / deviation)}


def plain_ulcer(bars: BarArrays, period: int) -> dict[str, Floats]:
    highest = windows(bars["close"], period).max(axis=1)
    percent = 100.0 * (bars["close"] - highest) / highest
    return {"value": np.sqrt((windows(percent, period) ** 2).mean(axis=1))}


CASES = [
    Case(StdDev(20), lambda b: {"value": talib.STDDEV(b["close"], 20)}),
    Case(StdDev(20), lambda b: {"value": exact_std(b["close"], 20)}, "independent"),
    Case(StdDev(5, "high"), lambda b: {"value": exact_std(b["high"], 5)}, "independent"),
    Case(StdDev(200), lambda b: {"value": exact_std(b["close"], 200)}, "independent"),
    Case(StdDev(20, "volume"), lambda b: {"value": exact_std(b["volume"], 20)}, "independent", atol=0.0),
    Case(StdDev(14).of(EMA(5)), lambda b: {"value": exact_std(talib.EMA(b["close"], 5), 14)}, "independent"),
    Case(Variance(20), lambda b: {"value": talib.VAR(b["close"], 20)}),
    Case(Variance(5, "low"), lambda b: {"value": exact_std(b["low"], 5) ** 2}, "independent"),
    Case(Variance(1), lambda b: {"value": 0.0 * b["close"]}, "independent"),
    Case(ZScore(20), lambda b: exact_zscore(b, 20), "independent", atol=1e-9, scale="one", note="near 0 a difference of prices"),
    Case(Bollinger(), lambda b: talib_bollinger(b, 20, 2.0), scale="one", atol=1e-9),
    Case(Bollinger(), lambda b: exact_bollinger(b, 20, 2.0), "independent", scale="one", atol=1e-9),
    Case(Bollinger(5, 1.5), lambda b: exact_bollinger(b, 5, 1.5), "independent", scale="one", atol=1e-9),
    Case(UlcerIndex(), lambda b: plain_ulcer(b, 14), "independent", scale="one", atol=1e-10),
    Case(UlcerIndex(50), lambda b: plain_ulcer(b, 50), "independent", scale="one", atol=1e-10),
]
