"""ADR 0007 a second time: plain, slow and exact, written from its text alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import cast

from stratd.execution.rules import AtEnd, FillRule
from stratd.model import MINUTE_NS, OrderKind, OrderRequest, Refusal, Side, TimeInForce
from stratd.testing.bars import BarRow

from .plain_book import Book, Holding
from .plain_matching import BarMatch
from .plain_numbers import exact, money, to_lots
from .plain_order import Entry, PlainOrder, sign_of
from .plain_risk import PlainRisk
from .plain_types import (
    Action,
    Amend,
    Asked,
    Cancel,
    Case,
    Charge,
    Ended,
    Filled,
    Intended,
    Outcome,
    Place,
    PlainEvent,
    Stricter,
    Turned,
)
from .reference import DAY, Listed, expect


class PlainAccount:
    """One account and its strategy's script, step by step."""

    def __init__(self, case: Case) -> None:
        self.case, self.rules = case, case.rules
        instruments = {one.symbol: one for one in case.instruments}
        self.listed = {one.symbol: one for one in case.listed}
        capital = money(exact(case.rules.allocated_capital))
        self.book = Book(capital, case.rules.lots, {symbol: Holding(one) for symbol, one in instruments.items()})
        self.risk = PlainRisk(case.limits, capital, case.rules.leverage, case.rules.allow_short)
        self.latency = round(exact(case.rules.latency_seconds) * 1_000_000_000)
        self.kept: list[PlainEvent] = []
        self.orders: list[PlainOrder] = []
        self.risk.orders = self.orders
        self.given: list[int] = []  # ids in the strategy's hands
        self.untold: list[Filled] = []
        self.charged_day: int | None = None
        self.matches: dict[str, BarMatch] = {}
        self.seen: dict[str, Fraction] = {}  # last closes that the strategy can see
        self.seen_at: dict[str, int] = {}
        self.events = self.fills = 0
        self.now = 0
        self.touched: dict[str, int] = {}  # symbols of orders and refusals, and when the first of them was
        self.has_acted = False

    # The session.

    def run(self) -> Outcome:
        """Play the whole case."""
        found = expect(self.case.rows, self.case.listed, sorted({1, *self.case.minutes}))
        own: dict[int, list[tuple[str, Fraction]]] = {}  # the strategy's events: symbol and close
        for key, what, body in found.events:
            if what == "bar" and body[1] in self.case.minutes:
                symbol, _, bar = cast(tuple[str, int, tuple[float, ...]], body)
                own.setdefault(key[0], []).append((symbol, exact(bar[5])))
        steps: dict[int, list[BarRow]] = {}
        for listed in self.case.listed:
            for row in found.used[listed.symbol].values():
                steps.setdefault(row.open_time + MINUTE_NS, []).append(row)
        outcome = Outcome()
        for time in sorted({*steps, *own}):
            self.now = time
            equity = self.step(time, steps.get(time, []), own.get(time, []))
            if time in own and self.has_acted:
                outcome.points.append((time, equity))
        self.finish()
        book = self.book
        outcome.kept = self.kept
        outcome.positions = {name: (one.lots, one.cost) for name, one in book.holdings.items() if one.lots}
        outcome.cash, outcome.equity = book.cash, book.equity
        outcome.realised, outcome.fees, outcome.financing = book.realised, book.fees, book.financing
        return outcome

    def step(self, time: int, bars: Sequence[BarRow], events: Sequence[tuple[str, Fraction]]) -> int:
        """Rule 3 of Time. Gives the equity at the marks: what fills where it was decided is told with the next step."""
        self.expire(time - MINUTE_NS)  # sessions that ended before this minute
        if bars:
            self.new_day(bars, time)
        for bar in bars:
            self.apply_changes(bar, time)
            match = self.matches[bar.symbol] = BarMatch(self, bar, time, exact(self.book.holdings[bar.symbol].instrument.lot))
            match.run()
            if self.rules.fill is FillRule.CLOSE:
                match.at_close(lambda order, opened=bar.open_time: order.created < time and order.eligible <= opened)
        for bar in bars:
            self.book.mark(bar)
        if bars and self.risk.watch(time, time - MINUTE_NS, self.book):
            self.keep(Stricter(time, self.risk.state, self.book.equity))
            if self.risk.state == "halted":
                for order in self.all_working():
                    self.end(order, "cancelled", time)
        self.expire(time)
        equity = self.book.equity
        for symbol, close in events:
            self.tell_fills()  # the rows of this step are not visible in it
            self.seen[symbol], self.seen_at[symbol] = close, time
            self.act(self.case.script, self.events)
            self.events += 1
        if self.rules.fill is FillRule.CLOSE:
            for order in [one for one in self.all_working() if one.decided_at is not None]:
                self.fill_where_decided(order, time)
        return equity

    def fill_where_decided(self, order: PlainOrder, time: int) -> None:
        """`fill: close`: at the close of the bar that the strategy has just seen."""
        assert order.decided_at is not None
        match = self.matches[order.symbol]
        if match.close_time != time:  # a longer bar closed, and no 1m bar with it
            close = float(order.decided_at)
            bar = BarRow(order.symbol, time - MINUTE_NS, close, close, close, close, 0.0)
            match = BarMatch(self, bar, time, exact(order.instrument.lot))
            match.left = None
        before = self.book.holdings[order.symbol].trip
        match.at_close(lambda one: one is order)
        order.decided_at = None
        trip = self.book.holdings[order.symbol].trip
        if trip is not None and trip is not before:
            trip.bars = 0  # it was not held before that bar had closed

    def finish(self) -> None:
        """The end of the session."""
        if self.rules.at_end is AtEnd.CLOSE:
            self.close_all()
        self.tell_fills()

    def close_all(self) -> None:
        for order in self.all_working():
            self.end(order, "cancelled", self.now)
        for symbol, since in self.touched.items():  # in which order is not said
            holding = self.book.holdings[symbol]
            if holding.lots:
                match = self.matches[symbol]
                if match.close_time < since:  # a bar that was not followed has no range
                    close = match.bar.close
                    match.bar = match.bar._replace(open=close, high=close, low=close)
                match.left = None
                side = Side.SELL if holding.lots > 0 else Side.BUY
                size = abs(holding.lots) * exact(holding.instrument.lot)
                order = self.make(OrderRequest(symbol=symbol, side=side, quantity=float(size), reduce_only=True))
                self.intend(order)
                match.phase, match.close_time = "close", self.now
                match.take(order, match.close, "close", slips=True)

    # The strategy.

    def tell_fills(self) -> None:
        untold, self.untold = self.untold, []
        for _ in untold:
            self.act(self.case.on_fill, self.fills)
            self.fills += 1

    def act(self, script: Iterable[tuple[int, tuple[Action, ...]]], number: int) -> None:
        for at, actions in script:
            for action in actions if at == number else ():
                if isinstance(action, Place):
                    self.place(action.request)
                elif self.given:
                    order = next(one for one in self.orders if one.id == self.given[action.pick % len(self.given)])
                    if isinstance(action, Cancel):
                        self.cancel(order)
                    else:
                        self.amend(order, action)

    def place(self, request: OrderRequest) -> None:
        self.has_acted = True
        reasons = self.risk.reasons(request, self.now, self.book, self.last_prices(), self.all_working())
        if not reasons & {Refusal.NO_PRICE, Refusal.SYMBOL}:
            self.touched.setdefault(request.symbol, self.now)
        if reasons:
            self.keep(Turned(self.now, request.symbol, request.side, request.quantity, frozenset(map(str, reasons))))
            return
        self.risk.accept(self.now)
        order = self.make(request)
        self.intend(order)
        wanted = ((OrderKind.STOP, request.stop_loss_price), (OrderKind.LIMIT, request.take_profit_price))
        for kind, price in wanted:
            if price is not None:
                side = Side.SELL if request.side is Side.BUY else Side.BUY
                stop, limit = (price, None) if kind is OrderKind.STOP else (None, price)
                child = OrderRequest(
                    symbol=request.symbol, side=side, quantity=request.quantity, kind=kind, stop_price=stop, limit_price=limit
                )
                order.children.append(self.make(child, order))
                self.intend(order.children[-1])

    def last_prices(self) -> dict[str, Fraction]:
        """The last 1m close of what the account has had an order for, else the last close that the strategy can see."""
        closes = {symbol: self.book.holdings[symbol].close for symbol in self.touched}
        return {**self.seen, **{symbol: close for symbol, close in closes.items() if close is not None}}

    def make(self, request: OrderRequest, parent: PlainOrder | None = None) -> PlainOrder:
        instrument, sign = self.book.holdings[request.symbol].instrument, sign_of(request.side)
        is_day = request.time_in_force is TimeInForce.DAY
        order = PlainOrder(
            len(self.orders) + 1,
            request,
            instrument,
            sign,
            request.kind,
            to_lots(request.quantity, instrument),
            self.now,
            self.now + self.latency,
            session_end(self.listed[request.symbol], self.now) if is_day else None,
            parent is not None or request.reduce_only or (sign < 0 and not self.rules.allow_short),
            parent=parent,
        )
        if self.rules.fill is FillRule.CLOSE and request.kind is OrderKind.MARKET and not self.latency:
            order.decided_at = self.seen[request.symbol] if self.seen_at.get(request.symbol) == self.now else None
        if not self.all_working() and not any(one.lots for one in self.book.holdings.values()):
            self.charged_day = self.now // DAY
        self.orders.append(order)
        self.given.append(order.id)
        return order

    def cancel(self, order: PlainOrder) -> None:
        if not order.works:
            return
        self.keep(Asked(self.now, order.id, "cancel"))
        if self.latency:
            order.waiting.append((self.now + self.latency, lambda: self.end(order, "cancelled", self.now)))
        else:
            self.end(order, "cancelled", self.now)

    def amend(self, order: PlainOrder, action: Amend) -> None:
        has_limit, has_stop = order.limit is not None, order.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT)
        limit = order.rounded_limit(action.limit_price) if has_limit else None
        stop = order.rounded_stop(action.stop_price) if has_stop else None
        quantity = action.quantity if order.parent is None and not order.request.oco else None
        if not order.works or (limit is None and stop is None and quantity is None):
            return
        self.keep(Asked(self.now, order.id, "amend"))

        def change() -> None:
            order.limit = limit if limit is not None else order.limit
            order.stop = stop if stop is not None else order.stop
            if quantity is not None:
                order.lots = to_lots(quantity, order.instrument)
                if order.rest <= 0:
                    self.end(order, "cancelled", self.now)

        if self.latency:
            order.waiting.append((self.now + self.latency, change))
        else:
            change()

    # Orders.

    def keep(self, event: PlainEvent) -> None:
        self.kept.append(event)

    def intend(self, order: PlainOrder) -> None:
        lots, parent = (order.lots, 0) if order.parent is None else (0, order.parent.id)
        trails = order.kind is OrderKind.TRAILING_STOP
        prices = (order.limit, None if trails else order.stop)
        self.keep(Intended(self.now, order.id, order.symbol, order.sign, str(order.kind), lots, *prices, parent))

    def all_working(self) -> list[PlainOrder]:
        return [order for order in self.orders if order.works]

    def working(self, symbol: str) -> list[PlainOrder]:
        return [order for order in self.all_working() if order.symbol == symbol]

    def closable(self, order: PlainOrder) -> int:
        """Lots of the position that an order could take off."""
        return max(0, -self.book.holdings[order.symbol].lots * order.sign)

    def apply_changes(self, bar: BarRow, time: int) -> None:
        for order in self.working(bar.symbol):
            due = [change for at, change in order.waiting if at <= bar.open_time]
            order.waiting = [(at, change) for at, change in order.waiting if at > bar.open_time]
            for change in due:
                if order.works:
                    change()

    def expire(self, until: int) -> None:
        for order in self.all_working():
            if order.works and order.deadline is not None and order.deadline <= until:
                self.end(order, "expired", order.deadline)

    def end(self, order: PlainOrder, state: str, time: int) -> None:
        if not order.works:
            return
        order.state = state
        self.keep(Ended(time, order.id, state, order.filled))
        for child in order.children:
            if child.works and order.filled == 0:
                self.end(child, "cancelled", time)
            elif child.works and child.rest <= 0:
                self.end(child, "filled" if child.taken == 0 else "cancelled", time)
        self.drop_idle(order.symbol, time)

    def drop_idle(self, symbol: str, time: int) -> None:
        """Reduce-only orders that have nothing to reduce."""
        for order in self.working(symbol):
            if order.works and order.reduces and not self.closable(order) and not self.may_grow(order):
                self.end(order, "cancelled", time)

    def may_grow(self, order: PlainOrder) -> bool:
        """Whether it is the child of an entry that works yet."""
        return order.parent is not None and order.parent.works

    def fill(self, order: PlainOrder, lots: int, price: Fraction, time: int, bar: BarRow, entry: Entry, is_maker: bool) -> None:
        fee = money(order.fee(lots, price, is_maker, self.rules))
        order.filled += lots
        order.fills += 1
        filled = Filled(time, order.id, order.fills, order.symbol, order.sign, lots, price, fee, is_maker)
        self.keep(filled)
        self.untold.append(filled)
        for ended in self.book.fill(order.symbol, order.sign * lots, price, fee, time, bar, entry.how == "open"):
            self.keep(ended)
        for child in order.children:
            if child.works and (child.entry is None or entry.phase != "open"):
                is_first = child.entry is None or child.entry.bar != entry.bar
                child.late = lots + (0 if is_first else child.late)
                child.entry = entry
        if order.rest <= 0 and not self.may_grow(order):
            self.end(order, "filled", time)
        for other in self.group(order):
            other.taken += lots
            if other.rest <= 0 and not self.may_grow(other):
                self.end(other, "cancelled", time)
        self.drop_idle(order.symbol, time)

    def group(self, order: PlainOrder) -> list[PlainOrder]:
        name = order.request.oco
        if order.parent is not None:
            return [other for other in order.parent.children if other is not order and other.works]
        return [other for other in self.all_working() if name and other is not order and other.request.oco == name]

    # Time.

    def new_day(self, bars: Sequence[BarRow], time: int) -> None:
        """Charges, and the day's start of the daily loss."""
        day = (time - MINUTE_NS) // DAY
        if day > self.risk.day:
            self.risk.day, self.risk.day_start = day, self.book.equity
        holdings = self.book.holdings
        if not any(holdings[bar.symbol].lots or self.working(bar.symbol) for bar in bars):
            return
        last, self.charged_day = self.charged_day, day
        days = 0 if last is None else day - last
        if days <= 0:
            return
        for symbol, holding in holdings.items():
            if holding.lots < 0:
                self.charge(symbol, abs(holding.value), self.rules.borrow_rate, "borrow", days)
        self.charge("", max(0, -self.book.cash), self.rules.financing_rate, "financing", days)

    def charge(self, symbol: str, base: int, rate: float, kind: str, days: int) -> None:
        amount = round(base * exact(rate) * days / 365)
        if amount:
            self.book.charge(symbol, amount)
            self.keep(Charge(self.now, symbol, amount, kind, days))


def session_end(listed: Listed, time: int) -> int:
    """Close of the session in which `time` lies, else of the next one."""
    session = listed.session(time)
    if session is not None:
        return session[1]
    following = listed.session(min(phase.open for phase in listed.phases if phase.open > time))
    assert following is not None
    return following[1]


def play(case: Case) -> Outcome:
    """What becomes of a case."""
    return PlainAccount(case).run()
