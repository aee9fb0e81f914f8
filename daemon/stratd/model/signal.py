"""Signal: what a strategy wants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Which way."""

    BUY = "buy"
    SELL = "sell"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class Signal:
    """What a strategy wants, before sizing, risk and orders.

    Attributes:
        symbol: what to trade.
        side: buy, sell, or flat (leave whatever is held).
        strength: conviction, 0 to 1.
        reason: why, in words for a person.
        target_weight: wanted position as a signed fraction of the strategy's equity; None leaves it to sizing.
        limit_price: worst price to enter at; None for any.
        stop_price: where the idea is proved wrong.
        take_profit_price: where the idea is done.

    Raises:
        ValueError: a side that is none, strength outside 0 to 1, or a price that is not finite and above zero.
        TypeError: a reason that is no text, or a number that is none.
    """

    symbol: str
    side: Side
    strength: float = 1.0
    reason: str = ""
    target_weight: float | None = None
    limit_price: float | None = None
    stop_price: float | None = None
    take_profit_price: float | None = None

    def __post_init__(self) -> None:
        if type(self.side) is not Side:
            object.__setattr__(self, "side", Side(self.side))
        if not isinstance(self.reason, str):
            raise TypeError(f"reason is text, not {self.reason!r}")
        if not 0.0 <= self.strength <= 1.0:
            raise ValueError(f"strength is between 0 and 1, not {self.strength}")
        if self.limit_price is not None:
            _check_price("limit_price", self.limit_price)
        if self.stop_price is not None:
            _check_price("stop_price", self.stop_price)
        if self.take_profit_price is not None:
            _check_price("take_profit_price", self.take_profit_price)
        if self.target_weight is not None and not math.isfinite(self.target_weight):
            raise ValueError(f"target_weight must be finite, not {self.target_weight}")


def _check_price(name: str, price: float) -> None:
    if not (math.isfinite(price) and price > 0):
        raise ValueError(f"{name} must be a price above zero, not {price}")
