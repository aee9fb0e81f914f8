"""LinearRegression, Correlation, Beta."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import talib

from stratd.indicators.catalogue.change import Return
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.pairs import Beta, Correlation
from stratd.indicators.catalogue.regression import LinearRegression

from ....support.indicator_cases import Case, Floats


def rolling(of: Callable[..., float], period: int, *columns: Floats) -> Floats:
    """`of` the windows that are finite, each by itself."""
    out = np.full(len(columns[0]), np.nan)
    for row in range(period - 1, len(out)):
        windows = [column[row - period + 1 : row + 1] for column in columns]
        if all(np.isfinite(window).all() for window in windows):
            out[row] = of(*windows)
    return out


def fit(values: Floats) -> float:
    x = np.arange(len(values)) - (len(values) - 1) / 2
    spread = ((values - values.mean()) ** 2).sum()
    return 0.0 if np.ptp(values) == 0 else (x @ (values - values.mean())) ** 2 / (x @ x) / spread


def slope(values: Floats, other: Floats) -> float:
    distance = other - other.mean()
    return 0.0 if np.ptp(other) == 0 else distance @ (values - values.mean()) / (distance @ distance)


def correlation(values: Floats, other: Floats) -> float:
    return 0.0 if np.ptp(values) == 0 or np.ptp(other) == 0 else float(np.corrcoef(values, other)[0, 1])


def line(values: Floats, period: int) -> dict[str, Floats]:
    return {
        "line": talib.LINEARREG(values, period),
        "slope": talib.LINEARREG_SLOPE(values, period),
        "r_squared": rolling(fit, period, values),
    }


def change(values: Floats) -> Floats:
    return np.concatenate([[np.nan], values[1:] / values[:-1] - 1.0])


CASES = [
    Case(
        LinearRegression(),
        lambda b: line(b["close"], 14),
        note="R squared: numpy. TA-Lib's slope subtracts large sums; ours is within 1e-16 of exact fractions there",
    ),
    Case(
        LinearRegression(2),
        lambda b: line(b["close"], 2),
        note="R squared: numpy. TA-Lib's slope subtracts large sums; ours is within 1e-16 of exact fractions there",
    ),
    Case(
        LinearRegression(3, "high"),
        lambda b: line(b["high"], 3),
        note="R squared: numpy. TA-Lib's slope subtracts large sums; ours is within 1e-16 of exact fractions there",
    ),
    Case(
        LinearRegression(100),
        lambda b: line(b["close"], 100),
        note="R squared: numpy. TA-Lib's slope subtracts large sums; ours is within 1e-16 of exact fractions there",
    ),
    Case(
        LinearRegression(20).of(EMA(9)),
        lambda b: line(talib.EMA(b["close"], 9), 20),
        note="R squared: numpy. TA-Lib's slope subtracts large sums; ours is within 1e-16 of exact fractions there",
    ),
    Case(
        Correlation(20).of("close", "high"),
        lambda b: {"value": talib.CORREL(b["close"], b["high"], 20)},
        atol=1e-7,
        scale="one",
        note="TA-Lib's sums of squared prices lose digits; the next case compares to 1e-12",
    ),
    Case(
        Correlation(20).of("close", "high"), lambda b: {"value": rolling(correlation, 20, b["close"], b["high"])}, "independent"
    ),
    Case(
        Correlation(2, "close", "low"),
        lambda b: {"value": rolling(correlation, 2, b["close"], b["low"])},
        "independent",
        scale="one",
    ),
    Case(
        Correlation(30, "volume").of("volume", Return()),
        lambda b: {"value": rolling(correlation, 30, b["volume"], change(b["close"]))},
        "independent",
        scale="one",
    ),
    Case(
        Beta(15).of("close", "open"), lambda b: {"value": rolling(slope, 15, b["close"], b["open"])}, "independent", scale="one"
    ),
    Case(
        Beta(40).of(Return(), EMA(12)),
        lambda b: {"value": rolling(slope, 40, change(b["close"]), talib.EMA(b["close"], 12))},
        "independent",
        scale="one",
    ),
    Case(
        Beta(30).of(Return(1, "high"), Return(1, "close")),
        lambda b: {"value": talib.BETA(b["close"], b["high"], 30)},
        atol=1e-9,
        scale="one",
        note="TA-Lib makes the returns itself, and regresses its second argument on its first; its sums drift",
    ),
]
