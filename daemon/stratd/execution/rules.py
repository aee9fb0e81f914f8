"""AccountRules: how an account's orders fill and what they cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.risk.limits import RiskLimits

LARGEST_CAPITAL: Final = 40_000_000_000.0  # of int64 money in units of 1e-8, with room for what it earns


class FillRule(StrEnum):
    """Where market orders fill: at the next 1m open, or (optimistic, for comparison) at the close they were decided on."""

    NEXT_OPEN = "next_open"
    CLOSE = "close"


class Intrabar(StrEnum):
    """What is assumed where a bar cannot tell what happened first."""

    PESSIMISTIC = "pessimistic"
    OPTIMISTIC = "optimistic"


class LimitFill(StrEnum):
    """When a resting limit order fills: when the price trades through it, or touches it."""

    THROUGH = "through"
    TOUCH = "touch"


class LotRule(StrEnum):
    """What closing takes off first: a share of everything, or the oldest lots."""

    AVERAGE = "average"
    FIFO = "fifo"


class AtEnd(StrEnum):
    """What becomes of open positions when the session ends: valued at the last close, or closed there."""

    MARK = "mark"
    CLOSE = "close"


def _check_costs(costs: Slippage | Commission) -> None:
    for name, value in asdict(costs).items():
        least = -10_000.0 if name in ("taker_bps", "maker_bps") else 0.0  # below 0 the venue pays
        if not least <= value < float("inf"):
            raise ValueError(f"{name} is a number, not below {least:g}, and not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """How much worse than its price an order fills; the parts add up.

    Attributes:
        bps: hundredths of a percent of the price.
        ticks: price steps; an instrument without a tick has none.
        range_fraction: fraction of the bar's high - low.
        random_bps: upper end of a uniform part, drawn from the order's id.
    """

    bps: float = 0.0
    ticks: float = 0.0
    range_fraction: float = 0.0
    random_bps: float = 0.0

    def __post_init__(self) -> None:
        _check_costs(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What fills cost; the parts add up. In the account's currency.

    Attributes:
        per_share: for each unit of the instrument; with `minimum` for an order.
        minimum: the least that an order's `per_share` part comes to.
        taker_bps, maker_bps: hundredths of a percent of the notional.
        per_order: once, at an order's first fill.
    """

    per_share: float = 0.0
    minimum: float = 0.0
    taker_bps: float = 0.0
    maker_bps: float = 0.0
    per_order: float = 0.0

    def __post_init__(self) -> None:
        _check_costs(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRules:
    """How an account's orders fill and what they cost. ADR 0007 has the rules.

    Attributes:
        allocated_capital: money at the start, in the quote currency.
        latency_seconds: of event time, from a decision until it is with the venue.
        participation: fraction of a bar's volume that all orders in a symbol may fill; None for no bound.
        leverage: buying power over equity.
        borrow_rate, financing_rate: a year, of short positions' value and of negative cash.
        seed: of random slippage.
    """

    allocated_capital: float = 100_000.0
    fill: FillRule = FillRule.NEXT_OPEN
    latency_seconds: float = 0.0
    intrabar: Intrabar = Intrabar.PESSIMISTIC
    limit_fill: LimitFill = LimitFill.THROUGH
    participation: float | None = None
    allow_short: bool = True
    lots: LotRule = LotRule.AVERAGE
    at_end: AtEnd = AtEnd.MARK
    leverage: float = 1.0
    borrow_rate: float = 0.0
    financing_rate: float = 0.0
    seed: int = 0
    slippage: Slippage = field(default=Slippage())
    commission: Commission = field(default=Commission())

    def __post_init__(self) -> None:
        if not 0 < self.allocated_capital <= LARGEST_CAPITAL:
            raise ValueError(f"allocated_capital is above 0 and at most {LARGEST_CAPITAL:,.0f}, not {self.allocated_capital}")
        if self.participation is not None and not 0 < self.participation <= 1:
            raise ValueError(f"participation is a fraction above 0 and at most 1, not {self.participation}")
        if not self.leverage > 0:
            raise ValueError(f"leverage is above 0, not {self.leverage}")
        for name in ("latency_seconds", "borrow_rate", "financing_rate"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is not negative, and not {getattr(self, name)}")

    def cells(self, limits: RiskLimits, salt: int) -> NDArray[np.float64]:
        """All rules and limits as the kernels read them, float64[K_CELLS].

        Args:
            salt: mixed into the seed, so that accounts draw different numbers: below 2**32.
        """
        from stratd.portfolio.cells import (
            K_ALLOW_SHORT,
            K_BORROW,
            K_BPS,
            K_CELLS,
            K_FIFO,
            K_FILL_CLOSE,
            K_FINANCING,
            K_LATENCY_NS,
            K_LEVERAGE,
            K_MAKER_BPS,
            K_MINIMUM,
            K_OPTIMISTIC,
            K_PARTICIPATION,
            K_PER_ORDER,
            K_PER_SHARE,
            K_RANDOM_BPS,
            K_RANGE,
            K_SEED,
            K_TAKER_BPS,
            K_TICKS,
            K_TOUCH,
        )

        cells = np.zeros(K_CELLS)
        cells[K_FILL_CLOSE] = self.fill is FillRule.CLOSE
        cells[K_LATENCY_NS] = round(self.latency_seconds * 1e9)
        cells[K_OPTIMISTIC] = self.intrabar is Intrabar.OPTIMISTIC
        cells[K_TOUCH] = self.limit_fill is LimitFill.TOUCH
        cells[K_PARTICIPATION] = self.participation or 0.0
        cells[K_ALLOW_SHORT] = self.allow_short
        cells[K_FIFO] = self.lots is LotRule.FIFO
        cells[K_LEVERAGE] = self.leverage
        cells[K_BORROW] = self.borrow_rate
        cells[K_FINANCING] = self.financing_rate
        cells[K_SEED] = (self.seed * 0x9E3779B1 + salt) % 2**52
        cells[K_BPS], cells[K_TICKS] = self.slippage.bps, self.slippage.ticks
        cells[K_RANGE], cells[K_RANDOM_BPS] = self.slippage.range_fraction, self.slippage.random_bps
        cells[K_PER_SHARE], cells[K_MINIMUM] = self.commission.per_share, self.commission.minimum
        cells[K_TAKER_BPS], cells[K_MAKER_BPS] = self.commission.taker_bps, self.commission.maker_bps
        cells[K_PER_ORDER] = self.commission.per_order
        limits.fill_cells(cells)
        return cells
