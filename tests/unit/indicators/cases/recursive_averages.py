"""RMA, DEMA, TEMA, T3, TRIX, KAMA, VIDYA, MAMA, PPO, EWMVolatility."""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib

from stratd.indicators.catalogue.adaptive import KAMA, MAMA, VIDYA
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.ema_family import DEMA, T3, TEMA, TRIX
from stratd.indicators.catalogue.ewm import EWMVolatility
from stratd.indicators.catalogue.ppo import PPO
from stratd.indicators.catalogue.rma import RMA

from ....support.indicator_cases import Case, Floats


def talib_mama(values: Floats, fast: float, slow: float) -> dict[str, Floats]:
    mama, fama = talib.MAMA(values, fast, slow)
    return {"mama": mama, "fama": fama}


def talib_ppo(values: Floats, fast: int, slow: int, smooth: int) -> dict[str, Floats]:
    ppo = talib.PPO(values, fast, slow, matype=1)
    signal = talib.EMA(ppo, smooth)
    return {"ppo": ppo, "signal": signal, "histogram": ppo - signal}


def plain_kama(values: Floats, period: int, fast: int, slow: int) -> Floats:
    """As in Kaufman's book: efficiency from the window, then one step."""
    kama = np.full(len(values), np.nan)
    last = values[period - 1]
    for row in range(period, len(values)):
        path = sum(abs(values[i] - values[i - 1]) for i in range(row - period + 1, row + 1))
        efficiency = abs(values[row] - values[row - period]) / path if path else 1.0
        smoothing = (efficiency * (2 / (fast + 1) - 2 / (slow + 1)) + 2 / (slow + 1)) ** 2
        kama[row] = last = last + smoothing * (values[row] - last)
    return kama


def plain_vidya(values: Floats, period: int, momentum: int) -> Floats:
    """With rises and falls summed apart, as Chande's oscillator has them."""
    changes = pd.Series(values).diff()
    rises = changes.clip(lower=0).rolling(momentum).apply(np.sum, raw=True)
    falls = (-changes).clip(lower=0).rolling(momentum).apply(np.sum, raw=True)
    oscillator = ((rises - falls) / (rises + falls)).abs().where(rises + falls > 0, 0.0).to_numpy()
    vidya = np.full(len(values), np.nan)
    last = values[momentum - 1]
    for row in range(momentum, len(values)):
        share = 2 / (period + 1) * oscillator[row]
        vidya[row] = last = share * values[row] + (1 - share) * last
    return vidya


def pandas_volatility(values: Floats, period: int) -> Floats:
    returns = np.log(pd.Series(values)).diff()
    return returns.ewm(span=period, adjust=False, min_periods=period).std(bias=True).to_numpy()


CASES = [
    Case(RMA(14), lambda b: {"value": talib.RMA(b["close"], 14)}),
    Case(RMA(1), lambda b: {"value": b["close"]}, "independent"),
    Case(RMA(200, "low"), lambda b: {"value": talib.RMA(b["low"], 200)}),
    Case(RMA(9).of(EMA(5)), lambda b: {"value": talib.RMA(talib.EMA(b["close"], 5), 9)}),
    Case(DEMA(20), lambda b: {"value": talib.DEMA(b["close"], 20)}),
    Case(DEMA(1), lambda b: {"value": talib.DEMA(b["close"], 1)}),
    Case(DEMA(7).of(EMA(5)), lambda b: {"value": talib.DEMA(talib.EMA(b["close"], 5), 7)}),
    Case(TEMA(20), lambda b: {"value": talib.TEMA(b["close"], 20)}),
    Case(TEMA(2, "open"), lambda b: {"value": talib.TEMA(b["open"], 2)}),
    Case(T3(), lambda b: {"value": talib.T3(b["close"], 5, 0.7)}),
    Case(T3(1), lambda b: {"value": talib.T3(b["close"], 1, 0.7)}),
    Case(T3(12, 1.0, "high"), lambda b: {"value": talib.T3(b["high"], 12, 1.0)}),
    Case(T3(4, 0.0), lambda b: {"value": talib.EMA(talib.EMA(talib.EMA(b["close"], 4), 4), 4)}, same_nan=False,
         skip_rows=18, note="without a volume factor it is the triple EMA, once all six averages are there"),
    Case(TRIX(), lambda b: {"value": talib.TRIX(b["close"], 30)}, scale="one"),
    Case(TRIX(5, "high"), lambda b: {"value": talib.TRIX(b["high"], 5)}, scale="one"),
    Case(TRIX(1), lambda b: {"value": talib.ROC(b["close"], 1)}, scale="one"),
    Case(KAMA(), lambda b: {"value": talib.KAMA(b["close"], 10)}),
    Case(KAMA(2, source="low"), lambda b: {"value": talib.KAMA(b["low"], 2)}),
    Case(KAMA(30).of(EMA(3)), lambda b: {"value": talib.KAMA(talib.EMA(b["close"], 3), 30)}),
    Case(KAMA(7, 3, 20), lambda b: {"value": plain_kama(b["close"], 7, 3, 20)}, "independent"),
    Case(VIDYA(), lambda b: {"value": plain_vidya(b["close"], 14, 9)}, "independent"),
    Case(VIDYA(1, 20, "high"), lambda b: {"value": plain_vidya(b["high"], 1, 20)}, "independent"),
    Case(MAMA(), lambda b: talib_mama(b["close"], 0.5, 0.05)),
    Case(MAMA(0.8, 0.02, "high"), lambda b: talib_mama(b["high"], 0.8, 0.02)),
    Case(MAMA().of(EMA(6)), lambda b: talib_mama(talib.EMA(b["close"], 6), 0.5, 0.05)),
    Case(PPO(), lambda b: talib_ppo(b["close"], 12, 26, 9), scale="one",
         note="TA-Lib's PPO has no signal: its EMA is taken of it"),
    Case(PPO(3, 10, 4, "high"), lambda b: talib_ppo(b["high"], 3, 10, 4), scale="one"),
    Case(EWMVolatility(20), lambda b: {"value": pandas_volatility(b["close"], 20)}, "independent", scale="one"),
    Case(EWMVolatility(2, "open"), lambda b: {"value": pandas_volatility(b["open"], 2)}, "independent", scale="one"),
]  # fmt: skip
