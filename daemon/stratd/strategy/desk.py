"""Desk: the strategy's side of its account: what an order needs of the moment, and where the strategy has to be stopped for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stratd.data.series import BarSeries
from stratd.execution.account import Account
from stratd.execution.records import Event
from stratd.model import Interval, Order, OrderRequest, Position, RiskRefused, Side, TradingState
from stratd.portfolio import cells as c
from stratd.portfolio.portfolio import Portfolio
from stratd.portfolio.sizing import Sizing, SizingInputs, UnitsSizing

SETTLE: Final = -(1 << 30)
"""What stands in the window's list of events where the strategy has to hear of something first."""

_NAN: Final = float("nan")
_BUY: Final = Side.BUY
_FLAT: Final = Side.FLAT


class Clocked(Protocol):
    """The part of the context that a desk needs."""

    @property
    def now(self) -> int:
        """Close time of the event being handled, ns UTC."""
        ...


class Desk:
    """Takes orders and signals from one strategy to its account.

    Thread safety: belongs to the strategy's thread, as the account does.

    Args:
        series_of: the strategy's series of a symbol.
        sizing: how signals become orders; None where they are only recorded.
        bars_per_year: of a symbol and an interval.
    """

    __slots__ = (
        "_asked",
        "_bars_per_year",
        "_last_time",
        "_lots",
        "_planted",
        "_rest",
        "_series_of",
        "_slots",
        "_symbols",
        "_units",
        "_value",
        "account",
        "sizing",
    )

    def __init__(
        self,
        account: Account,
        symbols: Sequence[str],
        lots: Sequence[float],
        series_of: Callable[[int], Sequence[BarSeries]],
        sizing: Sizing | None,
        bars_per_year: Callable[[int, Interval], float],
    ) -> None:
        self.account = account
        self.sizing = sizing
        self._symbols = symbols
        self._lots = lots
        self._series_of = series_of
        self._bars_per_year = bars_per_year
        self._slots: list[int] = []
        self._rest: Iterator[int] = iter(())
        self._planted = -1
        self._value = 0
        self._last_time = -1
        self._asked: tuple[int, Interval | None] = (0, None)
        self._units = [-1.0] * len(lots)  # see `_first_units`; below zero: not asked yet

    # The window.

    def begin_window(self, slots: list[int], rest: Iterator[int], first: int) -> None:
        """A window begins.

        Args:
            slots: its events' numbers; `rest` is the iterator over them that the thread uses.
            first: index of the first event that the strategy is given; those before it were handled before a restart.
        """
        self._slots, self._rest = slots, rest
        self._planted = -1
        if self.account.active:
            self._plant(self.account.open_window(first))

    def end_window(self, last_time: int) -> None:
        """The thread is through the window's events; the last that it has been given was at `last_time`."""
        self._last_time = last_time
        if self.account.active:
            self.account.close_window()
        else:
            self.account.pass_window()

    def resume_after(self, time: int) -> None:
        """After a restart: the strategy has been given every event up to `time`."""
        self._last_time = time

    def handled_before(self, index: int, event_time: NDArray[np.int64]) -> int:
        """Close time of the last event before the window's event `index`; -1 if there was none. Stops are at the first event of a step,
        so the strategy is through all of that step."""
        return event_time.item(index - 1) if index > 0 else self._last_time

    def settle(self) -> tuple[int, int]:
        """The thread has come to a planted stop. Returns the event's index, and what really stands there."""
        index, value = self._planted, self._value
        self._slots[index] = value
        self._planted = -1
        return index, value

    def bring_to(self, time: int) -> None:
        """Bring the account to an event that the thread has come to, and stop the thread at the next thing that it must hear of."""
        if self.account.silent:
            return
        self._plant(self.account.advance(time, self._next_event(), ahead=True))

    def go_on(self, time: int) -> None:
        """The strategy has been told everything up to its event: run ahead, unless it has acted and a stop is planted."""
        if self._planted < 0:
            self._plant(self.account.advance(time, self._next_event(), ahead=True))

    def untold(self) -> Iterator[Event]:
        """What the strategy wants to hear of and has not been told of."""
        return self.account.untold()

    def _next_event(self) -> int:
        # A list's iterator knows how much of it is left.
        return len(self._slots) - self._rest.__length_hint__()  # type: ignore[attr-defined, no-any-return]

    def _plant(self, index: int) -> None:
        slots = self._slots
        if self._planted >= 0:
            slots[self._planted] = self._value
            self._planted = -1
        if index < len(slots):
            self._planted, self._value = index, slots[index]
            slots[index] = SETTLE

    def _acted(self) -> None:
        """The account's future has changed: hear of it at the first event of the next step."""
        if not self.account.silent:
            self._plant(self.account.cells.item(c.X_EVENT))

    # Orders.

    def submit(self, request: OrderRequest, symbol: int, current: BarSeries | None, time: int) -> int | RiskRefused:
        """Check an order and take it in. `current` is the series whose bar is being handled."""
        last, is_now = self._last(symbol, current, time)
        number = self.account.submit(request, symbol, time, self._next_event(), last, is_now)
        if number:
            self._acted()
        return number

    def cancel(self, order_id: int, time: int) -> bool:
        """Ask for an order to be cancelled. False if it works no more."""
        self.account.check_symbol(order_id)
        done = self.account.cancel(order_id, time)
        self._changed(time)
        return done

    def amend(
        self, order_id: int, time: int, quantity: float | None, limit_price: float | None, stop_price: float | None
    ) -> bool | RiskRefused:
        """Ask for an order to be changed. False if it works no more."""
        self.account.check_symbol(order_id)
        done = self.account.amend(order_id, time, quantity, limit_price, stop_price)
        self._changed(time)
        return done

    def _changed(self, time: int) -> None:
        """An order was cancelled or changed at `time`: hear of what comes of it, and have it recorded, before the next step."""
        if not self.account.silent:
            self._plant(self.account.event_after(time, self._next_event()))

    def follow(
        self,
        symbol: int,
        side: Side,
        strength: float,
        target_weight: float | None,
        limit: float | None,
        stop: float | None,
        profit: float | None,
        current: BarSeries | None,
        time: int,
        interval: Interval | None,
    ) -> int | RiskRefused | str:
        """Make the orders that a signal comes to.

        Returns:
            The order's id, why risk refused it, or why there was nothing to do.
        """
        sizing = self.sizing
        assert sizing is not None  # asked before
        account = self.account
        if current is not None and current.symbol_index == symbol:
            last, is_now = current._close.item(current._hi - 1), True
        else:
            last, is_now = self._last(symbol, current, time)
        # What is not silent is stopped at an event; the others need no event's number.
        after = 0 if account.silent else self._next_event()
        number: int | RiskRefused | None
        if side is _FLAT:
            number = account.follow(symbol, 0, 0.0, time, after, last, is_now)
            if number is not None:
                if number and not account.silent:
                    self._acted()
                return number
        elif strength == 1.0 and target_weight is None and limit is None and stop is None and profit is None:
            units = self._units[symbol]
            if units < 0.0:
                units = self._units[symbol] = self._first_units(symbol)
            if units:
                number = account.follow(symbol, 1 if side is _BUY else -1, units, time, after, last, is_now)
                if number is not None:
                    if number and not account.silent:
                        self._acted()
                    return number
        lot = self._lots[symbol]
        lots, rows, equity = account.standing(symbol, time)
        if side is _FLAT:
            return self._leave(symbol, lots, rows, time, after, last, is_now)
        have = (lots + account.entry_lots(symbol)) * lot if rows else lots * lot
        entries = account.entries(symbol) if have else 0
        self._asked = symbol, interval
        wanted = sizing.wanted(
            SizingInputs(side, strength, last, equity, stop, target_weight, self._closes, self._bars_in_year, lot, have, entries)
        )
        if isinstance(wanted, str):
            return wanted
        change = wanted - have
        if abs(change) < 0.5 * lot:
            return "it is held already"
        flips = have * wanted < 0 or wanted == 0.0
        if flips:
            if wanted == 0.0 or (lots and account.trading_state is TradingState.REDUCING):
                return self._leave(symbol, lots, rows, time, after, last, is_now)
            # What protected the old position must not meet the new one, nor go if this is refused.
            change = wanted - lots * lot
        buys = change > 0
        entering = wanted * change > 0
        number = account.place(
            symbol,
            1 if buys else -1,
            c.MARKET if limit is None else c.LIMIT,
            c.GTC,
            abs(change),
            _NAN if limit is None else account.rounded(symbol, limit, not buys),
            _NAN,
            _NAN,
            _NAN,
            c.CLEARS if flips else 0 if entering else c.REDUCES,
            0,
            c.NEVER,
            account.rounded(symbol, stop, not buys) if entering and stop is not None else _NAN,
            account.rounded(symbol, profit, buys) if entering and profit is not None else _NAN,
            time,
            after,
            last,
            is_now,
        )
        if number and not account.silent:
            self._acted()
        return number

    def _leave(
        self, symbol: int, lots: int, rows: int, time: int, after: int, last: float, is_now: bool
    ) -> int | RiskRefused | str:
        """Close a position and cancel the symbol's other orders, or only these where nothing is held."""
        account = self.account
        if lots == 0:
            if rows and account.cancel_all(time, c.BY_STRATEGY, symbol):
                self._changed(time)
            return "nothing is held"
        number = account.place(
            symbol, -1 if lots > 0 else 1, c.MARKET, c.GTC, abs(lots) * self._lots[symbol], _NAN, _NAN, _NAN, _NAN,
            c.REDUCES | c.CLEARS, 0, c.NEVER, _NAN, _NAN, time, after, last, is_now,
        )  # fmt: skip
        if number and not account.silent:
            self._acted()
        return number

    def _first_units(self, symbol: int) -> float:
        """What a signal of full strength enters where nothing is held, if that is always the same; 0 if it is not, or is nothing."""
        sizing = self.sizing
        if type(sizing) is not UnitsSizing:
            return 0.0
        inputs = SizingInputs(_BUY, 1.0, _NAN, _NAN, None, None, self._closes, self._bars_in_year, self._lots[symbol])
        wanted = sizing.wanted(inputs)
        return 0.0 if isinstance(wanted, str) else wanted

    def _measured(self) -> BarSeries:
        """The series of the symbol that is being sized: of the interval that was asked for, else the shortest."""
        symbol, interval = self._asked
        series = self._series_of(symbol)
        return next((one for one in series if one.interval == interval), None) or min(
            series, key=lambda one: one.interval.minutes
        )

    def _closes(self, rows: int) -> NDArray[np.float64]:
        """The last closes of the symbol and interval that are being sized."""
        return self._measured().close[-rows:]

    def _bars_in_year(self) -> float:
        """How many of those bars there are in a year."""
        return self._bars_per_year(self._asked[0], self._measured().interval)

    # Looking.

    def position(self, symbol: int, time: int) -> Position:
        """See `StrategyContext.position`."""
        return self.account.position(symbol, time)

    def portfolio(self, time: int) -> Portfolio:
        """See `StrategyContext.portfolio`."""
        return self.account.view(time)

    def working(self, symbol: int | None, time: int) -> tuple[Order, ...]:
        """See `StrategyContext.orders`."""
        return self.account.working(time, symbol)

    def trading_state(self, time: int) -> TradingState:
        """See `StrategyContext.trading_state`."""
        if self.account.active:
            self.account.sync(time)
        return self.account.trading_state

    def _last(self, symbol: int, current: BarSeries | None, time: int) -> tuple[float, bool]:
        """Last price of a symbol that the strategy sees, and whether it is the close of a bar that closed now."""
        if current is not None and current.symbol_index == symbol:
            return current._close.item(current._hi - 1), True
        newest, price = -1, _NAN
        for series in self._series_of(symbol):
            if series._hi > 0 and (closed := series._close_time.item(series._hi - 1)) > newest:
                newest, price = closed, series._close.item(series._hi - 1)
        return price, newest == time
