"""Instrument: what is traded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded under a symbol.

    Attributes:
        symbol: the name that sessions and strategies use.
        venue: where it trades; empty for history of unknown origin.
        tick: smallest price step in quote currency; None where unknown. With a tick, sums of prices are exact.
        lot: smallest quantity step.
        min_notional: smallest value of an order in quote currency; what closes a whole position is exempt.
        quote: quote currency.
        calendar: `24/7`, or an exchange calendar's name such as `XNYS`.
        extended_hours: whether minutes before the open and after the close belong to the session.
        sends_empty_minutes: whether the venue sends a bar for a minute without trades. Where it does, an absent
            minute of regular hours is lost; where it does not (the default), it is a minute without trades.
    """

    symbol: str
    venue: str = ""
    tick: float | None = None
    lot: float = 1.0
    quote: str = "USD"
    calendar: str = "24/7"
    extended_hours: bool = False
    sends_empty_minutes: bool = False
    min_notional: float = 0.0

    def __post_init__(self) -> None:
        if self.tick is not None and not self.tick > 0:
            raise ValueError(f"{self.symbol}: tick must be above zero, not {self.tick}")
        if not self.lot > 0:
            raise ValueError(f"{self.symbol}: lot must be above zero, not {self.lot}")
        if not self.min_notional >= 0:
            raise ValueError(f"{self.symbol}: min_notional is not negative, and not {self.min_notional}")
