"""What the workers of this strategy hand each other. Prices in quote currency, times int64 ns UTC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .detectors import Gap, StructureEvent


class Bias(StrEnum):
    """Which way the market is going."""

    BULLISH = "bullish"
    BEARISH = "bearish"
    RANGING = "ranging"


@dataclass(frozen=True, slots=True)
class MarketStructureDTO:
    """Swings and breaks.

    Attributes:
        trend: 1 up, -1 down, 0 before the first break.
        event: what this bar broke.
        swing_high: the last swing high that has not been broken; None where there is none.
        swing_low: the last swing low that has not been broken.
    """

    trend: int
    event: StructureEvent
    swing_high: float | None
    swing_low: float | None


@dataclass(frozen=True, slots=True)
class FairValueGapsDTO:
    """Fair value gaps.

    Attributes:
        untouched: gaps that price has not come back to, oldest first.
        entered: gaps that price has come back to with this bar.
        formed: the gap that this bar completed.
    """

    untouched: tuple[Gap, ...]
    entered: tuple[Gap, ...]
    formed: Gap | None


@dataclass(frozen=True, slots=True)
class MarketRegimeDTO:
    """What this strategy means by regime.

    Attributes:
        location: where the close lies in the dealing range, 0 (its low) to 1 (its high).
        expansion: mean bar range of late over that of the whole window; 1 is ordinary.
    """

    bias: Bias
    location: float
    expansion: float
