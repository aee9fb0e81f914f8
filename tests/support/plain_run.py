"""The same case given to the engine, and the two outcomes side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import isclose
from typing import Any, ClassVar

import numpy as np

from stratd.data.calendars import CalendarTable, table_from_sessions, utc_table
from stratd.execution.records import CancelAsked, Charged, Intent, OrderEnded, Refused, RiskChanged
from stratd.model import MONEY, Fill, Interval, OrderKind, Trade
from stratd.strategy.base import Strategy
from stratd.strategy.context import StrategyContext
from stratd.strategy.thread import StrategyThread

from .plain_account import play
from .plain_numbers import exact
from .plain_types import Action, Amend, Cancel, Case, Charge, Ended, Filled, Intended, Outcome, Place, Round, Stricter, Turned
from .reference import Listed
from .spine import Spine, lines, market

HOLDS_LIMIT = (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
HOLDS_STOP = (OrderKind.STOP, OrderKind.STOP_LIMIT)


class Scripted(Strategy[Any]):
    """Does what its case says."""

    case: ClassVar[Case]

    def setup(self, ctx: StrategyContext) -> None:
        self.script, self.at_fill = dict(self.case.script), dict(self.case.on_fill)
        self.events = self.fills = 0
        self.given: list[int] = []
        self.kinds: dict[int, tuple[OrderKind, bool]] = {}  # kind, whether its quantity may be amended
        for minutes in self.case.minutes:
            ctx.subscribe("*", f"{minutes}m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.events += 1
        self.act(self.script.get(self.events - 1, ()))

    def on_fill(self, fill: Fill) -> None:
        self.fills += 1
        self.act(self.at_fill.get(self.fills - 1, ()))

    def act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Place):
                self.place(action)
            elif self.given:
                chosen = self.given[action.pick % len(self.given)]
                if isinstance(action, Cancel):
                    self.ctx.cancel(chosen)
                else:
                    self.amend(chosen, action)

    def place(self, action: Place) -> None:
        request = action.request
        names = ("limit_price", "stop_price", "trail_amount", "trail_fraction", "stop_loss_price", "take_profit_price")
        words: dict[str, Any] = {name: getattr(request, name) for name in (*names, "kind", "time_in_force", "reduce_only", "oco")}
        got = self.ctx.order(request.symbol, request.side, request.quantity, **words)
        if not isinstance(got, int):
            return
        kinds = [(request.kind, not request.oco)]
        if request.stop_loss_price is not None:
            kinds.append((OrderKind.STOP, False))
        if request.take_profit_price is not None:
            kinds.append((OrderKind.LIMIT, False))
        for at, kind in enumerate(kinds):
            self.given.append(got + at)
            self.kinds[got + at] = kind

    def amend(self, order_id: int, action: Amend) -> None:
        kind, sized = self.kinds[order_id]
        words = {
            "quantity": action.quantity if sized else None,
            "limit_price": action.limit_price if kind in HOLDS_LIMIT else None,
            "stop_price": action.stop_price if kind in HOLDS_STOP else None,
        }
        if any(word is not None for word in words.values()):
            self.ctx.amend(order_id, **words)


def table_of(listed: Listed) -> CalendarTable:
    """A symbol's calendar as the engine knows it: sessions of one phase each."""
    if not listed.phases:
        return utc_table()
    corners = [[one.open, one.open, one.open, one.open, one.close, one.close] for one in listed.phases]
    return table_from_sessions(listed.calendar, np.array(corners, np.int64), False)


def run_engine(case: Case, window: int = 8, block: int = 5, kind: type[Scripted] = Scripted) -> StrategyThread:
    """The engine's account after the whole case."""
    symbols = [one.symbol for one in case.listed]
    calendars = list({one.calendar: one for one in case.listed}.values())
    names = [one.calendar for one in calendars]
    offered = market(
        symbols,
        [f"{minutes}m" for minutes in sorted({1, *case.minutes})],
        tables=[table_of(one) for one in calendars],
        calendar_of={one.symbol: names.index(one.calendar) for one in case.listed},
    )
    spine = Spine(replace(offered, instruments={one.symbol: one for one in case.instruments}), window=window, block=block)
    thread = spine.thread(type("Case", (kind,), {"case": case}), rules=case.rules, limits=case.limits, sizing=None)
    spine.run(case.rows)
    assert thread.errors == 0, lines(thread).kept
    return thread


def units(amount: float) -> int:
    return round(amount * MONEY)


def near(got: float, expected: Fraction | None) -> bool:
    """Prices: the engine works in float64, so its last bits may differ."""
    return expected is not None and isclose(got, float(expected), rel_tol=1e-9)


class Comparison:
    """Collects the differences between an outcome and an engine's account."""

    def __init__(self, case: Case, plain: Outcome, thread: StrategyThread) -> None:
        self.case, self.plain, self.account = case, plain, thread.account
        self.lots = {one.symbol: exact(one.lot) for one in case.instruments}
        self.symbol_of = {one.order_id: one.symbol for one in plain.kept if isinstance(one, Intended)}
        self.found: list[str] = []
        # Where notionals are not whole units of money on the way, the engine's float64 product may round to the other side
        # (a half, or an odd price): then each fill may be a unit off. On other grids money is the same to the unit.
        coarse = all(one.tick is not None and exact(one.tick) * exact(one.lot) * MONEY >= 1 for one in case.instruments)
        self.slack = 0 if coarse else 2 + 2 * sum(isinstance(one, Filled) for one in plain.kept)

    def all(self) -> list[str]:
        """Every difference, in words."""
        kept = list(self.account.kept)
        self.pairs("intent", self.of(Intended), [one for one in kept if isinstance(one, Intent)], self.intent)
        self.pairs("refusal", self.of(Turned), [one for one in kept if isinstance(one, Refused)], self.refusal)
        self.pairs("fill", self.of(Filled), [one for one in kept if isinstance(one, Fill)], self.fill)
        ended = sorted((one for one in kept if isinstance(one, OrderEnded)), key=lambda one: (one.time, one.order_id))
        self.pairs("end", sorted(self.of(Ended)), ended, self.end)
        self.pairs("trade", self.of(Round), [one for one in kept if isinstance(one, Trade)], self.trade)
        changes = {one.time: one for one in kept if isinstance(one, RiskChanged)}  # the strictest of a step comes last
        self.pairs("state", self.of(Stricter), list(changes.values()), self.state)
        charged = sorted((one for one in kept if isinstance(one, Charged)), key=lambda one: (one.time, one.kind, one.symbol))
        self.pairs("charge", sorted(self.of(Charge), key=lambda one: (one.time, one.kind, one.symbol)), charged, self.charge)
        asked = [one for one in self.of_asked() if one[2] == "cancel"]
        self.pairs("cancel", asked, [one for one in kept if isinstance(one, CancelAsked)], self.cancel)
        self.money()
        return self.found

    def of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.plain.kept if isinstance(one, kind)]

    def of_asked(self) -> list[Any]:
        return [one for one in self.plain.kept if type(one).__name__ == "Asked"]

    def pairs(self, name: str, plain: Sequence[Any], engine: Sequence[Any], same: Any) -> None:
        for at, (one, other) in enumerate(zip(plain, engine, strict=False)):
            if wrong := [word for word, fits in same(one, other).items() if not fits]:
                self.found.append(f"{name} {at}: {', '.join(wrong)}\n    plain  {one}\n    engine {other}")
        if len(plain) != len(engine):
            at = min(len(plain), len(engine))
            self.found.append(f"{name}s: plain {len(plain)}, engine {len(engine)}; {[*plain[at:], *engine[at:]]}")

    def quantity(self, symbol: str, lots: int, got: float) -> bool:
        return isclose(float(lots * self.lots[symbol]), got, rel_tol=1e-12)

    def average(self, expected: Fraction, got: float, quantity: float) -> bool:
        """An average price: as exact as the money that it was made of."""
        return near(got, expected) or abs(float(expected) - got) * quantity * MONEY <= self.slack + 0.5

    def same(self, expected: int, got: float) -> bool:
        """Money."""
        return abs(expected - units(got)) <= self.slack

    # By kind of event. Each gives what was compared, and whether it is the same.

    def intent(self, one: Intended, other: Intent) -> dict[str, bool]:
        order = other.order
        trails = order.kind is OrderKind.TRAILING_STOP
        return {
            "time": one.time == other.time == order.created_time,
            "id": one.order_id == order.id,
            "what": (one.symbol, one.kind, one.parent) == (order.symbol, order.kind, order.parent),
            "side": (one.sign > 0) == (order.side == "buy"),
            "quantity": bool(one.parent) or self.quantity(one.symbol, one.lots, order.quantity),
            "limit": order.limit_price is None if one.limit is None else near(order.limit_price or 0.0, one.limit),
            "stop": trails or (order.stop_price is None if one.stop is None else near(order.stop_price or 0.0, one.stop)),
        }

    def refusal(self, one: Turned, other: Refused) -> dict[str, bool]:
        same = (one.time, one.symbol, one.side, one.quantity) == (other.time, other.symbol, other.side, other.quantity)
        return {"order": same, "reason": str(other.reason) in one.reasons}

    def fill(self, one: Filled, other: Fill) -> dict[str, bool]:
        return {
            "time": one.time == other.time,
            "order": (one.order_id, one.number, one.symbol) == (other.order_id, other.number, other.symbol),
            "side": (one.sign > 0) == (other.side == "buy"),
            "quantity": self.quantity(one.symbol, one.lots, other.quantity),
            "price": near(other.price, one.price),
            "fee": self.same(one.fee, other.fee),
            "maker": one.is_maker == other.is_maker,
        }

    def end(self, one: Ended, other: OrderEnded) -> dict[str, bool]:
        symbol = self.symbol_of.get(one.order_id)
        return {
            "time": one.time == other.time,
            "order": one.order_id == other.order_id,
            "state": one.state == other.state,
            "filled": symbol is None or self.quantity(symbol, one.filled, other.filled),
        }

    def trade(self, one: Round, other: Trade) -> dict[str, bool]:
        return {
            "symbol": one.symbol == other.symbol,
            "side": (one.sign > 0) == (other.side == "buy"),
            "quantity": self.quantity(one.symbol, one.lots, other.quantity),
            "times": (one.entry_time, one.exit_time) == (other.entry_time, other.exit_time),
            "prices": self.average(one.entry_price, other.entry_price, other.quantity)
            and self.average(one.exit_price, other.exit_price, other.quantity),
            "pnl": self.same(one.pnl, other.pnl),
            "fees": self.same(one.fees, other.fees),
            "mae": self.same(one.mae, other.mae),
            "mfe": self.same(one.mfe, other.mfe),
            "bars": one.bars_held == other.bars_held,
        }

    def state(self, one: Stricter, other: RiskChanged) -> dict[str, bool]:
        return {"time": one.time == other.time, "state": one.state == other.state, "equity": self.same(one.equity, other.equity)}

    def charge(self, one: Charge, other: Charged) -> dict[str, bool]:
        symbol = other.symbol if other.kind == "borrow" else ""
        return {
            "what": (one.symbol, one.kind, one.days) == (symbol, other.kind, other.days),
            "amount": self.same(one.amount, other.amount),
        }

    def cancel(self, one: Any, other: CancelAsked) -> dict[str, bool]:
        return {"time": one.time == other.time, "order": one.order_id == other.order_id}

    def money(self) -> None:
        final, plain = self.account.final, self.plain
        for name, got, expected in (
            ("cash", final.cash, plain.cash),
            ("equity", final.equity, plain.equity),
            ("realised", final.realised_pnl, plain.realised),
            ("fees", final.fees, plain.fees),
            ("financing", final.financing, plain.financing),
        ):
            if not self.same(expected, got):
                self.found.append(f"{name}: plain {expected}, engine {units(got)}")
        held = {one.symbol: one for one in final.positions() if one.quantity}
        if set(held) != set(plain.positions):
            self.found.append(f"positions: plain {plain.positions}, engine {held}")
        for symbol in set(held) & set(plain.positions):
            lots, cost = plain.positions[symbol]
            same = self.same(cost, held[symbol].average_price * held[symbol].quantity)
            if not (self.quantity(symbol, lots, held[symbol].quantity) and same):
                self.found.append(f"position: plain {symbol} {lots} lots for {cost}, engine {held[symbol]}")
        times, equity = self.account.points
        points = list(zip(times.tolist(), equity.tolist(), strict=True))
        same = [(one[0], self.same(one[1], other[1] / MONEY)) for one, other in zip(plain.points, points, strict=False)]
        if same != [(time, True) for time, _ in points] or len(points) != len(plain.points):
            differ = [pair for pair in zip(plain.points, points, strict=False) if pair[0] != pair[1]][:2]
            self.found.append(f"points: {len(plain.points)} and {len(points)}; plain and engine {differ}")


def differences(case: Case, window: int = 8, block: int = 5) -> list[str]:
    """How the engine's account differs from the plain one."""
    return Comparison(case, play(case), run_engine(case, window, block)).all()
