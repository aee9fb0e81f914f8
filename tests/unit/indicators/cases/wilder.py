"""True range, RSI, ATR, NATR, directional movement, ADX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import talib

from stratd.indicators.catalogue.adx import ADX, DirectionalMovement
from stratd.indicators.catalogue.atr import ATR, NATR
from stratd.indicators.catalogue.rsi import RSI
from stratd.indicators.catalogue.true_range import TrueRange

from ....support.indicator_cases import BarArrays, Case, Floats


def adx(period: int, names: str) -> Callable[[BarArrays], dict[str, Floats]]:
    functions = {"adx": talib.ADX, "plus_di": talib.PLUS_DI, "minus_di": talib.MINUS_DI, "dx": talib.DX}

    def oracle(bars: BarArrays) -> dict[str, Floats]:
        return {name: functions[name](bars["high"], bars["low"], bars["close"], period) for name in names.split()}

    return oracle


def normalised(bars: BarArrays) -> dict[str, Floats]:
    return {"value": 100.0 * talib.TRANGE(bars["high"], bars["low"], bars["close"]) / np.asarray(bars["close"])}


CASES = [
    Case(TrueRange(), lambda b: {"value": talib.TRANGE(b["high"], b["low"], b["close"])}),
    Case(RSI(), lambda b: {"value": talib.RSI(b["close"], 14)}, scale="one", atol=1e-10),
    Case(RSI(2, "open"), lambda b: {"value": talib.RSI(b["open"], 2)}, scale="one", atol=1e-10),
    Case(RSI(9).of(RSI(3)), lambda b: {"value": talib.RSI(talib.RSI(b["close"], 3), 9)}, scale="one", atol=1e-9),
    Case(ATR(), lambda b: {"value": talib.ATR(b["high"], b["low"], b["close"], 14)}),
    Case(ATR(1), lambda b: {"value": talib.ATR(b["high"], b["low"], b["close"], 1)}),
    Case(ATR(50), lambda b: {"value": talib.ATR(b["high"], b["low"], b["close"], 50)}),
    Case(NATR(), lambda b: {"value": talib.NATR(b["high"], b["low"], b["close"], 14)}, scale="one"),
    Case(NATR(1), normalised, scale="one", note="TA-Lib's NATR of period 1 is the bare true range; so its TRANGE by the close"),
    Case(DirectionalMovement(), adx(14, "plus_di minus_di dx"), scale="one", atol=1e-10),
    Case(ADX(), adx(14, "adx plus_di minus_di dx"), scale="one", atol=1e-10),
    Case(ADX(2), adx(2, "adx plus_di minus_di dx"), scale="one", atol=1e-10),
]
