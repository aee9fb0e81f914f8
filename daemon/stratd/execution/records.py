"""Records: what happened to an account, as the kernels write it, as values, and as bytes for the journal and the ledger's hash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stratd.model import MONEY, Fill, Instrument, Order, OrderKind, OrderState, Refusal, Side, TimeInForce, Trade, TradingState
from stratd.portfolio import cells as c
from stratd.risk.checks import REASONS

KINDS: Final = (OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP, OrderKind.STOP_LIMIT, OrderKind.TRAILING_STOP)
TIMES_IN_FORCE: Final = (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)
STATES: Final = (
    OrderState.HELD,
    OrderState.NEW,
    OrderState.WORKING,
    OrderState.PARTIALLY_FILLED,
    OrderState.FILLED,
    OrderState.CANCELLED,
    OrderState.EXPIRED,
    OrderState.REJECTED,
    OrderState.REFUSED,
)
TRADING_STATES: Final = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
END_REASONS: Final = {
    0: "",
    c.BY_STRATEGY: "cancelled by the strategy",
    c.BY_OCO: "its group's other order filled",
    c.BY_PARENT: "its entry ended without a fill",
    c.BY_NOTHING_LEFT: "nothing is left to reduce",
    c.BY_TIME_IN_FORCE: "its time in force is over",
    c.BY_HALT: "the account was halted",
    c.BY_END: "the session ended",
    c.BY_KILL_SWITCH: "the kill switch was thrown",
    c.BY_BOOK: "the book refused it",
    c.BY_PERSON_RESTART: "everything was closed at the restart",
}
RISK_REASONS: Final = {
    c.BY_DAILY_LOSS: "daily loss",
    c.BY_DRAWDOWN: "drawdown",
    c.BY_CONSECUTIVE_LOSSES: "consecutive losses",
    c.BY_EXPOSURE: "exposure",
    c.BY_BOOK_RISK: "the book's risk",
    c.BY_PERSON: "a person",
    c.BY_SIZE: "positions beyond what money can count (80,000,000,000)",
}
_SIDES: Final = {1: Side.BUY, -1: Side.SELL}


@dataclass(frozen=True, slots=True)
class Intent:
    """An order was let through: recorded before anybody outside knows of it."""

    time: int
    order: Order


@dataclass(frozen=True, slots=True)
class Refused:
    """An order was refused by risk."""

    time: int
    symbol: str
    side: Side
    quantity: float
    reason: Refusal


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """An order is filled, cancelled or expired."""

    time: int
    order_id: int
    state: OrderState
    reason: str
    filled: float


@dataclass(frozen=True, slots=True)
class RiskChanged:
    """The account went to another trading state."""

    time: int
    state: TradingState
    reason: str
    equity: float


@dataclass(frozen=True, slots=True)
class Charged:
    """Borrow (of a short position) or financing (of negative cash; no symbol) was paid."""

    time: int
    symbol: str
    amount: float
    kind: str
    days: int


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The strategy asked for an order to be cancelled."""

    time: int
    order_id: int


@dataclass(frozen=True, slots=True)
class Amended:
    """The strategy amended an order. None is what the order has not."""

    time: int
    order_id: int
    quantity: float
    limit_price: float | None
    stop_price: float | None


Event: TypeAlias = Intent | Refused | Fill | OrderEnded | Trade | RiskChanged | Charged | CancelAsked | Amended


TOLD: Final = MappingProxyType({Fill: c.FILL, Trade: c.TRADE, OrderEnded: c.ENDED, RiskChanged: c.RISK, Charged: c.CHARGE})
"""What a strategy can hear of, and the kind of its records."""


class Decoder:
    """Turns records into values.

    Args:
        prefix: of client order ids: what makes them this account's.
    """

    __slots__ = ("_instruments", "_prefix", "_symbols")

    def __init__(self, prefix: str, symbols: Sequence[str], instruments: Sequence[Instrument]) -> None:
        self._prefix = prefix
        self._symbols = symbols
        self._instruments = instruments

    def client_order_id(self, order_id: int) -> str:
        """The name under which a venue knows an order: the same again if the same run is repeated."""
        return f"{self._prefix}-{order_id}"

    def decode(self, records: NDArray[np.int64]) -> Iterator[Event]:
        """The values of records, int64[n, R_COLUMNS], in order."""
        floats = records.view(np.float64).tolist()
        for whole, real in zip(records.tolist(), floats, strict=True):
            yield self._one(whole, real)

    def one(self, record: NDArray[np.int64]) -> Event:
        """The value of one record, int64[R_COLUMNS]."""
        return self._one(record.tolist(), record.view(np.float64).tolist())

    def _fill(self, whole: list[int], real: list[float]) -> Fill:
        symbol = whole[c.R_SYMBOL]
        return Fill(
            order_id=whole[c.R_ORDER],
            client_order_id=self.client_order_id(whole[c.R_ORDER]),
            number=whole[c.R_A],
            symbol=self._symbols[symbol],
            side=_SIDES[whole[c.R_SIDE]],
            time=whole[c.R_TIME],
            quantity=self._units(whole, c.R_LOTS),
            price=real[c.R_PRICE],
            fee=whole[c.R_MONEY] / MONEY,
            is_maker=whole[c.R_B] == 1,
        )

    def _units(self, whole: list[int], column: int) -> float:
        return units(whole[column], self._instruments[whole[c.R_SYMBOL]].lot)

    def _one(self, whole: list[int], real: list[float]) -> Event:
        kind, time = whole[c.R_KIND], whole[c.R_TIME]
        if kind == c.FILL:
            return self._fill(whole, real)
        if kind == c.INTENT:
            return Intent(time, self._order(whole, real))
        if kind == c.REFUSED:
            symbol, side = self._symbols[whole[c.R_SYMBOL]], _SIDES[whole[c.R_SIDE]]
            return Refused(time, symbol, side, real[c.R_F1], REASONS[whole[c.R_A] - 1])
        if kind == c.ENDED:
            reason = END_REASONS[whole[c.R_B]]
            if whole[c.R_B] == c.BY_BOOK and whole[c.R_D]:
                reason = f"{reason}: {REASONS[whole[c.R_D] - 1]}"
            return OrderEnded(time, whole[c.R_ORDER], STATES[whole[c.R_A]], reason, self._units(whole, c.R_LOTS))
        if kind == c.TRADE:
            return self._trade(whole, real)
        if kind == c.RISK:
            return RiskChanged(time, TRADING_STATES[whole[c.R_A]], RISK_REASONS[whole[c.R_B]], whole[c.R_MONEY] / MONEY)
        if kind == c.CHARGE:
            symbol = self._symbols[whole[c.R_SYMBOL]] if whole[c.R_SYMBOL] >= 0 else ""
            return Charged(time, symbol, whole[c.R_MONEY] / MONEY, "borrow" if whole[c.R_B] == 1 else "financing", whole[c.R_A])
        if kind == c.CANCEL:
            return CancelAsked(time, whole[c.R_ORDER])
        return Amended(
            time, whole[c.R_ORDER], self._units(whole, c.R_LOTS), given(real[c.R_PRICE]), given(real[c.R_F1])
        )  # fmt: skip

    def _order(self, whole: list[int], real: list[float]) -> Order:
        packed = whole[c.R_A]
        return Order(
            id=whole[c.R_ORDER],
            client_order_id=self.client_order_id(whole[c.R_ORDER]),
            symbol=self._symbols[whole[c.R_SYMBOL]],
            side=_SIDES[whole[c.R_SIDE]],
            kind=KINDS[packed & 0xFF],
            state=STATES[packed >> 32 & 0xFF],
            quantity=self._units(whole, c.R_LOTS),
            filled=0.0,
            limit_price=given(real[c.R_PRICE]),
            stop_price=given(real[c.R_F1]),
            time_in_force=TIMES_IN_FORCE[packed >> 8 & 0xFF],
            reduce_only=bool(packed >> 16 & 0xFF),
            created_time=whole[c.R_TIME],
            parent=whole[c.R_B],
        )

    def _trade(self, whole: list[int], real: list[float]) -> Trade:
        return Trade(
            symbol=self._symbols[whole[c.R_SYMBOL]],
            side=_SIDES[whole[c.R_SIDE]],
            quantity=self._units(whole, c.R_LOTS),
            entry_time=whole[c.R_A],
            exit_time=whole[c.R_TIME],
            entry_price=real[c.R_PRICE],
            exit_price=real[c.R_F1],
            pnl=whole[c.R_MONEY] / MONEY,
            fees=whole[c.R_B] / MONEY,
            mae=whole[c.R_C] / MONEY,
            mfe=whole[c.R_D] / MONEY,
            bars_held=int(real[c.R_F2]),
        )


def given(price: float) -> float | None:
    """A price, or None where the kernels have NaN."""
    return None if price != price else price


def units(lots: int, lot: float) -> float:
    """A quantity in units of the instrument: for a lot of 0.1, three are 0.3 and not 0.30000000000000004."""
    per_unit = round(1.0 / lot)
    return lots / per_unit if per_unit >= 1 and abs(per_unit * lot - 1.0) < 1e-12 else lots * lot


def ledger_bytes(records: NDArray[np.int64], ticks: NDArray[np.float64]) -> bytes:
    """The bytes of fills that are hashed: time, order, symbol, side, lots, price in ticks, fee in cents.

    Args:
        records: int64[n, R_COLUMNS], of any kind.
        ticks: float64[symbols]; 0 where there is none: the price's bits are hashed then.
    """
    fills = records[records[:, c.R_KIND] == c.FILL]
    if not len(fills):
        return b""
    out = np.empty((len(fills), 7), np.int64)
    out[:, :5] = fills[:, [c.R_TIME, c.R_ORDER, c.R_SYMBOL, c.R_SIDE, c.R_LOTS]]
    prices = fills.view(np.float64)[:, c.R_PRICE]
    tick = ticks[fills[:, c.R_SYMBOL]]
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.rint(prices / tick)
    out[:, 5] = np.where(tick > 0, np.where(tick > 0, whole, 0.0), 0.0).astype(np.int64)
    bits = np.ascontiguousarray(prices).view(np.int64)
    out[:, 5] = np.where(tick > 0, out[:, 5], bits)
    out[:, 6] = np.rint(fills[:, c.R_MONEY] / (MONEY / 100)).astype(np.int64)
    return out.tobytes()


__all__: list[Any] = [
    "Amended",
    "CancelAsked",
    "Charged",
    "Decoder",
    "Event",
    "Intent",
    "OrderEnded",
    "Refused",
    "RiskChanged",
    "ledger_bytes",
    "units",
]
