"""What the workers of this strategy hand each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Valuation(StrEnum):
    """How dear the market is by its own measure."""

    CHEAP = "cheap"
    FAIR = "fair"
    DEAR = "dear"


@dataclass(frozen=True, slots=True)
class MarketRegimeDTO:
    """What this strategy means by regime.

    Attributes:
        deviation: how far the close lies from the window's mean, in standard deviations.
    """

    valuation: Valuation
    deviation: float


@dataclass(frozen=True, slots=True)
class RiskAssessmentDTO:
    """How risky buying is now.

    Attributes:
        level: 0 (calm) to 1.
        drawdown_fraction: how far the close lies below the window's high.
        agitation: average true range of late over that of the whole window; 1 is ordinary.
    """

    level: float
    drawdown_fraction: float
    agitation: float
