"""Immutable values that every layer speaks in.

interval    Interval: a duration such as "5m", with bucket arithmetic in nanoseconds
stream      Stream: a (symbol, interval)
instrument  Instrument: what is traded, its tick, lot, currency and calendar
bar         Bar: one row of a stream, read-only; BarFlags
signal      Signal, Side: what a strategy wants
order       OrderRequest, Order, Fill, Position, Trade: what is asked of a venue, and what came of it; RiskRefused
"""

from stratd.model.bar import Bar, BarFlags
from stratd.model.instrument import Instrument
from stratd.model.interval import MINUTE_NS, Interval
from stratd.model.order import (
    MONEY,
    Fill,
    Order,
    OrderKind,
    OrderRequest,
    OrderState,
    Position,
    Refusal,
    RiskRefused,
    TimeInForce,
    Trade,
    TradingState,
)
from stratd.model.signal import Side, Signal
from stratd.model.stream import Stream

__all__ = [
    "MINUTE_NS",
    "MONEY",
    "Bar",
    "BarFlags",
    "Fill",
    "Instrument",
    "Interval",
    "Order",
    "OrderKind",
    "OrderRequest",
    "OrderState",
    "Position",
    "Refusal",
    "RiskRefused",
    "Side",
    "Signal",
    "Stream",
    "TimeInForce",
    "Trade",
    "TradingState",
]
