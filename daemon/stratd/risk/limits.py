"""RiskLimits: what an account may do before an order is sent, and while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from stratd.portfolio.cells import (
    K_BAND,
    K_CONSECUTIVE,
    K_CONSECUTIVE_STATE,
    K_DAILY,
    K_DAILY_STATE,
    K_DRAWDOWN,
    K_DRAWDOWN_STATE,
    K_DUPLICATES,
    K_EXPOSURE,
    K_EXPOSURE_STATE,
    K_ORDER_NOTIONAL,
    K_ORDER_QUANTITY,
    K_POSITION_NOTIONAL,
    K_POSITION_QUANTITY,
    K_RATE,
    REDUCING,
    STATE_HALTED,
)


class Policy(StrEnum):
    """What a limit that is passed does to the account."""

    REDUCE = "reduce"
    HALT = "halt"

    @property
    def state(self) -> int:
        """The state it leads to, as the kernels know it."""
        return STATE_HALTED if self is Policy.HALT else REDUCING


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits of one account, or of a book. None is no limit.

    Attributes:
        max_position_quantity, max_position_notional: of one symbol, either way, after the order.
        max_order_quantity, max_order_notional: of one order, at the last price.
        max_orders_per_minute: by event time: the UTC minute of the decision.
        price_band_fraction: how far an order's prices may be from the last price.
        allowed_symbols: None for all that the strategy reads.
        refuse_duplicates: whether the same order may not be given twice at one event time.
        daily_loss_fraction: of the equity at the day's start.
        drawdown_fraction: of the highest equity so far.
        consecutive_losses: losing trades in a row.
        exposure_fraction: sum of |positions| over equity.
        daily_loss_policy, drawdown_policy, consecutive_losses_policy, exposure_policy: what passing it does.
    """

    max_position_quantity: float | None = None
    max_position_notional: float | None = None
    max_order_quantity: float | None = None
    max_order_notional: float | None = None
    max_orders_per_minute: int | None = None
    price_band_fraction: float | None = None
    allowed_symbols: tuple[str, ...] | None = None
    refuse_duplicates: bool = True
    daily_loss_fraction: float | None = None
    drawdown_fraction: float | None = None
    consecutive_losses: int | None = None
    exposure_fraction: float | None = None
    daily_loss_policy: Policy = Policy.HALT
    drawdown_policy: Policy = Policy.HALT
    consecutive_losses_policy: Policy = Policy.REDUCE
    exposure_policy: Policy = Policy.REDUCE

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is above zero or not given, and not {value}")

    def fill_cells(self, cells: NDArray[np.float64]) -> None:
        """Write the limits where the kernels read them; no limit is infinity."""
        for at, limit in (
            (K_POSITION_QUANTITY, self.max_position_quantity),
            (K_POSITION_NOTIONAL, self.max_position_notional),
            (K_ORDER_QUANTITY, self.max_order_quantity),
            (K_ORDER_NOTIONAL, self.max_order_notional),
            (K_RATE, self.max_orders_per_minute),
            (K_BAND, self.price_band_fraction),
            (K_DAILY, self.daily_loss_fraction),
            (K_DRAWDOWN, self.drawdown_fraction),
            (K_CONSECUTIVE, self.consecutive_losses),
            (K_EXPOSURE, self.exposure_fraction),
        ):
            cells[at] = np.inf if limit is None else limit
        cells[K_DUPLICATES] = self.refuse_duplicates
        cells[K_DAILY_STATE] = self.daily_loss_policy.state
        cells[K_DRAWDOWN_STATE] = self.drawdown_policy.state
        cells[K_CONSECUTIVE_STATE] = self.consecutive_losses_policy.state
        cells[K_EXPOSURE_STATE] = self.exposure_policy.state


_NUMBERS = (
    "max_position_quantity",
    "max_position_notional",
    "max_order_quantity",
    "max_order_notional",
    "max_orders_per_minute",
    "price_band_fraction",
    "daily_loss_fraction",
    "drawdown_fraction",
    "consecutive_losses",
    "exposure_fraction",
)
