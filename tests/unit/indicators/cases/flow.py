"""MFI, CMF."""

from __future__ import annotations

import numpy as np
import talib

from stratd.indicators.catalogue.flow import CMF, MFI
from stratd.indicators.catalogue.sma import SMA

from ....support.indicator_cases import BarArrays, Case, Floats


def money_flow_index(bars: BarArrays, period: int) -> Floats:
    return talib.MFI(bars["high"], bars["low"], bars["close"], bars["volume"], period)


def plain_money_flow_index(bars: BarArrays, period: int) -> Floats:
    price = (bars["high"] + bars["low"] + bars["close"]) / 3
    change = np.diff(price, prepend=np.nan)
    change[np.abs(change) < 1e-12 * price] = 0.0
    out = np.full(len(price), np.nan)
    for row in range(period, len(price)):
        window = slice(row - period + 1, row + 1)
        money = (price * bars["volume"])[window]
        up, down = money[change[window] > 0].sum(), money[change[window] < 0].sum()
        out[row] = 100 * up / (up + down) if up + down > 0 else 0.0
    return out


def chaikin(bars: BarArrays, period: int) -> Floats:
    out = np.full(len(bars["close"]), np.nan)
    for row in range(period - 1, len(out)):
        high, low, close, volume = (bars[name][row - period + 1 : row + 1] for name in ("high", "low", "close", "volume"))
        traded = high > low
        place = (2.0 * close[traded] - high[traded] - low[traded]) / (high[traded] - low[traded])
        out[row] = (place * volume[traded]).sum() / volume.sum() if volume.sum() > 0 else 0.0
    return out


RESIDUE = "where all money went one way, ours is 0 exactly, TA-Lib's is what is left of its sums: up to some 1e-9"

CASES = [
    Case(MFI(), lambda b: {"value": money_flow_index(b, 14)}, atol=1e-7, scale="one", note=RESIDUE),
    Case(MFI(2), lambda b: {"value": money_flow_index(b, 2)}, atol=1e-7, scale="one", note=RESIDUE),
    Case(MFI(60), lambda b: {"value": money_flow_index(b, 60)}, atol=1e-7, scale="one", note=RESIDUE),
    Case(MFI(1), lambda b: {"value": plain_money_flow_index(b, 1)}, "independent", note="TA-Lib's begins at 2"),
    Case(MFI(14), lambda b: {"value": plain_money_flow_index(b, 14)}, "independent", atol=1e-10, scale="one"),
    Case(SMA(3).of(MFI(5)), lambda b: {"value": talib.SMA(money_flow_index(b, 5), 3)}, atol=1e-7, scale="one", note=RESIDUE),
    Case(CMF(), lambda b: {"value": chaikin(b, 20)}, "independent", scale="one", atol=1e-11),
    Case(CMF(1), lambda b: {"value": chaikin(b, 1)}, "independent", scale="one", atol=1e-11),
    Case(CMF(63), lambda b: {"value": chaikin(b, 63)}, "independent", scale="one", atol=1e-11),
]
