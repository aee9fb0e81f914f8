"""Account: one strategy's orders, positions, money and risk state, moved by kernels along the log."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stratd.data.event_log import Segment
from stratd.data.session_data import Frame
from stratd.errors import DataError
from stratd.execution import stepping
from stratd.execution.account_journal import AccountJournal, Past, pack_state, unpack_state
from stratd.execution.costs import on_grid
from stratd.execution.entry import EQUITY, LOTS, ROWS, TABLE_CELLS, advance_at, follow_at, note_addresses, stand_at, submit_at
from stratd.execution.matching import end_order
from stratd.execution.records import (
    END_REASONS,
    KINDS,
    STATES,
    TIMES_IN_FORCE,
    TRADING_STATES,
    Decoder,
    Event,
    given,
    ledger_bytes,
    units,
)
from stratd.execution.rules import AccountRules, AtEnd
from stratd.execution.stepping import first_after
from stratd.execution.terms import TradingTerms
from stratd.model import (
    MONEY,
    Order,
    OrderKind,
    OrderRequest,
    Position,
    Refusal,
    RiskRefused,
    Side,
    TimeInForce,
    TradingState,
)
from stratd.portfolio import cells as c
from stratd.portfolio.ledger import new_record
from stratd.portfolio.performance import Performance
from stratd.portfolio.portfolio import Portfolio
from stratd.portfolio.scorecard import Scorecard
from stratd.risk.checks import REASONS, check_amendment, tighten, whole_lots
from stratd.risk.limits import RiskLimits

_KIND_CODES: Final = {kind: code for code, kind in enumerate(KINDS)}
_TIF_CODES: Final = {tif: code for code, tif in enumerate(TIMES_IN_FORCE)}
_NAN: Final = float("nan")
# Of one account, before they are given away: giving away a few at a time would cost more than they did.
_KEPT_RECORDS: Final = 1_024
_KEPT_POINTS: Final = 4_096
_BIG_RECORDS: Final = 4_096  # rows of records that are held before they are taken away
_SIDES: Final = {1: Side.BUY, -1: Side.SELL}


def load_kernels() -> None:
    """Load what accounts call, so that no order waits for a compiler."""
    for one in (
        submit_at,
        follow_at,
        advance_at,
        stand_at,
        note_addresses,
        stepping.close_out,
        stepping.mark_new,
        first_after,
        end_order,
        new_record,
        check_amendment,
        whole_lots,
        on_grid,
        tighten,
        stepping.cancel_all,
        stepping.drop_taken,
    ):
        one.load()


class Window(Protocol):
    """The part of the log that the strategy's thread is in."""

    def account_window(self) -> tuple[Segment, int, int, Frame, NDArray[np.int64], int, bool]:
        """Segment, first entry, one past the last published entry, frame, event times, number of events, whether they are all of the entries'."""
        ...


class Account:
    """One strategy's account.

    It costs nothing until the first order: tables are made then. From there on it follows the log, in `advance`.

    Thread safety: belongs to its strategy's thread, like the strategy. Others read `counts` and `trading_state`, plain numbers of one cell each,
    and set `closed_by`, which the next order reads. With a book, the data-processor works on it between steps (ADR 0010).

    Attributes:
        closed_by: why no new order is let through (the journal, the session, the kill switch); None while they are.
        kept: what happened so far, if it is to be kept.
        scorecard: what the account's figures are made of.
        journal: where both are recorded; None where nothing is.
        idle_steps: steps of the strategy up to its first order.
        stopped_by: why nothing can be recorded any more; None while it can.
        gave_up: why the strategy has ended before the log did, in words; it goes with the last checkpoint. "" while it has not.
    """

    __slots__ = (
        "_addresses",
        "_advance",
        "_args",
        "_closed_by",
        "_days",
        "_decoder",
        "_digest",
        "_events",
        "_follow",
        "_groups",
        "_idle_until",
        "_joined",
        "_keep",
        "_kinds",
        "_limits",
        "_name",
        "_own",
        "_places",
        "_rules",
        "_segment",
        "_stand",
        "_submit",
        "_terms",
        "_told",
        "_tradable",
        "_window",
        "active",
        "cells",
        "event_points",
        "first_time",
        "gave_up",
        "held",
        "idle_steps",
        "journal",
        "kept_events",
        "kill_asked",
        "killed",
        "order_floats",
        "orders",
        "place_of",
        "points_table",
        "position_floats",
        "positions",
        "records",
        "refused_before",
        "rules",
        "scorecard",
        "silent",
        "stopped_by",
    )

    def __init__(
        self,
        name: str,
        prefix: str,
        rules: AccountRules,
        limits: RiskLimits,
        terms: TradingTerms,
        tradable: Sequence[int],
        own: NDArray[np.uint8],
        window: Window,
        *,
        keep: bool = False,
        told: Collection[int] = (),
    ) -> None:
        """Args:
        prefix: of client order ids.
        tradable: indices of the symbols that the strategy reads.
        own: uint8[streams of the log], 1 for the bars that it is notified of.
        keep: whether events and equity points are kept in memory.
        told: kinds of records that the strategy wants to hear of. If none, it is only moved when it acts or looks.
        """
        self._name = name
        self._decoder = Decoder(prefix, terms.symbols, terms.instruments)
        self.rules = rules
        self._limits = limits
        self._terms = terms
        self._tradable = tuple(tradable)
        self._own = own
        self._window = window
        self._keep = keep
        self._kinds = tuple(told)
        self.silent = not told
        self.active = False
        self._closed_by: Refusal | None = None
        self.killed = False  # the kill switch is thrown
        self.kill_asked = False  # and open orders are to be cancelled for it
        self._joined: tuple[NDArray[np.int64], bool] | None = None
        self.kept_events: list[Event] = []
        self.event_points: list[NDArray[np.int64]] = []
        self.scorecard = Scorecard(round(rules.allocated_capital * MONEY), terms.day_starts(self._tradable))
        self.journal: AccountJournal | None = None
        self.stopped_by: str | None = None
        self.gave_up = ""
        self.refused_before: dict[Refusal, int] | None = None
        self._digest: Any = None
        self._groups: dict[str, int] | None = None
        self._places: dict[int, int] | None = None
        self._segment: Segment | None = None
        self._told = 0
        self._events = 0
        self._args: tuple[Any, ...] = ()
        self.first_time = 0
        self.idle_steps = 0
        self._idle_until = -1

    # Orders.

    def submit(
        self, request: OrderRequest, symbol: int, time: int, first_event: int, last: float, last_is_now: bool
    ) -> int | RiskRefused:
        """Check an order, and take it in.

        Args:
            symbol: index of the request's symbol.
            time: close time of the event at which it was decided.
            first_event: index of the window's event after that.
            last: last price; NaN if there is none yet.
            last_is_now: whether it is the close of a bar that closed at `time`.

        Returns:
            Its id, or why it was refused.
        """
        side = 1 if request.side is Side.BUY else -1
        return self.place(
            symbol,
            side,
            _KIND_CODES[request.kind],
            _TIF_CODES[request.time_in_force],
            request.quantity,
            self.rounded(symbol, request.limit_price, side < 0),
            self.rounded(symbol, request.stop_price, side > 0),
            _NAN if request.trail_amount is None else request.trail_amount,
            _NAN if request.trail_fraction is None else request.trail_fraction,
            c.REDUCES if request.reduce_only else 0,
            self._group(request.oco) if request.oco else 0,
            self._terms.day_end(symbol, time) if request.time_in_force is TimeInForce.DAY else c.NEVER,
            # A child's side is the other one: a stop that sells goes down, a limit that sells up.
            self.rounded(symbol, request.stop_loss_price, side < 0),
            self.rounded(symbol, request.take_profit_price, side > 0),
            time,
            first_event,
            last,
            last_is_now,
        )

    def place(
        self,
        symbol: int,
        side: int,
        kind: int,
        tif: int,
        quantity: float,
        limit: float,
        stop: float,
        amount: float,
        fraction: float,
        flags: int,
        group: int,
        expires: int,
        stop_loss: float,
        take_profit: float,
        time: int,
        first_event: int,
        last: float,
        last_is_now: bool,
    ) -> int | RiskRefused:
        """`submit` in the kernels' terms: codes, flags (REDUCES, CLEARS), NaN for prices that it has not, prices on the grid."""
        if not self.active:
            self._activate(time)
        places = self._places
        assert places is not None  # made with the tables
        p = places.get(symbol)
        is_new = False
        if self.kill_asked:
            self._obey_kill_switch(time)
        if p is None or self.killed or self._closed_by is not None:
            reason = self.closed_by
            if reason is None and (symbol not in self._tradable or not self._is_allowed(symbol)):
                reason = Refusal.SYMBOL
            elif reason is None and self._terms.instruments[symbol].quote != self._terms.instruments[self._tradable[0]].quote:
                reason = Refusal.CURRENCY  # an account adds up one currency: that of the first symbol that it reads
            elif reason is None and last != last:
                reason = Refusal.NO_PRICE
            if reason is not None:
                return self._refuse_at(reason, symbol, side, quantity, time)
            p = self._add_place(symbol, last, time)
            is_new = True
        while True:
            number: int = self._submit(
                self._addresses, first_event, time, p, side, kind, tif, quantity, limit, stop, amount, fraction, flags, group,
                expires, stop_loss, take_profit, last, last_is_now,
            )  # fmt: skip
            if number >= 0:
                break
            self._make_room()
        if is_new:
            self._mark(p, time)
        return number or self._refuse(REASONS[self.cells.item(c.X_REFUSAL) - 1])

    def follow(
        self, symbol: int, side: int, quantity: float, time: int, first_event: int, last: float, last_is_now: bool
    ) -> int | RiskRefused | None:
        """`place` for what most signals come to, in one call of a kernel: a market order of `quantity` units (`side` 1 or -1) where nothing
        is held, or one that leaves (`side` 0) what is held.

        Returns:
            As `place`; None where it is another case, and nothing has been done.
        """
        if not self.active or self.kill_asked or self.killed or self._closed_by is not None:
            return None
        number: int = self._follow(self._addresses, first_event, time, symbol, side, quantity, last, last_is_now)
        if number > 0:
            return number
        return None if number else self._refuse(REASONS[self.cells.item(c.X_REFUSAL) - 1])

    def cancel(self, order_id: int, time: int) -> bool:
        """Ask for an order to be cancelled. False if it works no more."""
        i = self._row(order_id, time)
        if i < 0:
            return False
        latency = int(self._args[9][c.K_LATENCY_NS])
        self._record(c.CANCEL, time, i)
        # What waits for the book has not been sent, so there is nothing to wait for.
        if latency and self.orders.item(i, c.O_STATE) != c.WAITING:
            self.orders[i, c.O_CANCEL_AT] = min(int(self.orders[i, c.O_CANCEL_AT]), time + latency)
        else:
            end_order(self.cells, self.orders, self.positions, self.records, i, c.CANCELLED, c.BY_STRATEGY, time)
        return True

    def cancel_all(self, time: int, reason: int, symbol: int | None = None) -> int:
        """Cancel what works, waits or is held, at once or when the request has arrived. Returns how many orders."""
        if not self.active:
            return 0
        self.sync(time)
        p = None if symbol is None or self._places is None else self._places.get(symbol)
        if symbol is not None and (p is None or not self.positions.item(p, c.P_WORKING)):
            return 0
        wanted = [
            row
            for row in self.orders[: self.cells.item(c.C_ORDERS)].tolist()
            if row[c.O_STATE] <= c.PARTIAL and (symbol is None or row[c.O_PLACE] == p)
        ]
        if reason == c.BY_STRATEGY:
            return sum(self.cancel(row[c.O_ID], time) for row in wanted)
        for row in wanted:
            self._room_for_one()
            i = self._row(row[c.O_ID], time)
            if i >= 0:
                end_order(self.cells, self.orders, self.positions, self.records, i, c.CANCELLED, reason, time)
        return len(wanted)

    def amend(
        self, order_id: int, time: int, quantity: float | None, limit_price: float | None, stop_price: float | None
    ) -> bool | RiskRefused:
        """Ask for an order to be changed. False if it works no more.

        Raises:
            ValueError: the order has no such price, or the quantity cannot be used.
        """
        i = self._row(order_id, time)
        if i < 0:
            return False
        row, floats = self.orders[i].tolist(), self.order_floats[i].tolist()
        symbol = self.positions.item(row[c.O_PLACE], c.P_SYMBOL)
        for name, price, held in (("limit_price", limit_price, floats[c.O_LIMIT]), ("stop_price", stop_price, floats[c.O_STOP])):
            if price is not None and (held != held or row[c.O_KIND] == c.TRAILING or not 0 < price < float("inf")):
                raise ValueError(f"order {order_id} cannot have {name} {price}: it is a {KINDS[row[c.O_KIND]]} order")
        if quantity is not None and not quantity > 0:
            raise ValueError(f"quantity must be a number above zero, not {quantity}")
        if quantity is not None and row[c.O_PARENT]:
            raise ValueError(f"order {order_id} is a bracket's child: it has the quantity that its entry has filled")
        lots = (
            row[c.O_LOTS] if quantity is None else int(whole_lots(quantity, self.position_floats.item(row[c.O_PLACE], c.P_LOT)))
        )
        side = row[c.O_SIDE]
        limit = floats[c.O_LIMIT] if limit_price is None else self.rounded(symbol, limit_price, side < 0)
        stop = floats[c.O_STOP] if stop_price is None else self.rounded(symbol, stop_price, side > 0)
        refusal = self.closed_by
        if refusal is None and self._joined is not None and lots > row[c.O_LOTS]:
            refusal = Refusal.BOOK  # it has decided on the lots that there were; more of them are another order
        if refusal is None and (row[c.O_STATE] != c.HELD or quantity is not None):
            code = check_amendment(
                self.cells,
                self.orders,
                self.order_floats,
                self.positions,
                self.position_floats,
                self._rules,
                i,
                lots,
                limit,
                stop,
            )
            refusal = REASONS[code - 1] if code else None
        if refusal is not None:
            given = row[c.O_LOTS] * self.position_floats.item(row[c.O_PLACE], c.P_LOT) if quantity is None else quantity
            return self._refuse_at(refusal, symbol, side, given, time, order_id)
        latency = int(self._args[9][c.K_LATENCY_NS])
        at = self._record(c.AMEND, time, i)
        self.records[at, c.R_LOTS] = lots
        floats_at = self.records.view(np.float64)[at]
        floats_at[c.R_PRICE], floats_at[c.R_F1] = limit, stop
        if not latency or row[c.O_STATE] == c.WAITING:  # what waits for the book has not been sent
            self.orders[i, c.O_LOTS] = lots
            self.order_floats[i, c.O_LIMIT], self.order_floats[i, c.O_STOP] = limit, stop
            if lots <= row[c.O_FILLED] and quantity is not None:
                end_order(self.cells, self.orders, self.positions, self.records, i, c.CANCELLED, c.BY_STRATEGY, time)
            return True
        j = self.cells.item(c.C_ORDERS)
        self.cells[c.C_ORDERS] = j + 1
        self.orders[j], self.order_floats[j] = 0, _NAN
        self.orders[j, c.O_ID], self.orders[j, c.O_PLACE], self.orders[j, c.O_STATE] = order_id, row[c.O_PLACE], c.CHANGING
        self.orders[j, c.O_ELIGIBLE] = time + latency
        self.orders[j, c.O_LOTS], self.orders[j, c.O_TAKEN] = -1 if quantity is None else lots, row[c.O_TAKEN]
        self.orders[j, c.O_SIDE], self.orders[j, c.O_REDUCE] = side, row[c.O_REDUCE]
        self.orders[j, c.O_MADE] = max(0, lots - row[c.O_LOTS])  # what it is to have more
        if limit_price is not None:
            self.order_floats[j, c.O_LIMIT] = limit
        if stop_price is not None:
            self.order_floats[j, c.O_STOP] = stop
        self.orders[i, c.O_CHANGES] += 1
        return True

    # Along the log.

    def open_window(self, first: int = 0) -> int:
        """A window of the strategy's thread begins, whose events from `first` on it is given.

        Returns:
            The index of the event at which it must be stopped.
        """
        self._bind()
        if self.kill_asked:
            self._obey_kill_switch(self.cells.item(c.C_TIME))
        if self.silent:
            return self._events  # it is brought on when the strategy acts or looks, and at the window's end
        if self.has_untold:
            # Told before the next step. A window may begin in mid-step, and then the strategy goes through the rest of its step first.
            return self.event_after(self.cells.item(c.C_TIME), first)
        return self.advance(-c.NEVER, first, ahead=True)

    def event_after(self, time: int, first_event: int) -> int:
        """Index of the window's first event after `time`, from `first_event` on; the number of events if there is none."""
        return int(first_after(self._args[20], first_event, self._events, time))

    def advance(self, time: int, first_event: int, *, ahead: bool) -> int:
        """Bring the account to `time`, and with `ahead` run on until the strategy must hear of something.

        Args:
            first_event: index of the first event that the strategy has not been given.

        Returns:
            The index of the event at which it must be stopped; the number of events if there is none in this window.
        """
        while True:
            taken = self.cells.item(c.X_TAKEN)
            self._advance(self._addresses, first_event, time, ahead)
            if taken and not self.cells.item(c.X_TAKEN):
                self._told = max(0, self._told - taken)
            if self.cells.item(c.X_STOPPED) != stepping.AT_ROOM or self.cells.item(c.X_AHEAD):
                return self.cells.item(c.X_EVENT)
            self._make_room()

    def sync(self, time: int) -> None:
        """Bring the account to the strategy's own event, if it has run ahead or stayed behind."""
        if self.cells.item(c.X_AHEAD) or self.cells.item(c.C_TIME) < time:
            self.advance(time, self._events, ahead=False)

    def close_window(self) -> None:
        """The strategy is through its window: go on to the end of what is published."""
        *_, events, whole = self._window.account_window()
        limit = c.NEVER if whole else int(self._args[20][events - 1]) if events else -c.NEVER
        self.advance(limit, events, ahead=False)
        cells = self.cells
        if self._keep or cells.item(c.C_POINTS) > _KEPT_POINTS or cells.item(c.C_RECORDS) - cells.item(c.X_TAKEN) > _KEPT_RECORDS:
            self._hand_over()

    def pass_window(self) -> None:
        """The strategy is through its window and has never given an order: only the window's steps count."""
        *_, event_time, events, _ = self._window.account_window()
        if events:
            self._count_idle(event_time[:events])

    def _count_idle(self, times: NDArray[np.int64]) -> None:
        """Count the steps at these times, ascending, of which there may be several events."""
        last = times.item(-1)
        if last == self._idle_until:
            return
        first = int(times.item(0) != self._idle_until)
        self.idle_steps += first if times.item(0) == last else first + int(np.count_nonzero(times[1:] != times[:-1]))
        self._idle_until = last

    def untold(self) -> Iterator[Event]:
        """What the strategy wants to hear of and has not been told of."""
        end = self._final_records()
        while self._told < end:
            at = self._told
            self._told += 1
            if self.records.item(at, c.R_KIND) in self._kinds:
                yield self._decoder.one(self.records[at])
                end = self._final_records()

    @property
    def has_untold(self) -> bool:
        """Whether there is something that the strategy has not been told of."""
        return self._told < self._final_records()

    @property
    def has_news(self) -> bool:
        """Whether something final has not been handed over, or the journal wants to know how the strategy is in any case."""
        if not self.active:
            return False
        return (self.journal is not None and self.journal.held) or self._final_records() > self.cells.item(c.X_TAKEN)

    def flatten(self) -> None:
        """After a restart: cancel everything, and close positions at their next open."""
        time = self.cells.item(c.C_TIME)
        self._room_for_one()
        stepping.cancel_all(self.cells, self.orders, self.positions, self.records, c.BY_PERSON_RESTART, time)
        for p in range(self.cells.item(c.C_POSITIONS)):
            self._room_for_one()
            stepping.leave(self.cells, self.orders, self.order_floats, self.positions, self.position_floats, self.records,
                           self.records.view(np.float64), p, time)  # fmt: skip

    def finish(self) -> None:
        """The session has ended: close positions where the rules say so."""
        if self.active and self.cells.item(c.C_AT_CLOSE):
            # Let through by the book when the last step was over: they fill at the close on which they were decided.
            self._bind()
            self.advance(c.NEVER, self._events, ahead=False)
        if not self.active or self.rules.at_end is not AtEnd.CLOSE:
            return
        time = self.cells.item(c.C_TIME)
        self.cancel_all(time, c.BY_END)
        self._bind()
        for p in range(self.cells.item(c.C_POSITIONS)):
            self._room_for_one()
            stepping.close_out(
                self.cells, self.orders, self.order_floats, self.positions, self.position_floats, self.held, self.records,
                self.records.view(np.float64), self._args[9], p, time,
            )  # fmt: skip
        self._hand_over()

    def settle_all(self) -> None:
        """Nobody will be told of anything any more: all records are final."""
        self._told = self._final_records()
        self._hand_over()

    def stop_trading(self, time: int, reason: int, refusal: Refusal) -> None:
        """Let no new order through and cancel those that work."""
        self.closed_by = refusal
        if self.active:
            self.cancel_all(time, reason)
            self._told = self._final_records()
            self._hand_over()

    @property
    def closed_by(self) -> Refusal | None:
        """Why no new order is let through; None while they are."""
        return self._closed_by if self._closed_by is not None or not self.killed else Refusal.KILL_SWITCH

    @closed_by.setter
    def closed_by(self, refusal: Refusal | None) -> None:
        self._closed_by = refusal

    def throw_kill_switch(self) -> None:
        """Let no new order through, and have open ones cancelled when it is next moved. Callable by any thread."""
        self.killed = True
        self.kill_asked = True

    def release_kill_switch(self) -> None:
        """Let orders through again, unless something else forbids them. Callable by any thread."""
        self.killed = False

    def _obey_kill_switch(self, time: int) -> None:
        self.kill_asked = False
        self.cancel_all(time, c.BY_KILL_SWITCH)

    # The book's side: called by the data-processor between steps, when the strategy waits.

    def join_book(self, cells: NDArray[np.int64], shared: bool) -> None:
        """Have a book decide on orders. Before there are any, and before the account goes on where a journal ended.

        Args:
            cells: int64[CELLS], where it keeps its cells from now on.
            shared: whether the book answers for buying power, and the account does not.
        """
        assert not self.active  # its tables would be where the book does not look
        self._joined = (cells, shared)
        cells[c.C_CASH] = round(self.rules.allocated_capital * MONEY)

    def _obey_book(self) -> None:
        if self._joined is not None:
            self._rules[c.K_BOOK] = 1.0
            if self._joined[1]:
                self._rules[c.K_LEVERAGE] = np.inf

    def tables(self) -> tuple[Any, ...]:
        """What the book's kernels work on, with room for a record of each order: cells, orders, positions (each int64, float64),
        records, rules."""
        self._room_for_one()
        return (
            self.cells, self.orders, self.order_floats, self.positions, self.position_floats, self.records, self._rules,
        )  # fmt: skip

    def impose(self, state: int, time: int) -> None:
        """Go to a trading state that the book has come to, unless it is in a stricter one."""
        if not self.active:
            self._activate(time, bind=False)
        self._room_for_one()
        if tighten(self.cells, self.records, state, c.BY_BOOK_RISK, time) and state == c.STATE_HALTED:
            stepping.cancel_all(self.cells, self.orders, self.positions, self.records, c.BY_HALT, time)

    def count_refused(self, count: int) -> None:
        """The book has refused orders."""
        if self.refused_before is None:
            self.refused_before = {}
        self.refused_before[Refusal.BOOK] = self.refused_before.get(Refusal.BOOK, 0) + count

    # Looking at it.

    def view(self, time: int | None = None) -> Portfolio:
        """What the account holds: at the strategy's event at `time`, or as it was left."""
        if not self.active:
            capital = self.rules.allocated_capital
            return Portfolio(
                time=0 if time is None else time, capital=capital, cash=capital, equity=capital, realised_pnl=0.0, unrealised_pnl=0.0,
                fees=0.0, financing=0.0, exposure=0.0, open_positions=(),
            )  # fmt: skip
        if time is not None:
            self.sync(time)
        cells = self.cells[: c.C_CELLS].tolist()
        positions = tuple(self._position(p) for p in range(cells[c.C_POSITIONS]))
        cost = sum(int(self.positions[p, c.P_COST]) for p in range(cells[c.C_POSITIONS]))
        return Portfolio(
            time=cells[c.C_TIME],
            capital=self.rules.allocated_capital,
            cash=cells[c.C_CASH] / MONEY,
            equity=(cells[c.C_CASH] + cells[c.C_VALUE]) / MONEY,
            realised_pnl=cells[c.C_REALISED] / MONEY,
            unrealised_pnl=(cells[c.C_VALUE] - cost) / MONEY,
            fees=cells[c.C_FEES] / MONEY,
            financing=cells[c.C_FINANCING] / MONEY,
            exposure=cells[c.C_GROSS] / MONEY,
            open_positions=tuple(position for position in positions if position.quantity),
        )

    def position(self, symbol: int, time: int) -> Position:
        """What it holds of a symbol at the strategy's event at `time`."""
        p = self._places.get(symbol) if self._places is not None else None
        if p is None:
            return Position(symbol=self._terms.symbols[symbol])
        self.sync(time)
        return self._position(p)

    def standing(self, symbol: int, time: int) -> tuple[int, int, float]:
        """Where it stands in a symbol at the strategy's event at `time`: signed lots held, rows of orders, equity in currency."""
        if not self.active:
            return 0, 0, self.rules.allocated_capital
        while not self._stand(self._addresses, symbol, time):
            self._make_room()
        item = self._addresses.item
        return item(LOTS), item(ROWS), item(EQUITY) / MONEY

    def quantity(self, symbol: int, time: int) -> int:
        """Lots held of a symbol at the strategy's event at `time`, below zero for a short position."""
        p = self._places.get(symbol) if self._places is not None else None
        if p is None:
            return 0
        self.sync(time)
        return self.positions.item(p, c.P_LOTS)

    def entries(self, symbol: int) -> int:
        """How many orders have made up the position that is held of a symbol, or may yet add to it."""
        p = self._places.get(symbol) if self._places is not None else None
        if p is None:
            return 0
        lots = self.positions.item(p, c.P_LOTS)
        entered = self.positions.item(p, c.T_ENTRIES) if lots else 0
        if not self.positions.item(p, c.P_WORKING):
            return entered
        return entered + sum(
            1
            for row in self.orders[: self.cells.item(c.C_ORDERS)].tolist()
            if row[c.O_PLACE] == p
            and row[c.O_STATE] <= c.PARTIAL
            and not (row[c.O_PARENT] or row[c.O_REDUCE] or row[c.O_ENTERED])
            and row[c.O_SIDE] * lots >= 0
        )

    def entry_lots(self, symbol: int) -> int:
        """Signed lots that working orders without a parent may still add to or take off a position."""
        p = self._places.get(symbol) if self._places is not None else None
        if p is None or not self.positions.item(p, c.P_WORKING):
            return 0
        return sum(
            row[c.O_SIDE] * (row[c.O_LOTS] - row[c.O_FILLED])
            for row in self.orders[: self.cells.item(c.C_ORDERS)].tolist()
            if row[c.O_PLACE] == p and row[c.O_STATE] <= c.PARTIAL and not row[c.O_PARENT] and not row[c.O_REDUCE]
        )

    def equity(self, time: int) -> float:
        """Equity in the account's currency at the strategy's event at `time`."""
        if not self.active:
            return self.rules.allocated_capital
        self.sync(time)
        return (self.cells.item(c.C_CASH) + self.cells.item(c.C_VALUE)) / MONEY

    def working(self, time: int, symbol: int | None = None) -> tuple[Order, ...]:
        """Orders that work, wait or are held, by id."""
        if not self.active:
            return ()
        self.sync(time)
        return tuple(
            order
            for i in range(self.cells.item(c.C_ORDERS))
            if self.orders.item(i, c.O_STATE) <= c.PARTIAL
            and (symbol is None or self.positions.item(self.orders.item(i, c.O_PLACE), c.P_SYMBOL) == symbol)
            for order in (self._order(i),)
        )

    @property
    def trading_state(self) -> TradingState:
        """What the account may still do."""
        return TRADING_STATES[self._shadow(c.C_STATE)] if self.active else TradingState.ACTIVE

    def count(self, cell: int) -> int:
        """One number of the account (`C_ORDER_COUNT` and so on), as of the strategy's event. Callable by any thread."""
        return self._shadow(cell) if self.active else 0

    @property
    def final(self) -> Portfolio:
        """What it held when it was last moved."""
        return self.view()

    @property
    def kept(self) -> tuple[Event, ...]:
        """What happened, if it was kept."""
        return tuple(self.kept_events)

    @property
    def points(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Equity points, if they were kept: times in ns UTC, equity in units of money."""
        joined = np.concatenate([np.zeros((0, 2), np.int64), *self.event_points])
        return joined[:, 0].copy(), joined[:, 1].copy()

    @property
    def refusals(self) -> dict[Refusal, int]:
        """How many orders were refused, by reason."""
        return dict(self.refused_before or {})

    def ledger_hash(self) -> str:
        """Hash of all fills, in ticks, lots and cents."""
        return self._digest.hexdigest() if self._digest is not None else hashlib.blake2b(digest_size=16).hexdigest()

    @property
    def equity_units(self) -> int:
        """Equity in units of money, as of the strategy's last event."""
        if not self.active:
            return round(self.rules.allocated_capital * MONEY)
        return self._shadow(c.C_CASH) + self._shadow(c.C_VALUE)

    def performance(self, last_time: int) -> Performance:
        """Its figures up to `last_time`, the close time of the strategy's last event; -1 if there was none."""
        return self.scorecard.performance(
            last_time=last_time,
            equity=self.equity_units,
            fees=self.count(c.C_FEES),
            turnover=self.count(c.C_TURNOVER) + c.TURNOVER_CARRY * self.count(c.C_TURNOVER_HIGH),
            held_steps=self.count(c.C_HELD_STEPS),
            steps=self.idle_steps + self.count(c.C_STEPS),
            days_per_year=self._terms.days_per_year(self._tradable),
        )

    def check_symbol(self, order_id: int) -> None:
        """Make sure that an order id is one.

        Raises:
            DataError: it is not.
        """
        if not self.active or not 0 < order_id < self.cells.item(c.C_NEXT_ID):
            raise DataError(f"there is no order {order_id}; ctx.order gives the ids of those that there are")

    # Tables.

    # Across a restart.

    def commit(self, time: int, strategy_state: Mapping[str, Any]) -> str | None:
        """Record everything so far, with a checkpoint: the strategy has handled every event up to `time`, and been told everything.

        Returns:
            None, or why it is not durable: what was decided must not be acted on then.
        """
        assert self.journal is not None  # asked before
        if self.journal.hold(strategy_state):
            return None
        self.sync(time)
        final = self._final_records()
        while self._told < final and self.records.item(self._told, c.R_KIND) not in self._kinds:
            self._told += 1
        self._hand_over()
        # What has happened since the strategy's last event, and is still to be told, stays; a restart must tell it too.
        untold = self.records[self._told : final].copy() if not self.silent else self.records[:0]
        cells = self.cells[: c.C_CELLS].copy()
        cells[c.C_RECORDS], cells[c.C_POINTS] = len(untold), 0
        values = {
            "strategy": dict(strategy_state),
            "groups": self._groups or {},
            "refused": {str(reason): count for reason, count in (self.refused_before or {}).items()},
            "first_time": self.first_time,
            "first_event": self.scorecard.first_time,
            "idle_steps": self.idle_steps,
            "gave_up": self.gave_up,
        }
        tables: list[NDArray[Any]] = [cells]
        for table, rows in (
            (self.orders, c.C_ORDERS),
            (self.order_floats, c.C_ORDERS),
            (self.positions, c.C_POSITIONS),
            (self.position_floats, c.C_POSITIONS),
            (self.held, c.C_LOTS),
        ):
            tables.append(table[: int(cells[rows])])
        tables.append(untold)
        return self.journal.commit(time, pack_state(values, tables))

    def resume(self, past: Past) -> dict[str, Any]:
        """Take back what a journal knows.

        Returns:
            The strategy's state.

        Raises:
            JournalError: the checkpoint cannot be read.
        """
        values, tables = unpack_state(past.state)
        self._activate(int(tables[0][c.C_TIME]), bind=False)
        self.cells[: c.C_CELLS] = tables[0]
        self.first_time = values["first_time"]
        self.scorecard.first_time = values["first_event"]
        self.idle_steps = values["idle_steps"]
        self._groups = dict(values["groups"])
        self.refused_before = {Refusal(reason): count for reason, count in values["refused"].items()}
        names = ("orders", "order_floats", "positions", "position_floats", "held")
        for name, found in zip(names, tables[1:-1], strict=True):
            table = getattr(self, name)
            while len(found) + 4 > len(table) // 2:
                table = _grown(table)
            table[: len(found)] = found.view(table.dtype)
            setattr(self, name, table)
        untold = tables[-1]
        self.records: NDArray[np.int64] = np.zeros((max(len(self.records), 2 * len(untold)), c.R_COLUMNS), np.int64)
        self.records[: len(untold)] = untold
        assert self._places is not None  # made with the tables
        for p in range(self.cells.item(c.C_POSITIONS)):
            symbol = self.positions.item(p, c.P_SYMBOL)
            self._places[symbol] = p
            self.place_of[symbol] = p
        journal, self.journal = self.journal, None  # it has these already
        for records in past.records:
            self._take_records(records)
        for points in past.points:
            self._take_points(points)
        self.journal = journal
        return dict(values["strategy"])

    def _activate(self, time: int, bind: bool = True) -> None:
        self.cells = np.zeros(c.CELLS, np.int64) if self._joined is None else self._joined[0]
        capital = round(self.rules.allocated_capital * MONEY)
        for cell in (c.C_CASH, c.C_PEAK, c.C_DAY_START):
            self.cells[cell] = capital
        self.cells[c.C_NEXT_ID] = 1
        self.cells[c.C_EXPIRE] = c.NEVER
        self.cells[c.C_MINUTE] = -1
        self.cells[c.C_CHARGED] = time // c.DAY_NS
        self.cells[c.X_HORIZON] = stepping.FIRST_HORIZON
        self.cells[c.C_TIME] = time
        self.first_time = time
        self.orders = np.zeros((16, c.O_COLUMNS), np.int64)
        self.order_floats = np.full((16, c.O_FLOATS), np.nan)
        self.positions = np.zeros((4, c.P_COLUMNS), np.int64)
        self.position_floats = np.zeros((4, c.P_FLOATS))
        self.held = np.zeros((32, c.L_COLUMNS), np.int64)
        self.records = np.zeros((256, c.R_COLUMNS), np.int64)
        self.points_table = np.zeros((16, 2), np.int64)
        self.place_of = np.full(len(self._terms.symbols), -1, np.int32)
        self._places = {}
        self._digest = hashlib.blake2b(digest_size=16)
        self._days = days = self._terms.day_starts(self._tradable)
        self.cells[c.C_DAY] = max(0, int(np.searchsorted(days, time - c.BAR_NS, side="right")) - 1)
        salt = zlib.crc32(self._name.encode())
        self._rules = self.rules.cells(self._limits, salt)
        self._obey_book()
        self._args = ()
        self._addresses = np.zeros(TABLE_CELLS, np.int64)
        self._submit, self._follow = submit_at.load(), follow_at.load()
        self._advance, self._stand = advance_at.load(), stand_at.load()
        self.active = True
        if bind:
            self._bind()
            *_, times, _, _ = self._window.account_window()
            until = int(first_after(times, 0, self._events, time))
            if until:
                self._count_idle(times[:until])
            self.points_table[0] = time, capital
            self.cells[c.C_POINTS] = 1

    def _bind(self) -> None:
        """Take hold of the window that the thread is in."""
        segment, start, published, frame, event_time, events, _ = self._window.account_window()
        if segment is not self._segment:
            self._segment = segment
            self.cells[c.C_CURSOR] = start
        at = self.cells.item(c.C_CURSOR)
        if at < published and segment.close_time[at] <= self.cells.item(c.C_TIME):
            # Steps that it has gone through: before its first order, or before a restart, after which they are played again.
            self.cells[c.C_CURSOR] = int(first_after(segment.close_time, at, published, self.cells.item(c.C_TIME)))
        self._events = events
        needed = self.cells.item(c.C_POINTS) + events + 2  # a point at most for each event
        if len(self.points_table) < needed:
            more = np.zeros((max(needed, min(2 * len(self.points_table), _KEPT_POINTS + events + 2)), 2), np.int64)
            more[: len(self.points_table)] = self.points_table
            self.points_table = more
        self._args = (
            self.cells, self.orders, self.order_floats, self.positions, self.position_floats, self.held, self.records,
            self.records.view(np.float64), self.points_table, self._rules, self.place_of, self._own, self._days,
            frame.ro_floats[0], frame.ro_counts[0], frame.base, segment.close_time, segment.stream, segment.row, published, event_time,
        )  # fmt: skip
        # The kernels find them by their addresses; the tuple keeps them alive for as long as they are looked for there.
        note_addresses(*self._args, events, self._addresses)

    def _make_room(self) -> None:
        """Take final records and points away, and let tables grow."""
        self._hand_over()
        if not self.cells.item(c.X_AHEAD):
            # At once, and not with the next advance: else the table would grow for rows that nobody needs any more.
            self._told = max(0, self._told - self.cells.item(c.X_TAKEN))
            stepping.drop_taken(self.cells, self.records, 0)
        orders = self.cells.item(c.C_ORDERS)
        if orders + 4 > len(self.orders) // 2:
            self.orders, self.order_floats = _grown(self.orders), _grown(self.order_floats)
        if self.cells.item(c.C_LOTS) + len(self.orders) + 8 > len(self.held) // 2:
            self.held = _grown(self.held)
        room = stepping.SLACK + stepping.RECORDS_EACH * (len(self.orders) // 2 + 4) + len(self.positions)
        if room > len(self.records) - self.cells.item(c.C_RECORDS) or len(self.records) < _BIG_RECORDS:
            more = np.zeros((max(2 * len(self.records), room), c.R_COLUMNS), np.int64)
            more[: len(self.records)] = self.records
            self.records = more
        if self._args:  # not while it is taken back from a journal: there is no window yet
            self._bind()

    def _room_for_one(self) -> None:
        """Room for one more order, and for what may come of the orders that there are."""
        orders = self.cells.item(c.C_ORDERS)
        if orders + 4 > len(self.orders) // 2 or self.cells.item(c.C_LOTS) + 2 * orders + 8 > len(self.held) // 2:
            self._make_room()
        if self.cells.item(c.C_RECORDS) + stepping.SLACK + stepping.RECORDS_EACH * (self.cells.item(c.C_ORDERS) + 2) > len(
            self.records
        ):
            self._make_room()

    def _add_place(self, symbol: int, last: float, time: int) -> int:
        self.sync(time)
        p = self.cells.item(c.C_POSITIONS)
        if p + 1 > len(self.positions) // 2:
            self.positions, self.position_floats = _grown(self.positions), _grown(self.position_floats)
            self._bind()
        self.cells[c.C_POSITIONS] = p + 1
        self.positions[p] = 0
        self.positions[p, c.P_SYMBOL] = symbol
        entry = self._terms.instruments[symbol]
        self.position_floats[p] = last, entry.tick or 0.0, entry.lot, entry.min_notional, 0.0, 0.0, 0.0
        self.place_of[symbol] = p
        assert self._places is not None  # made with the tables
        self._places[symbol] = p
        return p

    def _mark(self, p: int, time: int) -> None:
        floats, base, close_time, stream, row = (self._args[at] for at in (13, 15, 16, 17, 18))
        stepping.mark_new(
            self.cells, self.positions, self.position_floats, floats, base, close_time, stream, row, p, time
        )  # fmt: skip

    def _shadow(self, cell: int) -> int:
        """A cell as of the strategy's event: the account may have run ahead."""
        return self.cells.item(cell + c.C_CELLS if self.cells.item(c.X_AHEAD) else cell)

    def _final_records(self) -> int:
        return self._shadow(c.C_RECORDS)

    def _hand_over(self) -> None:
        """Give away the records and points that are final."""
        start, stop = self.cells.item(c.X_TAKEN), self._final_records() if self.silent else self._told
        if stop > start:
            self.cells[c.X_TAKEN] = stop
            self._take_records(self.records[start:stop])  # nobody keeps them: they are moved and written over
        if not self.cells.item(c.X_AHEAD):
            self._drop_points()

    def _take_records(self, rows: NDArray[np.int64]) -> None:
        data = ledger_bytes(rows, self._terms.ticks)
        if data:
            self._digest.update(data)
        if self._keep:
            self.kept_events.extend(self._decoder.decode(rows))
        self.scorecard.add_records(rows)
        if self.journal is not None:
            self.journal.add_records(rows)

    def _drop_points(self) -> None:
        count = self.cells.item(c.C_POINTS)
        if count:
            self.cells[c.C_POINTS] = 0
            self._take_points(self.points_table[:count])

    def _take_points(self, points: NDArray[np.int64]) -> None:
        if self._keep:
            self.event_points.append(points.copy())
        self.scorecard.add_points(points)
        if self.journal is not None:
            self.journal.add_points(points)

    def _refuse(self, reason: Refusal) -> RiskRefused:
        if self.refused_before is None:
            self.refused_before = {}
        self.refused_before[reason] = self.refused_before.get(reason, 0) + 1
        return RiskRefused(reason)

    def _refuse_at(self, reason: Refusal, symbol: int, side: int, quantity: float, time: int, order_id: int = 0) -> RiskRefused:
        """Refuse what never came to the checks, or the amendment of an order, and record it."""
        self.sync(time)
        self._room_for_one()
        at = int(new_record(self.cells, self.records, c.REFUSED))
        self.records[at, c.R_TIME], self.records[at, c.R_SYMBOL], self.records[at, c.R_SIDE] = time, symbol, side
        self.records[at, c.R_ORDER] = order_id
        self.records[at, c.R_A] = 1 + REASONS.index(reason)
        self.records.view(np.float64)[at, c.R_F1] = quantity
        self.cells[c.C_REFUSED] += 1
        return self._refuse(reason)

    def _is_allowed(self, symbol: int) -> bool:
        allowed = self._limits.allowed_symbols
        return allowed is None or self._terms.symbols[symbol] in allowed

    def rounded(self, symbol: int, price: float | None, up: bool) -> float:
        """An order's price on the grid of ticks; NaN for none."""
        if price is None:
            return _NAN
        tick = self._terms.ticks.item(symbol)
        return float(on_grid(price, tick, up)) if tick else price

    def _group(self, name: str) -> int:
        if self._groups is None:
            self._groups = {}
        return self._groups.setdefault(name, len(self._groups) + 1)

    def _row(self, order_id: int, time: int) -> int:
        """Row of an order that may still fill; -1 if there is none."""
        if not self.active:
            return -1
        self.sync(time)
        self._room_for_one()
        for i in range(self.cells.item(c.C_ORDERS)):
            if self.orders.item(i, c.O_ID) == order_id:
                return i if self.orders.item(i, c.O_STATE) <= c.PARTIAL else -1
        return -1

    def _record(self, kind: int, time: int, i: int) -> int:
        at = int(new_record(self.cells, self.records, kind))
        p = self.orders.item(i, c.O_PLACE)
        self.records[at, c.R_TIME] = time
        self.records[at, c.R_ORDER] = self.orders[i, c.O_ID]
        self.records[at, c.R_SYMBOL] = self.positions[p, c.P_SYMBOL]
        self.records[at, c.R_SIDE] = self.orders[i, c.O_SIDE]
        return at

    def _position(self, p: int) -> Position:
        row = self.positions[p].tolist()
        lot = self.position_floats.item(p, c.P_LOT)
        quantity = units(row[c.P_LOTS], lot)
        return Position(
            symbol=self._terms.symbols[row[c.P_SYMBOL]],
            quantity=quantity,
            average_price=row[c.P_COST] / MONEY / quantity if quantity else 0.0,
            market_value=row[c.P_VALUE] / MONEY,
            unrealised_pnl=(row[c.P_VALUE] - row[c.P_COST]) / MONEY,
            realised_pnl=row[c.P_REALISED] / MONEY,
            fees=row[c.P_FEES] / MONEY,
        )

    def _order(self, i: int) -> Order:
        row, floats = self.orders[i].tolist(), self.order_floats[i].tolist()
        p = row[c.O_PLACE]
        lot, symbol = self.position_floats.item(p, c.P_LOT), self._terms.symbols[self.positions.item(p, c.P_SYMBOL)]
        kind: OrderKind = KINDS[row[c.O_KIND]]
        return Order(
            id=row[c.O_ID],
            client_order_id=self._decoder.client_order_id(row[c.O_ID]),
            symbol=symbol,
            side=_SIDES[row[c.O_SIDE]],
            kind=kind,
            state=STATES[row[c.O_STATE]],
            quantity=units(row[c.O_LOTS], lot),
            filled=units(row[c.O_FILLED], lot),
            limit_price=given(floats[c.O_LIMIT]),
            stop_price=given(floats[c.O_STOP]),
            time_in_force=TIMES_IN_FORCE[row[c.O_TIF]],
            reduce_only=bool(row[c.O_REDUCE]),
            created_time=row[c.O_CREATED],
            parent=row[c.O_PARENT],
            reason=END_REASONS[0],
        )


def _grown(table: NDArray[Any]) -> NDArray[Any]:
    """A table with room for twice as many rows, in both of its halves."""
    half = len(table) // 2
    more = np.zeros((4 * half, table.shape[1]), table.dtype)
    more[:half] = table[:half]
    more[2 * half : 3 * half] = table[half:]
    return more
