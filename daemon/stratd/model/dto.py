"""DTOs that the workers of one strategy hand each other, as far as strategies share them.

What only one strategy means, such as its own `MarketRegimeDTO`, stands beside that strategy. A DTO is a frozen
slots dataclass; workers find it by its exact class, so two classes of one name are two DTOs.

    BaseContext        where and when: given to every worker
    OpportunitySignal  an opportunity worker sees a reason to trade
    ThreatSignal       a threat worker sees a reason not to
    TradePlan          a planning worker's decision
"""

from __future__ import annotations

from dataclasses import dataclass

from stratd.model.signal import Side, Signal


@dataclass(frozen=True, slots=True)
class BaseContext:
    """One asset at one event time.

    Attributes:
        timestamp: close time of the event, int64 ns UTC.
        current_price: the close of the asset's bar that began the tick, in quote currency.
        asset: its symbol.
    """

    timestamp: int
    current_price: float
    asset: str


@dataclass(frozen=True, slots=True)
class OpportunitySignal:
    """A reason to trade.

    Attributes:
        side: which way.
        score: how good it is, 0 to 1.
        entry_price: where to get in.
        stop_price: where the idea is proved wrong.
    """

    asset: str
    side: Side
    score: float
    reason: str
    entry_price: float
    stop_price: float


@dataclass(frozen=True, slots=True)
class ThreatSignal:
    """A reason not to trade, or to leave.

    Attributes:
        against: the side that is in danger; FLAT means both.
        severity: 0 to 1.
    """

    asset: str
    against: Side
    severity: float
    reason: str

    def endangers(self, side: Side) -> bool:
        """Whether a position on `side` is in danger."""
        return self.against in (side, Side.FLAT)


@dataclass(frozen=True, slots=True)
class TradePlan:
    """What is to be done, before it is said how.

    Attributes:
        side: buy, sell, or flat (leave whatever is held).
        strength: conviction, 0 to 1.
        target_weight: wanted position as a signed fraction of the strategy's equity; None leaves it to sizing.
        entry_price: where to get in; None for wherever the market is.
        stop_price: where the idea is proved wrong.
        take_profit_price: where the idea is done.
    """

    asset: str
    side: Side
    reason: str
    strength: float = 1.0
    target_weight: float | None = None
    entry_price: float | None = None
    stop_price: float | None = None
    take_profit_price: float | None = None

    def to_signal(self, *, limit: bool = False) -> Signal:
        """The plan as a signal.

        Args:
            limit: enter at `entry_price` or better; else at the market.
        """
        return Signal(
            symbol=self.asset,
            side=self.side,
            strength=self.strength,
            reason=self.reason,
            target_weight=self.target_weight,
            limit_price=self.entry_price if limit else None,
            stop_price=self.stop_price,
            take_profit_price=self.take_profit_price,
        )
