"""SMA, EMA, MACD."""

from __future__ import annotations

import talib

from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.macd import MACD
from stratd.indicators.catalogue.sma import SMA

from ....support.indicator_cases import BarArrays, Case, Floats


def talib_macd(bars: BarArrays) -> dict[str, Floats]:
    macd, signal, histogram = talib.MACD(bars["close"], 12, 26, 9)
    return {"macd": macd, "signal": signal, "histogram": histogram}


CASES = [
    Case(SMA(10), lambda b: {"value": talib.SMA(b["close"], 10)}),
    Case(SMA(200), lambda b: {"value": talib.SMA(b["close"], 200)}),
    Case(SMA(1), lambda b: {"value": b["close"]}, "independent"),
    Case(SMA(20, "volume"), lambda b: {"value": talib.SMA(b["volume"], 20)}, atol=1e-9),
    Case(SMA(5).of(EMA(12)), lambda b: {"value": talib.SMA(talib.EMA(b["close"], 12), 5)}),
    Case(EMA(12), lambda b: {"value": talib.EMA(b["close"], 12)}),
    Case(EMA(26, "open"), lambda b: {"value": talib.EMA(b["open"], 26)}),
    Case(MACD(aligned=True), talib_macd, same_nan=False, note="TA-Lib gives all three only where the signal has a value"),
    Case(MACD(), talib_macd, same_nan=False, skip_rows=350, note="TA-Lib begins the fast average later; the difference decays"),
]
