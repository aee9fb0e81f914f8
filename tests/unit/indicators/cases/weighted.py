"""WMA, HMA, TRIMA, VWMA."""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib

from stratd.indicators.catalogue.change import Momentum
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.weighted import HMA, TRIMA, VWMA, WMA

from ....support.indicator_cases import BarArrays, Case, Floats


def hull(values: Floats, half: int, whole: int, root: int) -> Floats:
    return talib.WMA(2.0 * talib.WMA(values, half) - talib.WMA(values, whole), root)


def by_weights(values: Floats, weights: list[float]) -> Floats:
    window = np.lib.stride_tricks.sliding_window_view(values, len(weights))
    return np.concatenate([np.full(len(weights) - 1, np.nan), window @ np.array(weights) / sum(weights)])


def by_volume(bars: BarArrays, values: Floats, period: int) -> Floats:
    out = np.full(len(values), np.nan)
    for row in range(period - 1, len(values)):
        price, volume = values[row - period + 1 : row + 1], bars["volume"][row - period + 1 : row + 1]
        if volume.sum() > 0.0:
            out[row] = np.average(price, weights=volume)
    return out


CASES = [
    Case(WMA(10), lambda b: {"value": talib.WMA(b["close"], 10)}),
    Case(WMA(127), lambda b: {"value": talib.WMA(b["close"], 127)}),
    Case(WMA(300, "high"), lambda b: {"value": talib.WMA(b["high"], 300)}, note="too long for whole ticks"),
    Case(WMA(1), lambda b: {"value": b["close"]}, "independent"),
    Case(WMA(2), lambda b: {"value": by_weights(b["close"], [1.0, 2.0])}, "independent"),
    Case(WMA(20, "volume"), lambda b: {"value": by_weights(b["volume"], list(range(1, 21)))}, "independent"),
    Case(WMA(9).of(Momentum(5)), lambda b: {"value": talib.WMA(talib.MOM(b["close"], 5), 9)}),
    Case(HMA(16), lambda b: {"value": hull(b["close"], 8, 16, 4)}),
    Case(HMA(55), lambda b: {"value": hull(b["close"], 27, 55, 7)}),
    Case(HMA(2), lambda b: {"value": hull_of_two(b["close"])}, "independent"),
    Case(TRIMA(2), lambda b: {"value": talib.TRIMA(b["close"], 2)}),
    Case(TRIMA(3), lambda b: {"value": talib.TRIMA(b["close"], 3)}),
    Case(TRIMA(10), lambda b: {"value": talib.TRIMA(b["close"], 10)}),
    Case(TRIMA(31, "low"), lambda b: {"value": talib.TRIMA(b["low"], 31)}),
    Case(TRIMA(1), lambda b: {"value": b["close"]}, "independent"),
    Case(TRIMA(7).of(EMA(4)), lambda b: {"value": talib.TRIMA(talib.EMA(b["close"], 4), 7)}),
    Case(VWMA(1), lambda b: {"value": by_volume(b, b["close"], 1)}, "independent"),
    Case(VWMA(20), lambda b: {"value": by_volume(b, b["close"], 20)}, "independent"),
    Case(VWMA(50, "high"), lambda b: {"value": by_volume(b, b["high"], 50)}, "independent"),
    Case(
        VWMA(10),
        lambda b: {"value": (rolling_sum(b["close"] * b["volume"], 10) / rolling_sum(b["volume"], 10)).to_numpy()},
        "independent",
        note="volumes are whole numbers here, so pandas' own sums of them do not drift",
        same_nan=False,
    ),
]


def hull_of_two(values: Floats) -> Floats:
    return 2.0 * values - by_weights(values, [1.0, 2.0])


def rolling_sum(values: Floats, period: int) -> pd.Series:
    return pd.Series(values).rolling(period).sum()
