"""Stochastic, FastStochastic, StochasticRSI: where a value lies in its range, and averages of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from stratd.indicators.base import Composite, Indicator, Source, check_period, check_whole, set_checked
from stratd.indicators.catalogue.extremes import Highest, Lowest, PlaceInRange
from stratd.indicators.catalogue.rsi import RSI
from stratd.indicators.catalogue.sma import SMA

_STILL: Final = 1e-9  # range of an RSI that is nothing but rounding


def place_of_close(period: int) -> Indicator:
    """The close in the range of the last `period` bars, 0 to 100: the raw stochastic."""
    highest, lowest = Highest(period), Lowest(period)
    return PlaceInRange("close", lowest, highest, lowest)


@dataclass(frozen=True, slots=True)
class FastStochastic(Composite):
    """Fast stochastic (G. Lane, 1950s): `k = 100 * (close - lowest low) / (highest high - lowest low)`, `d = SMA(k)`. TA-Lib's STOCHF.

    k is 0 where the range is zero, as in TA-Lib.

    Warm-up: `fast_k` rows for k, `fast_k + fast_d - 1` for d (TA-Lib shows both only from there). NaN and infinity: NaN while one
    is in the window.

    Attributes:
        fast_k: number of bars of the range.
        fast_d: number of bars of the average.
    """

    outputs: ClassVar[tuple[str, ...]] = ("k", "d")

    fast_k: int = 5
    fast_d: int = 3

    def __post_init__(self) -> None:
        set_checked(self, **{name: check_whole(name, getattr(self, name), 1) for name in ("fast_k", "fast_d")})

    def parts(self) -> Mapping[str, Indicator]:
        place = place_of_close(self.fast_k)
        return {"k": place, "d": SMA(self.fast_d, place)}


@dataclass(frozen=True, slots=True)
class Stochastic(Composite):
    """Slow stochastic (G. Lane, 1950s): `k = SMA(100 * (close - lowest low) / (highest high - lowest low))`, `d = SMA(k)`. TA-Lib's STOCH.

    The raw value is 0 where the range is zero, as in TA-Lib. The default periods are TA-Lib's; charts often show 14, 3, 3.

    Warm-up: `fast_k + slow_k - 1` rows for k, `slow_d - 1` more for d (TA-Lib shows both only from there). NaN and infinity: NaN
    while one is in the window.

    Attributes:
        fast_k: number of bars of the range.
        slow_k: number of bars over which the raw value is averaged to k.
        slow_d: number of bars over which k is averaged to d.
    """

    outputs: ClassVar[tuple[str, ...]] = ("k", "d")

    fast_k: int = 5
    slow_k: int = 3
    slow_d: int = 3

    def __post_init__(self) -> None:
        set_checked(self, **{name: check_whole(name, getattr(self, name), 1) for name in ("fast_k", "slow_k", "slow_d")})

    def parts(self) -> Mapping[str, Indicator]:
        k = SMA(self.slow_k, place_of_close(self.fast_k))
        return {"k": k, "d": SMA(self.slow_d, k)}


@dataclass(frozen=True, slots=True)
class StochasticRSI(Composite):
    """Stochastic RSI (T. Chande and S. Kroll, 1994): `k = 100 * (rsi - lowest rsi) / (highest rsi - lowest rsi)`, `d = SMA(k)`. TA-Lib's STOCHRSI.

    k is 0 where the range is zero, as in TA-Lib. While a price stands still, its RSI changes by rounding errors alone, and TA-Lib shows
    where it lies among those; here a range of the RSI up to 1e-9 counts as zero.

    Warm-up: `period + fast_k` rows for k, `fast_d - 1` more for d (TA-Lib shows both only from there). NaN and infinity: as for
    RSI, and NaN while such a row is in the window of k or d.

    Attributes:
        period: number of bars of the RSI.
        fast_k: number of values of the RSI that make up the range.
        fast_d: number of bars over which k is averaged to d.
        source: field or indicator.
    """

    outputs: ClassVar[tuple[str, ...]] = ("k", "d")
    source_fields = ("source",)

    period: int = 14
    fast_k: int = 5
    fast_d: int = 3
    source: Source = "close"

    def __post_init__(self) -> None:
        whole = {name: check_whole(name, getattr(self, name), 1) for name in ("fast_k", "fast_d")}
        set_checked(self, period=check_period(self.period, 2), **whole)

    def parts(self) -> Mapping[str, Indicator]:
        rsi = RSI(self.period, self.source)
        highest, lowest = Highest(self.fast_k, rsi), Lowest(self.fast_k, rsi)
        k = PlaceInRange(rsi, lowest, highest, lowest, _STILL)
        return {"k": k, "d": SMA(self.fast_d, k)}
