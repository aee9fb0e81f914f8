"""Highest, Lowest, Donchian, Aroon, WilliamsR, Median, Quantile."""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib

from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.extremes import Aroon, Donchian, Highest, Lowest, WilliamsR
from stratd.indicators.catalogue.order_statistics import Median, Quantile

from ....support.indicator_cases import BarArrays, Case, Floats


def donchian(bars: BarArrays, period: int) -> dict[str, Floats]:
    upper, lower = talib.MAX(bars["high"], period), talib.MIN(bars["low"], period)
    return {"middle": (upper + lower) / 2.0, "upper": upper, "lower": lower}


def aroon(bars: BarArrays, period: int) -> dict[str, Floats]:
    down, up = talib.AROON(bars["high"], bars["low"], period)
    return {"up": up, "down": down, "oscillator": talib.AROONOSC(bars["high"], bars["low"], period)}


def quantile(values: Floats, period: int, part: float) -> dict[str, Floats]:
    return {"value": np.asarray(pd.Series(values).rolling(period).quantile(part))}


CASES = [
    Case(Highest(20), lambda b: {"value": talib.MAX(b["high"], 20)}, rtol=0.0, atol=0.0),
    Case(Highest(200, "close"), lambda b: {"value": talib.MAX(b["close"], 200)}, rtol=0.0, atol=0.0),
    Case(Highest(1), lambda b: {"value": b["high"]}, "independent", rtol=0.0, atol=0.0),
    Case(Highest(7).of(EMA(5)), lambda b: {"value": talib.MAX(talib.EMA(b["close"], 5), 7)}),
    Case(Lowest(20), lambda b: {"value": talib.MIN(b["low"], 20)}, rtol=0.0, atol=0.0),
    Case(Lowest(2, "volume"), lambda b: {"value": talib.MIN(b["volume"], 2)}, rtol=0.0, atol=0.0),
    Case(Donchian(), lambda b: donchian(b, 20)),
    Case(Donchian(55), lambda b: donchian(b, 55)),
    Case(Aroon(), lambda b: aroon(b, 14), scale="one"),
    Case(Aroon(2), lambda b: aroon(b, 2), scale="one"),
    Case(WilliamsR(), lambda b: {"value": talib.WILLR(b["high"], b["low"], b["close"], 14)}, scale="one"),
    Case(WilliamsR(5), lambda b: {"value": talib.WILLR(b["high"], b["low"], b["close"], 5)}, scale="one"),
    Case(Median(21), lambda b: {"value": np.asarray(pd.Series(b["close"]).rolling(21).median())}, "independent"),
    Case(Median(10, "volume"), lambda b: {"value": np.asarray(pd.Series(b["volume"]).rolling(10).median())}, "independent"),
    Case(Median(1), lambda b: {"value": b["close"]}, "independent", rtol=0.0, atol=0.0),
    Case(Quantile(50, 0.9), lambda b: quantile(b["close"], 50, 0.9), "independent"),
    Case(Quantile(33, 0.25, "high"), lambda b: quantile(b["high"], 33, 0.25), "independent"),
    Case(Quantile(9, 0.0), lambda b: {"value": talib.MIN(b["close"], 9)}, rtol=0.0, atol=0.0),
    Case(Quantile(9, 1.0), lambda b: {"value": talib.MAX(b["close"], 9)}, rtol=0.0, atol=0.0),
]
