"""Indicators: what to compute on the rows of a stream, block by block, in compiled kernels.

    base      Indicator: the contract; specifications are values, equal ones are equal
    handle    IndicatorHandle: one strategy's view of an indicator, as far as its cursor
    onefield  OneField: what indicators with a period and one field share
    sma       SMA(period): simple moving average, exact
    ema       EMA(period): exponential moving average
    rsi       RSI(period): relative strength index, Wilder
    atr       ATR(period): average true range, Wilder
    extremes  Highest(period), Lowest(period): of high and low unless `source` says otherwise
    stddev    StdDev(period): standard deviation of the population
    change    ROC(period), Momentum(period): change in percent, in units

All but ATR take `source`: open, high, low, close or volume. Values follow TA-Lib.
"""

from stratd.indicators.atr import ATR
from stratd.indicators.base import FIELDS, Indicator
from stratd.indicators.change import ROC, Momentum
from stratd.indicators.ema import EMA
from stratd.indicators.extremes import Highest, Lowest
from stratd.indicators.handle import IndicatorHandle
from stratd.indicators.rsi import RSI
from stratd.indicators.sma import SMA
from stratd.indicators.stddev import StdDev

__all__ = ["ATR", "EMA", "FIELDS", "ROC", "RSI", "SMA", "Highest", "Indicator", "IndicatorHandle", "Lowest", "Momentum", "StdDev"]
