"""Order, Fill, Position, Trade: what is asked of a venue, and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stratd.model.signal import Side

MONEY: Final = 100_000_000
"""Units of money in 1.00 of the account's quote currency."""


class OrderKind(StrEnum):
    """How an order finds its price."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """How long an order works: until cancelled, until its session closes, at once in part, at once in full."""

    GTC = "gtc"
    DAY = "day"
    IOC = "ioc"
    FOK = "fok"


class OrderState(StrEnum):
    """Where an order stands. `stratd.execution.orders` has the table of transitions."""

    NEW = "new"  # decided and recorded; nobody outside knows of it
    HELD = "held"  # child of a bracket whose entry has not filled
    SUBMITTED = "submitted"  # sent; no answer yet
    UNKNOWN = "unknown"  # sent, and the answer is lost: to be asked for, never to be sent again
    WORKING = "working"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"  # by the venue
    REFUSED = "refused"  # by risk, before anybody outside knew of it


class TradingState(StrEnum):
    """What an account may still do. It only gets stricter by itself; a person resets it."""

    ACTIVE = "active"
    REDUCING = "reducing"  # only what makes a position smaller
    HALTED = "halted"  # nothing


class Refusal(StrEnum):
    """Why risk refused an order."""

    HALTED = "halted"
    REDUCING = "reducing"
    KILL_SWITCH = "kill_switch"
    JOURNAL = "journal"
    SYMBOL = "symbol"
    CURRENCY = "currency"
    NO_PRICE = "no_price"
    ZERO_LOTS = "zero_lots"
    TOO_LARGE = "too_large"
    NOTHING_TO_REDUCE = "nothing_to_reduce"
    SHORT = "short"
    MIN_NOTIONAL = "min_notional"
    ORDER_QUANTITY = "order_quantity"
    ORDER_NOTIONAL = "order_notional"
    POSITION_QUANTITY = "position_quantity"
    POSITION_NOTIONAL = "position_notional"
    ORDER_RATE = "order_rate"
    PRICE_BAND = "price_band"
    DUPLICATE = "duplicate"
    BUYING_POWER = "buying_power"
    BOOK = "book"


@dataclass(frozen=True, slots=True)
class RiskRefused:
    """An order that was not let through. False where a truth value is asked for.

    Attributes:
        reason: which check.
        detail: the numbers, in words.
    """

    reason: Refusal
    detail: str = ""

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a strategy asks for.

    Attributes:
        symbol: what to trade.
        side: buy or sell.
        quantity: in units of the instrument, above zero; rounded towards zero to whole lots.
        kind: see `OrderKind`.
        limit_price: of a limit or stop-limit order.
        stop_price: of a stop or stop-limit order.
        trail_amount: distance of a trailing stop in price.
        trail_fraction: the same as a fraction of the price, in place of `trail_amount`.
        time_in_force: see `TimeInForce`.
        reduce_only: never more than closes the position.
        stop_loss_price, take_profit_price: make it the entry of a bracket with these children.
        oco: orders of one strategy with the same name cancel each other as they fill; empty for none.

    Raises:
        ValueError: a price that the kind needs is missing, one that it does not have is given, or a number cannot be used.
    """

    symbol: str
    side: Side
    quantity: float
    kind: OrderKind = OrderKind.MARKET
    limit_price: float | None = None
    stop_price: float | None = None
    trail_amount: float | None = None
    trail_fraction: float | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    stop_loss_price: float | None = None
    take_profit_price: float | None = None
    oco: str = ""

    def __post_init__(self) -> None:
        if type(self.side) is not Side:
            object.__setattr__(self, "side", Side(self.side))
        if type(self.kind) is not OrderKind:
            object.__setattr__(self, "kind", OrderKind(self.kind))
        if type(self.time_in_force) is not TimeInForce:
            object.__setattr__(self, "time_in_force", TimeInForce(self.time_in_force))
        if self.side is Side.FLAT:
            raise ValueError("an order buys or sells; to leave a position, emit a FLAT signal")
        _check_above_zero("quantity", self.quantity)
        kind = self.kind
        self._check_price("limit_price", self.limit_price, kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT))
        self._check_price("stop_price", self.stop_price, kind in (OrderKind.STOP, OrderKind.STOP_LIMIT))
        trails = (self.trail_amount is not None) + (self.trail_fraction is not None)
        if trails != (kind is OrderKind.TRAILING_STOP):
            raise ValueError(
                f"a {kind} order has {trails} of trail_amount and trail_fraction; a trailing_stop has one, others none"
            )
        if self.trail_amount is not None:
            _check_above_zero("trail_amount", self.trail_amount)
        if self.trail_fraction is not None and not 0.0 < self.trail_fraction < 1.0:
            raise ValueError(f"trail_fraction is between 0 and 1, not {self.trail_fraction}")
        at_once = self.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
        if at_once and kind not in (OrderKind.MARKET, OrderKind.LIMIT):
            raise ValueError(f"a {kind} order waits for its price, so it cannot be {self.time_in_force}")
        for name in ("stop_loss_price", "take_profit_price"):
            if (price := getattr(self, name)) is not None:
                _check_above_zero(name, price)
        if self.oco and (self.stop_loss_price is not None or self.take_profit_price is not None):
            raise ValueError("the entry of a bracket is in no other group: leave oco out")

    def _check_price(self, name: str, price: float | None, needed: bool) -> None:
        if (price is not None) != needed:
            raise ValueError(f"a {self.kind} order {'needs' if needed else 'has no'} {name}")
        if price is not None:
            _check_above_zero(name, price)


def _check_above_zero(name: str, number: float) -> None:
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a number above zero, not {number}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it stands.

    Attributes:
        id: number within its strategy, from 1 on.
        client_order_id: name under which a venue knows it: the same again if the same run is repeated.
        quantity, filled: in units of the instrument.
        limit_price, stop_price: None where it has none. A trailing stop's `stop_price` is its present level, None before its first bar.
        created_time: close time of the event on which it was decided, ns UTC.
        parent: id of the entry, for a bracket's child; 0 else.
        reason: why it ended or was refused; empty else.
    """

    id: int
    client_order_id: str
    symbol: str
    side: Side
    kind: OrderKind
    state: OrderState
    quantity: float
    filled: float
    limit_price: float | None
    stop_price: float | None
    time_in_force: TimeInForce
    reduce_only: bool
    created_time: int
    parent: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A part of an order that was executed.

    Attributes:
        order_id: see `Order.id`.
        number: 1 for the order's first fill.
        time: ns UTC; the 1m bar's open time for a fill at its open, its close time for one within it.
        quantity: in units of the instrument, above zero.
        price: per unit.
        fee: commission in the account's currency.
        is_maker: whether it was a resting limit order.
    """

    order_id: int
    client_order_id: str
    number: int
    symbol: str
    side: Side
    time: int
    quantity: float
    price: float
    fee: float
    is_maker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What a strategy holds of a symbol. Money in the account's currency.

    Attributes:
        quantity: in units, below zero for a short position.
        average_price: what a unit has cost, without fees; 0.0 when flat.
        market_value: quantity x last 1m close.
        realised_pnl, fees: of the symbol since the account began.
    """

    symbol: str
    quantity: float = 0.0
    average_price: float = 0.0
    market_value: float = 0.0
    unrealised_pnl: float = 0.0
    realised_pnl: float = 0.0
    fees: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A round trip: from flat to flat. Money in the account's currency.

    Attributes:
        side: BUY for a long one.
        quantity: units entered, all entries together.
        entry_price, exit_price: averages.
        entry_time, exit_time: of its first and last fill, ns UTC.
        pnl: realised, before fees.
        mae, mfe: worst (at most 0) and best (at least 0) unrealised PnL on the way.
        bars_held: 1m bars of the symbol that closed while it was held.
    """

    symbol: str
    side: Side
    quantity: float
    entry_time: int
    exit_time: int
    entry_price: float
    exit_price: float
    pnl: float
    fees: float
    mae: float
    mfe: float
    bars_held: int
