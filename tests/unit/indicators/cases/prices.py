"""Prices of a bar."""

from __future__ import annotations

import talib

from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.prices import OHLC4, MedianPrice, TypicalPrice, WeightedPrice

from ....support.indicator_cases import Case

CASES = [
    Case(TypicalPrice(), lambda b: {"value": talib.TYPPRICE(b["high"], b["low"], b["close"])}),
    Case(MedianPrice(), lambda b: {"value": talib.MEDPRICE(b["high"], b["low"])}),
    Case(WeightedPrice(), lambda b: {"value": talib.WCLPRICE(b["high"], b["low"], b["close"])}),
    Case(OHLC4(), lambda b: {"value": talib.AVGPRICE(b["open"], b["high"], b["low"], b["close"])}),
    Case(EMA(12).of(TypicalPrice()), lambda b: {"value": talib.EMA(talib.TYPPRICE(b["high"], b["low"], b["close"]), 12)}),
]
