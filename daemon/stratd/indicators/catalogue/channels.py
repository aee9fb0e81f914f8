"""Keltner and ChandelierExit: lines at a distance of some average true ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from stratd.indicators.arithmetic import WeightedSum
from stratd.indicators.base import Composite, Indicator, Source, check_number, check_period, check_whole, set_checked
from stratd.indicators.catalogue.atr import ATR
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.extremes import Highest, Lowest


@dataclass(frozen=True, slots=True)
class Keltner(Composite):
    """Keltner channel: `middle = EMA(period)`, `upper` and `lower` = `middle` plus and minus `width * ATR(atr_period)`.

    This is L. B. Raschke's version of the 1980s, which charts show today. C. Keltner's own (How to Make Money in Commodities,
    1960) is the 10-day SMA of the typical price plus and minus the 10-day SMA of `high - low`. Both averages are TA-Lib's.

    Warm-up: `period` rows for middle, the larger of `period` and `atr_period + 1` for the others. NaN: as for EMA and ATR. Zero
    range: the channel narrows, down to the middle itself.

    Attributes:
        period: number of bars of the middle line.
        width: average true ranges from the middle to either line.
        atr_period: number of bars of the average true range.
        source: field or indicator of the middle line, a price.
    """

    outputs: ClassVar[tuple[str, ...]] = ("middle", "upper", "lower")
    source_fields = ("source",)

    period: int = 20
    width: float = 2.0
    atr_period: int = 10
    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(
            self,
            period=check_period(self.period),
            width=check_number("width", self.width, above=0.0),
            atr_period=check_whole("atr_period", self.atr_period, 1),
        )

    def parts(self) -> Mapping[str, Indicator]:
        middle, atr = EMA(self.period, self.source), ATR(self.atr_period)
        upper, lower = WeightedSum(middle, atr, 1.0, self.width), WeightedSum(middle, atr, 1.0, -self.width)
        return {"middle": middle, "upper": upper, "lower": lower}


@dataclass(frozen=True, slots=True)
class ChandelierExit(Composite):
    """Chandelier exit: `long_stop = Highest(high) - width * ATR`, `short_stop = Lowest(low) + width * ATR`, all of `period` bars.

    A long position is left where the close falls below `long_stop`, a short one where it rises above `short_stop`. The lines
    move both ways: who wants a stop that never steps back keeps the best one since the entry.

    Source: C. Le Beau, in A. Elder, Come Into My Trading Room, 2002; the average true range is TA-Lib's.

    Warm-up: `period + 1` rows. NaN: as for ATR, and while one is within the `period` rows.

    Attributes:
        period: number of bars.
        width: average true ranges from the extreme to the stop.
    """

    outputs: ClassVar[tuple[str, ...]] = ("long_stop", "short_stop")

    period: int = 22
    width: float = 3.0

    def __post_init__(self) -> None:
        set_checked(self, period=check_period(self.period), width=check_number("width", self.width, above=0.0))

    def parts(self) -> Mapping[str, Indicator]:
        atr = ATR(self.period)
        return {
            "long_stop": WeightedSum(Highest(self.period, "high"), atr, 1.0, -self.width),
            "short_stop": WeightedSum(Lowest(self.period, "low"), atr, 1.0, self.width),
        }
