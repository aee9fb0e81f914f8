"""Indicators: what to compute on the rows of a stream, computed once for all strategies.

    base          Indicator: specifications are values, equal ones are equal; Primitive, Composite, Output, On
    catalogue/    every indicator that stratd ships, a small family to a file
    arithmetic    sums and ratios of columns, of which others are made
    aligned       columns of another stream, as they stood at each row
    talib         TA: the functions of the package TA-Lib (extra `talib`)
    user          compiled_indicator, PythonIndicator: indicators of your own
    graph         taking an indicator apart into parts that are shared
    program       running many operations with one call
    store         the memory of columns
    node          Node: a part that is being computed
    engine        ColumnEngine: parts, computed for all rows, row for row beside the bars
    hub           IndicatorHub: the engine that all strategies share
    handle        IndicatorHandle: one strategy's view of a column, as far as its cursor
    computation   computing an indicator on arrays: tests, research, what-if

The whole catalogue with formulas and pictures: docs/indicators.md.
"""

from stratd.indicators.base import FIELDS, Indicator, On
from stratd.indicators.catalogue.adaptive import KAMA, MAMA, VIDYA
from stratd.indicators.catalogue.adx import ADX
from stratd.indicators.catalogue.atr import ATR, NATR
from stratd.indicators.catalogue.cci import CCI
from stratd.indicators.catalogue.change import ROC, LogReturn, Momentum, Return
from stratd.indicators.catalogue.channels import ChandelierExit, Keltner
from stratd.indicators.catalogue.cumulative import BarCount, CumulativeVolume, RealisedVariance
from stratd.indicators.catalogue.deviation import Bollinger, StdDev, Variance, ZScore
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.ema_family import DEMA, T3, TEMA, TRIX
from stratd.indicators.catalogue.ewm import EWMVolatility
from stratd.indicators.catalogue.extremes import Aroon, Donchian, Highest, Lowest, WilliamsR
from stratd.indicators.catalogue.flow import CMF, MFI
from stratd.indicators.catalogue.macd import MACD
from stratd.indicators.catalogue.order_statistics import Median, Quantile
from stratd.indicators.catalogue.pairs import Beta, Correlation
from stratd.indicators.catalogue.ppo import PPO
from stratd.indicators.catalogue.prices import OHLC4, MedianPrice, TypicalPrice, WeightedPrice
from stratd.indicators.catalogue.regression import LinearRegression
from stratd.indicators.catalogue.rma import RMA
from stratd.indicators.catalogue.rsi import RSI
from stratd.indicators.catalogue.session_levels import OpeningRange, PivotPoints, PreviousSession
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.catalogue.stochastic import FastStochastic, Stochastic, StochasticRSI
from stratd.indicators.catalogue.trend import ParabolicSAR, SuperTrend
from stratd.indicators.catalogue.true_range import TrueRange
from stratd.indicators.catalogue.ulcer import UlcerIndex
from stratd.indicators.catalogue.volume_trend import OBV, ADLine, ChaikinOscillator
from stratd.indicators.catalogue.vwap import VWAP, AnchoredVWAP
from stratd.indicators.catalogue.weighted import HMA, TRIMA, VWMA, WMA
from stratd.indicators.handle import HandleGroup, IndicatorHandle

__all__ = [
    "ADX",
    "ATR",
    "CCI",
    "CMF",
    "DEMA",
    "EMA",
    "FIELDS",
    "HMA",
    "KAMA",
    "MACD",
    "MAMA",
    "MFI",
    "NATR",
    "OBV",
    "OHLC4",
    "PPO",
    "RMA",
    "ROC",
    "RSI",
    "SMA",
    "T3",
    "TEMA",
    "TRIMA",
    "TRIX",
    "VIDYA",
    "VWAP",
    "VWMA",
    "WMA",
    "ADLine",
    "AnchoredVWAP",
    "Aroon",
    "BarCount",
    "Beta",
    "Bollinger",
    "ChaikinOscillator",
    "ChandelierExit",
    "Correlation",
    "CumulativeVolume",
    "Donchian",
    "EWMVolatility",
    "FastStochastic",
    "HandleGroup",
    "Highest",
    "Indicator",
    "IndicatorHandle",
    "Keltner",
    "LinearRegression",
    "LogReturn",
    "Lowest",
    "Median",
    "MedianPrice",
    "Momentum",
    "On",
    "OpeningRange",
    "ParabolicSAR",
    "PivotPoints",
    "PreviousSession",
    "Quantile",
    "RealisedVariance",
    "Return",
    "StdDev",
    "Stochastic",
    "StochasticRSI",
    "SuperTrend",
    "TrueRange",
    "TypicalPrice",
    "UlcerIndex",
    "Variance",
    "WeightedPrice",
    "WilliamsR",
    "ZScore",
]
