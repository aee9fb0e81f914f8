"""One bar of ADR 0007, order by order and phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import floor
from typing import Protocol

from stratd.execution.rules import AccountRules, FillRule, Intrabar, LimitFill
from stratd.model import OrderKind, TimeInForce
from stratd.testing.bars import BarRow

from .plain_numbers import exact
from .plain_order import AT_ONCE, Entry, PlainOrder


class Account(Protocol):
    """What matching needs of the account."""

    rules: AccountRules

    def working(self, symbol: str) -> list[PlainOrder]: ...
    def closable(self, order: PlainOrder) -> int: ...
    def end(self, order: PlainOrder, state: str, time: int) -> None: ...
    def fill(
        self, order: PlainOrder, lots: int, price: Fraction, time: int, bar: BarRow, entry: Entry, is_maker: bool
    ) -> None: ...


class BarMatch:
    """Matches one symbol's orders against one of its bars."""

    def __init__(self, account: Account, bar: BarRow, close_time: int, lot: Fraction) -> None:
        self.account, self.rules, self.bar, self.close_time = account, account.rules, bar, close_time
        self.touch = self.rules.limit_fill is LimitFill.TOUCH
        self.optimistic = self.rules.intrabar is Intrabar.OPTIMISTIC
        self.open, self.close = exact(bar.open), exact(bar.close)
        self.done: set[tuple[int, bool]] = (
            set()
        )  # orders that this bar has given all it gives them; True: what they got in it, too
        self.spare = 0  # lots that the phase is not for
        self.left: int | None = None  # lots that may still be filled
        if self.rules.participation is not None:
            self.left = floor(exact(self.rules.participation) * exact(bar.volume) / lot)
        self.phase = "open"

    def run(self) -> None:
        """All phases. Market orders that fill at closes come last, in `at_close`."""
        for order in self.each(lambda order: not self.is_new(order) and order.eligible <= self.bar.open_time):
            self.at_open(order)
        phases = ("limits", "stops") if self.optimistic else ("stops", "limits")
        for phase in phases:
            self.within(phase, late=False)
        for phase in phases:
            self.within(phase, late=True)

    def each(self, chosen: Callable[[PlainOrder], bool]) -> Iterator[PlainOrder]:
        """Chosen orders that work, by age; those that join meanwhile, too."""
        last = 0
        while True:
            after = [
                order
                for order in self.account.working(self.bar.symbol)
                if order.id > last and not order.is_held and order.rest > 0
            ]
            order = min((order for order in after if chosen(order)), key=lambda order: order.id, default=None)
            if order is None:
                return
            last = order.id
            yield order

    def is_new(self, order: PlainOrder) -> bool:
        """Whether it was activated within this bar."""
        return order.entry is not None and order.entry.bar == self.bar.open_time

    def is_late(self, order: PlainOrder) -> bool:
        """Whether it was activated in phase 2, or, where that comes first, in 1 or 2: it has phases 3 and 4."""
        late = ("limits", "stops") if self.optimistic else ("limits",)
        return order.entry is not None and self.is_new(order) and order.entry.phase in late

    def within(self, phase: str, *, late: bool) -> None:
        """A phase within the bar; `late` for phases 3 and 4, for what was given to children in the meantime."""
        self.phase = phase
        for order in self.each(lambda order: order.eligible <= self.bar.open_time):
            if (order.id, late) in self.done or (late and not self.is_late(order)):
                continue
            self.spare = 0
            if not late and self.is_late(order):
                self.spare = order.late
                if order.rest <= order.late:
                    continue
            elif self.is_new(order):
                self.child(order)
                continue
            if phase == "stops":
                self.stops(order)
            else:
                self.limits(order)

    # The phases.

    def at_open(self, order: PlainOrder) -> None:
        kind, price = order.kind, self.open
        if kind is OrderKind.MARKET:
            if self.rules.fill is FillRule.CLOSE:
                return
            self.take(order, price, "open", slips=True)
        elif kind is OrderKind.LIMIT:
            assert order.limit is not None
            if order.meets(price, order.limit):
                self.take(order, price, "open", slips=False)
        elif kind is OrderKind.STOP_LIMIT:
            assert order.limit is not None
            assert order.stop is not None
            triggers = not order.reached and order.reaches(price, order.stop)
            order.reached |= triggers
            if order.reached and order.meets(price, order.limit):
                self.take(order, price, "open", slips=triggers)
        else:
            if kind is OrderKind.TRAILING_STOP and not order.reached:
                order.follow(price)
            assert order.stop is not None
            if order.reached or order.reaches(price, order.stop):
                order.reached = True
                self.take(order, price, "open", slips=True)
        if order.works and order.request.time_in_force in AT_ONCE:
            self.account.end(order, "cancelled", self.close_time)

    def stops(self, order: PlainOrder) -> None:
        if order.reached or order.stop is None:
            return
        if order.kind is OrderKind.TRAILING_STOP:
            reached = order.reaches(order.worst(self.bar), order.stop)
            if not reached:
                order.follow(order.best_of(self.bar))
                reached = order.reaches(self.close, order.stop)
            if reached:
                order.reached = True
                self.take(order, order.stop, "stop", slips=True)
        elif order.reaches(order.worst(self.bar), order.stop):
            order.reached = True
            if order.kind is OrderKind.STOP:
                self.take(order, order.stop, "stop", slips=True)
                return
            assert order.limit is not None
            order.passed_by = self.bar.open_time
            if order.meets(order.stop, order.limit):
                self.take(order, order.stop, "stop", slips=True)
            elif order.beyond(self.close, order.limit, self.touch):
                self.take(order, order.limit, "limit", slips=False)

    def limits(self, order: PlainOrder) -> None:
        if order.limit is None or order.passed_by == self.bar.open_time:
            return
        if order.kind is OrderKind.STOP_LIMIT and not order.reached:
            return
        if order.beyond(order.best_of(self.bar), order.limit, self.touch):
            self.take(order, order.limit, "limit", slips=False, is_maker=True)

    def child(self, order: PlainOrder) -> None:
        """One that was activated in this bar: judged by what is certain."""
        entry = order.entry
        assert entry is not None
        at_open = entry.how == "open"
        if order.kind is OrderKind.STOP and self.phase == "stops":
            assert order.stop is not None
            if order.reached or order.reaches(entry.price, order.stop):
                order.reached = True
                self.take(order, entry.price, "open" if at_open else "stop", slips=True)
                return
            seen = self.close if self.optimistic and not at_open else order.worst(self.bar)
            if order.reaches(seen, order.stop):
                order.reached = True
                self.take(order, order.stop, "stop", slips=True)
        elif order.kind is OrderKind.LIMIT and self.phase == "limits":
            assert order.limit is not None
            if order.meets(entry.price, order.limit):
                self.take(order, entry.price, "open" if at_open else "limit", slips=False)
                return
            certain = self.optimistic or entry.how != "limit"
            seen = order.best_of(self.bar) if certain else self.close
            if order.beyond(seen, order.limit, self.touch):
                self.take(order, order.limit, "limit", slips=False, is_maker=True)

    def at_close(self, chosen: Callable[[PlainOrder], bool]) -> None:
        """`fill: close`: market orders fill at the close."""
        self.phase, self.spare = "close", 0
        for order in self.each(lambda order: order.kind is OrderKind.MARKET and chosen(order)):
            self.take(order, self.close, "close", slips=True)
            if order.works and order.request.time_in_force in AT_ONCE:
                self.account.end(order, "cancelled", self.close_time)

    def take(self, order: PlainOrder, base: Fraction, how: str, *, slips: bool, is_maker: bool = False) -> None:
        """Fill as much as the bar and the position have left."""
        lots = order.rest - self.spare
        self.spare, spared = 0, self.spare
        if order.reduces:
            lots = min(lots, self.account.closable(order))
        wanted = lots
        if self.left is not None:
            lots = min(lots, self.left)
        if lots <= 0 or (order.request.time_in_force is TimeInForce.FOK and lots < wanted):
            return
        self.done |= {(order.id, False)} if spared else {(order.id, False), (order.id, True)}
        if self.left is not None:
            self.left -= lots
        time = self.bar.open_time if how == "open" else self.close_time
        price = order.price(base, slips, self.rules, self.bar)
        entry = Entry(base, how, self.bar.open_time, self.phase)
        self.account.fill(order, lots, price, time, self.bar, entry, is_maker)
