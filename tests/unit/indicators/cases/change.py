"""ROC, Momentum, Return, LogReturn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib

from stratd.indicators.catalogue.change import ROC, LogReturn, Momentum, Return
from stratd.indicators.catalogue.sma import SMA

from ....support.indicator_cases import Case, Floats


def log_return(values: Floats, period: int) -> Floats:
    series = pd.Series(values)
    return (np.log(series) - np.log(series.shift(period))).to_numpy()


CASES = [
    Case(ROC(), lambda b: {"value": talib.ROC(b["close"], 10)}, scale="one"),
    Case(ROC(1, "high"), lambda b: {"value": talib.ROC(b["high"], 1)}, scale="one"),
    Case(ROC(3, "volume"), lambda b: {"value": talib.ROC(b["volume"], 3)}, note="volumes of zero: 0"),
    Case(ROC(7).of(SMA(5)), lambda b: {"value": talib.ROC(talib.SMA(b["close"], 5), 7)}, scale="one"),
    Case(Momentum(), lambda b: {"value": talib.MOM(b["close"], 10)}),
    Case(Momentum(1, "open"), lambda b: {"value": talib.MOM(b["open"], 1)}),
    Case(Return(), lambda b: {"value": talib.ROCP(b["close"], 1)}, scale="one"),
    Case(Return(20, "low"), lambda b: {"value": talib.ROCP(b["low"], 20)}, scale="one"),
    Case(Return(5), lambda b: {"value": pd.Series(b["close"]).pct_change(5).to_numpy()}, "independent", scale="one"),
    Case(LogReturn(), lambda b: {"value": log_return(b["close"], 1)}, "independent", scale="one"),
    Case(LogReturn(15, "high"), lambda b: {"value": log_return(b["high"], 15)}, "independent", scale="one"),
]
