"""Every indicator of the catalogue, with the parameters that are usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import stratd.indicators as ind
from stratd.indicators.base import Indicator

Kind: TypeAlias = Literal["stateless", "rolling", "cumulative", "recursive"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One indicator of the catalogue.

    Attributes:
        spec: an example, with the usual parameters.
        kind: how it computes: from the bar itself (and the one before), from a window of bars, by adding up, from its own last value.
        talib: the functions of TA-Lib that give the same values; empty where it has none.
    """

    spec: Indicator
    kind: Kind
    talib: tuple[str, ...] = ()


_OTHER: Final = "open"  # the second source of an example that needs two

CATALOGUE: Final[tuple[Entry, ...]] = (
    Entry(ind.TypicalPrice(), "stateless", ("TYPPRICE",)),
    Entry(ind.MedianPrice(), "stateless", ("MEDPRICE",)),
    Entry(ind.WeightedPrice(), "stateless", ("WCLPRICE",)),
    Entry(ind.OHLC4(), "stateless", ("AVGPRICE",)),
    Entry(ind.TrueRange(), "stateless", ("TRANGE",)),
    Entry(ind.PivotPoints(), "stateless"),
    Entry(ind.Return(), "stateless", ("ROCP",)),
    Entry(ind.LogReturn(), "stateless"),
    Entry(ind.SMA(20), "rolling", ("SMA",)),
    Entry(ind.WMA(20), "rolling", ("WMA",)),
    Entry(ind.HMA(20), "rolling"),
    Entry(ind.TRIMA(20), "rolling", ("TRIMA",)),
    Entry(ind.VWMA(20), "rolling"),
    Entry(ind.StdDev(20), "rolling", ("STDDEV",)),
    Entry(ind.Variance(20), "rolling", ("VAR",)),
    Entry(ind.Highest(20), "rolling", ("MAX",)),
    Entry(ind.Lowest(20), "rolling", ("MIN",)),
    Entry(ind.Median(20), "rolling"),
    Entry(ind.Quantile(20, 0.9), "rolling"),
    Entry(ind.ZScore(20), "rolling"),
    Entry(ind.Bollinger(), "rolling", ("BBANDS",)),
    Entry(ind.Donchian(20), "rolling", ("MIDPRICE",)),
    Entry(ind.ROC(), "rolling", ("ROC",)),
    Entry(ind.Momentum(), "rolling", ("MOM",)),
    Entry(ind.CCI(), "rolling", ("CCI",)),
    Entry(ind.WilliamsR(), "rolling", ("WILLR",)),
    Entry(ind.FastStochastic(), "rolling", ("STOCHF",)),
    Entry(ind.Stochastic(), "rolling", ("STOCH",)),
    Entry(ind.StochasticRSI(), "rolling", ("STOCHRSI",)),
    Entry(ind.Aroon(), "rolling", ("AROON", "AROONOSC")),
    Entry(ind.MFI(), "rolling", ("MFI",)),
    Entry(ind.CMF(), "rolling"),
    Entry(ind.LinearRegression(), "rolling", ("LINEARREG", "LINEARREG_SLOPE")),
    Entry(ind.Correlation(20, "close", _OTHER), "rolling", ("CORREL",)),
    Entry(ind.Beta(20, "close", _OTHER), "rolling", ("BETA",)),
    Entry(ind.UlcerIndex(), "rolling"),
    Entry(ind.VWAP(), "cumulative"),
    Entry(ind.AnchoredVWAP(1_381_152_600_000_000_000), "cumulative"),  # 2013-10-07 09:30 in New York
    Entry(ind.OBV(), "cumulative", ("OBV",)),
    Entry(ind.ADLine(), "cumulative", ("AD",)),
    Entry(ind.CumulativeVolume(), "cumulative"),
    Entry(ind.RealisedVariance(), "cumulative"),
    Entry(ind.BarCount(), "cumulative"),
    Entry(ind.OpeningRange(), "cumulative"),
    Entry(ind.PreviousSession(), "cumulative"),
    Entry(ind.EMA(20), "recursive", ("EMA",)),
    Entry(ind.RMA(20), "recursive"),
    Entry(ind.DEMA(20), "recursive", ("DEMA",)),
    Entry(ind.TEMA(20), "recursive", ("TEMA",)),
    Entry(ind.T3(), "recursive", ("T3",)),
    Entry(ind.KAMA(), "recursive", ("KAMA",)),
    Entry(ind.VIDYA(), "recursive"),
    Entry(ind.MAMA(), "recursive", ("MAMA",)),
    Entry(ind.RSI(), "recursive", ("RSI",)),
    Entry(ind.ATR(), "recursive", ("ATR",)),
    Entry(ind.NATR(), "recursive", ("NATR",)),
    Entry(ind.ADX(), "recursive", ("ADX", "PLUS_DI", "MINUS_DI", "DX")),
    Entry(ind.MACD(), "recursive", ("MACD",)),
    Entry(ind.PPO(), "recursive", ("PPO",)),
    Entry(ind.TRIX(), "recursive", ("TRIX",)),
    Entry(ind.Keltner(), "recursive"),
    Entry(ind.SuperTrend(), "recursive"),
    Entry(ind.ParabolicSAR(), "recursive", ("SAR",)),
    Entry(ind.ChandelierExit(), "recursive"),
    Entry(ind.ChaikinOscillator(), "recursive", ("ADOSC",)),
    Entry(ind.EWMVolatility(20), "recursive"),
)
