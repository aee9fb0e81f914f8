"""StrategyContext: everything a strategy can reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from stratd.core.bus import EventBus
from stratd.core.names import nearest
from stratd.data.calendars import CalendarTable, session_at
from stratd.data.series import BarSeries
from stratd.data.session_data import Frame
from stratd.data.subscription import NOTIFY, WATCH, Slot
from stratd.errors import DataError, NotSubscribed, StrategySetupError
from stratd.execution.account import Account
from stratd.execution.records import TOLD
from stratd.execution.terms import TradingTerms
from stratd.indicators.base import Indicator, StreamInfo
from stratd.indicators.hub import IndicatorHub
from stratd.model import (
    MINUTE_NS,
    Instrument,
    Interval,
    Order,
    OrderKind,
    OrderRequest,
    Position,
    RiskRefused,
    Side,
    Signal,
    TimeInForce,
    TradingState,
)
from stratd.portfolio.portfolio import Portfolio
from stratd.portfolio.sizing import Sizing
from stratd.strategy.desk import Desk
from stratd.strategy.handles import DType, Handle, Handles, Request
from stratd.strategy.signals import SignalFields

_BEFORE: Final = -(2**62)
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Market:
    """What a session offers to its strategies: shared, read-only.

    Attributes:
        history_bars: rows of each stream that a strategy can look back.
        calendars: the tables in use; `calendar_of` gives a symbol's index among them.
        streams: by symbol and interval, as indicators see them.
    """

    symbols: tuple[str, ...]
    intervals: tuple[Interval, ...]
    instruments: Mapping[str, Instrument]
    calendars: tuple[CalendarTable, ...]
    calendar_of: Mapping[str, int]
    history_bars: int
    streams: Mapping[tuple[str, str], StreamInfo] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        streams = {
            (symbol, str(interval)): StreamInfo(symbol, interval, k, s, self.instruments[symbol].tick, self.calendar(symbol))
            for k, interval in enumerate(self.intervals)
            for s, symbol in enumerate(self.symbols)
        }
        object.__setattr__(self, "streams", MappingProxyType(streams))

    def calendar(self, symbol: str) -> CalendarTable:
        """The calendar of a symbol."""
        return self.calendars[self.calendar_of[symbol]]


class Moment:
    """A point of event time that is not a bar: a slice or a session event. Stands where a BarSeries stands else."""

    __slots__ = ("interval", "minute", "symbol", "time")

    def __init__(self) -> None:
        self.time = _BEFORE
        self.minute = _BEFORE  # the minute that it lies in: the one before it, but for a session's open
        self.interval: Interval | None = None
        self.symbol = ""


class StrategyContext:
    """What a strategy sees of the market, and how it says what it wants.

    In `setup` it subscribes, watches and asks for indicators; in callbacks it reads and emits signals.

    Thread safety: belongs to its strategy's thread (and, before that is started, to the thread that builds the session).

    Attributes:
        name: the strategy's name in the session.
        symbols: the session's symbols, in its order.
        instruments: by symbol.
        events: the strategy's own event bus (see `on`).
        log: structured logger, bound to the strategy's name.
    """

    def __init__(self, name: str, market: Market) -> None:
        self.name = name
        self.symbols = market.symbols
        self.intervals = market.intervals
        self.instruments = MappingProxyType(dict(market.instruments))
        self.log: Any = structlog.get_logger("stratd.strategy").bind(strategy=name)
        self._market = market
        self._symbol_index = {symbol: number for number, symbol in enumerate(market.symbols)}
        self._series: dict[tuple[str, Interval], BarSeries] = {}
        self._known: dict[tuple[str, Interval | str], BarSeries] = {}
        self._slot_number: dict[tuple[str, Interval], int] = {}
        self._slots: list[tuple[BarSeries, Slot]] = []
        self._handles = Handles(
            name,
            len(market.intervals),
            len(market.symbols),
            market.history_bars,
            self._series_of,
            self._stream_of,
            self._shown_until,
        )
        self._frame: Frame | None = None
        self._last_end: NDArray[np.int64] = np.zeros(0, np.int64)
        self._signals: list[SignalFields] = []
        self.note_indicators = False  # whether signals are kept, with the values of the indicators that have names
        self._open = True  # setup is still running
        self._moment = Moment()
        self._current: BarSeries | Moment = self._moment
        self._desk: Desk | None = None
        self.events = EventBus()
        self._by_symbol: dict[int, tuple[BarSeries, ...]] = {}

    # Setting up.

    def subscribe(self, symbols: str | Iterable[str], interval: Interval | str, *, lookback: int = 0) -> tuple[str, ...]:
        """Have `on_bars` called for each bar of these streams.

        Args:
            symbols: one symbol or several; `*` and `?` are wildcards.
            lookback: how many bars there must be before the first call, the one it is called for included.

        Returns:
            The symbols that matched, in the session's order.

        Raises:
            StrategySetupError: nothing matches, the session does not derive the interval, `lookback` exceeds
                `history_bars`, or setup is over.
        """
        return self._add(symbols, interval, NOTIFY, lookback)

    def watch(self, symbols: str | Iterable[str], interval: Interval | str) -> tuple[str, ...]:
        """Make these streams readable, without notifications. Arguments and errors as for `subscribe`."""
        return self._add(symbols, interval, WATCH, 0)

    def indicator(
        self,
        indicator: Indicator,
        symbol: str,
        interval: Interval | str,
        *,
        name: str = "",
        lazy: bool = False,
        private: bool = False,
        dtype: DType = "float64",
    ) -> Any:
        """A handle on an indicator of a subscribed or watched stream. Asking twice for the same gives the same handle.

        It is computed once for all strategies that ask for it. Asked for in a callback, it begins at the oldest bar that this
        strategy can still see.

        Args:
            name: what to call it in metrics, `stratd list`, signals and plots; its label unless given.
            lazy: compute it only when it is read. Values are the same. For many that are seldom read.
            private: compute it for this strategy alone, in its own thread: whatever it costs, others do not notice.
            dtype: "float32" keeps half the bytes; values are rounded to 24 bits, a relative error of at most 6e-8.

        Returns:
            An IndicatorHandle; where the indicator has several outputs, a HandleGroup with one for each.

        Raises:
            NotSubscribed: a stream that it needs is not visible to this strategy.
            IndicatorError: it is put together wrongly.
            StrategySetupError: it looks back further than `history_bars`, or its name is taken.
        """
        series = self.bars(symbol, interval)
        exact = str(series.interval)
        request = Request(indicator, symbol, exact, name, lazy, private, dtype)
        return self._handles.ask(request, self._market.streams[symbol, exact])

    def on(self, event_type: type[E], handler: Callable[[E], object]) -> None:
        """In `setup`: have `handler` called when something of this type happens to the strategy's account.

        Handlers are called where `on_fill` is: before the first event of the step in which it happened, in the order in which it did.

        Args:
            event_type: Fill, Trade, OrderEnded, RiskChanged or Charged (the last three from `stratd.execution.records`).

        Raises:
            StrategySetupError: nothing of this type is ever told, or setup is over.
        """
        self._must_be_open("on")
        if event_type not in TOLD:
            offered = ", ".join(kind.__name__ for kind in TOLD)
            raise StrategySetupError(self.name, f"nobody tells of {event_type.__name__}; a strategy can hear of {offered}")
        self.events.subscribe(event_type, handler)

    def release(self, handle: Handle) -> None:
        """Let go of an indicator. What no strategy uses any more is computed no more, and its memory goes.

        Raises:
            StrategySetupError: it is not one of this strategy's handles, or has been released already.
        """
        self._handles.release(handle)

    # Reading.

    def bars(self, symbol: str, interval: Interval | str) -> BarSeries:
        """The bars of a subscribed or watched stream, up to the event being handled.

        Raises:
            NotSubscribed: the stream has no place in this strategy's order.
        """
        found = self._known.get((symbol, interval))
        if found is None:
            try:
                exact = Interval(interval)
            except ValueError as error:
                raise NotSubscribed(symbol, str(interval), str(error)) from error
            found = self._series.get((symbol, exact))
            if found is None:
                has = ", ".join(f"{held} {at}" for held, at in list(self._series)[:20]) or "nothing"
                raise NotSubscribed(symbol, str(exact), has)
            self._known[symbol, interval] = found
        return found

    def snapshot(self) -> dict[tuple[str, str, str], float]:
        """The newest value of every indicator of this strategy, by name (its label where it has none), symbol and interval."""
        return self._handles.snapshot()

    @property
    def now(self) -> int:
        """Close time of the event being handled, int64 ns UTC. Event time, never a clock.

        Raises:
            DataError: there has been no event yet, as in `setup`.
        """
        current = self._current
        if not isinstance(current, Moment):
            return current._close_time.item(current._hi - 1)
        if current.time == _BEFORE:
            raise DataError("ctx.now is the time of an event, and there has been none yet: read it in callbacks, not in setup")
        return current.time

    def session(self, symbol: str) -> tuple[int, int] | None:
        """Regular open and close (ns UTC) of the session in which the current bar lies; None outside regular hours.

        A 24/7 symbol's session is the UTC day.

        Raises:
            DataError: there is no such symbol.
        """
        self._must_know(symbol)
        table = self._market.calendar(symbol)
        current = self._current
        minute = current.minute if isinstance(current, Moment) else self.now - MINUTE_NS
        at = session_at(table, minute)
        if at < 0:
            return None
        opened, closed = int(table.regular_open[at]), int(table.regular_close[at])
        return (opened, closed) if opened <= minute < closed else None

    # Acting.

    def signal(
        self,
        symbol: str,
        side: Side,
        *,
        strength: float = 1.0,
        reason: str = "",
        target_weight: float | None = None,
        limit_price: float | None = None,
        stop_price: float | None = None,
        take_profit_price: float | None = None,
    ) -> int | RiskRefused | str | None:
        """Emit a signal, decided at the event being handled. See `Signal` for the arguments.

        Where the session gives the strategy a sizing, it becomes orders: BUY and SELL an entry of the size wanted (at `limit_price`, if there is one; with
        `stop_price` and `take_profit_price` as its bracket), FLAT cancels the symbol's orders and closes the position.

        Returns:
            The order's id, why risk refused it, why there was nothing to do, or None where signals are only recorded.

        Raises:
            ValueError: an argument that a `Signal` cannot have.
            DataError: the session has no such symbol.
            StrategySetupError: there is no event yet.
        """
        side = side if type(side) is Side else Side(side)
        if (
            not 0.0 <= strength <= 1.0
            or target_weight is not None
            or limit_price is not None
            or stop_price is not None
            or take_profit_price is not None
            or type(reason) is not str
        ):
            # Making a Signal checks all of this. The rest needs no check, and a Signal costs more than all that follows.
            Signal(symbol, side, strength, reason, target_weight, limit_price, stop_price, take_profit_price)
        number = self._symbol_index.get(symbol)
        if number is None:
            number = self._must_know(symbol)
        current = self._current
        if isinstance(current, Moment):
            now, open_time = current.time, self._open_time_at(current, symbol)
        else:
            row = current._hi - 1
            now, open_time = current._close_time.item(row), current._open_time.item(row)
        noted = None
        if self.note_indicators:
            noted = tuple((handle.name, handle.noted) for handle in self._handles.named(symbol))
        self._signals.append(
            (now, open_time, number, side, strength, reason, target_weight, limit_price, stop_price, take_profit_price, noted)
        )
        desk = self._desk
        if desk is None or desk.sizing is None:
            return None
        bar = None if isinstance(current, Moment) else current
        return desk.follow(
            number, side, strength, target_weight, limit_price, stop_price, take_profit_price, bar, now, current.interval,
        )  # fmt: skip

    def emit(self, signal: Signal) -> int | RiskRefused | str | None:
        """Emit a signal, decided at the event being handled. Errors and what is returned as for `signal`."""
        return self.signal(
            signal.symbol,
            signal.side,
            strength=signal.strength,
            reason=signal.reason,
            target_weight=signal.target_weight,
            limit_price=signal.limit_price,
            stop_price=signal.stop_price,
            take_profit_price=signal.take_profit_price,
        )

    def order(
        self,
        symbol: str,
        side: Side | str,
        quantity: float,
        *,
        kind: OrderKind | str = OrderKind.MARKET,
        limit_price: float | None = None,
        stop_price: float | None = None,
        trail_amount: float | None = None,
        trail_fraction: float | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        reduce_only: bool = False,
        stop_loss_price: float | None = None,
        take_profit_price: float | None = None,
        oco: str = "",
    ) -> int | RiskRefused:
        """Give an order, decided at the event being handled. See `OrderRequest` for the arguments.

        It can fill from the first 1m bar that opens at or after the event's close time. A bracket's children have the ids that follow:
        the stop loss first, then the take profit.

        Returns:
            The order's id, from 1 on; or why risk refused it, which is false where a truth value is asked for.

        Raises:
            ValueError: something that an order cannot have.
            DataError: the session has no such symbol.
            StrategySetupError: there is no event yet, or the strategy has no account.
        """
        request = OrderRequest(
            symbol=symbol,
            side=Side(side),
            quantity=quantity,
            kind=OrderKind(kind),
            limit_price=limit_price,
            stop_price=stop_price,
            trail_amount=trail_amount,
            trail_fraction=trail_fraction,
            time_in_force=TimeInForce(time_in_force),
            reduce_only=reduce_only,
            stop_loss_price=stop_loss_price,
            take_profit_price=take_profit_price,
            oco=oco,
        )
        number = self._must_know(symbol)
        current = self._current
        time = self._event_time()
        return self._trading().submit(request, number, None if isinstance(current, Moment) else current, time)

    def cancel(self, order_id: int) -> bool:
        """Ask for one of the strategy's orders to be cancelled. False if it works no more.

        Raises:
            DataError: there never was such an order.
        """
        return self._trading().cancel(order_id, self._event_time())

    def amend(
        self,
        order_id: int,
        *,
        quantity: float | None = None,
        limit_price: float | None = None,
        stop_price: float | None = None,
    ) -> bool | RiskRefused:
        """Ask for one of the strategy's orders to be changed; what is not given stays. `quantity` is the new total.

        Returns:
            Whether it still works; or why risk refused the change.

        Raises:
            DataError: there never was such an order.
            ValueError: the order has no such price.
        """
        return self._trading().amend(order_id, self._event_time(), quantity, limit_price, stop_price)

    def orders(self, symbol: str | None = None) -> tuple[Order, ...]:
        """The strategy's orders that may still fill, by id."""
        return self._trading().working(None if symbol is None else self._must_know(symbol), self._event_time())

    def position(self, symbol: str) -> Position:
        """What the strategy holds of a symbol; zeros where it holds nothing."""
        return self._trading().position(self._must_know(symbol), self._event_time())

    @property
    def portfolio(self) -> Portfolio:
        """The strategy's money and positions, at the event being handled."""
        return self._trading().portfolio(self._event_time())

    @property
    def trading_state(self) -> TradingState:
        """What the strategy's account may still do."""
        return self._trading().trading_state(self._event_time())

    def _trading(self) -> Desk:
        if self._desk is None:
            raise StrategySetupError(self.name, "it has no account: the session records its signals only")
        return self._desk

    def _event_time(self) -> int:
        current = self._current
        if not isinstance(current, Moment):
            return current._close_time.item(current._hi - 1)
        if current.time == _BEFORE:
            raise StrategySetupError(self.name, "orders are decided on events; there is none before the first bar")
        return current.time

    def _series_for(self, symbol: int) -> tuple[BarSeries, ...]:
        found = self._by_symbol.get(symbol)
        if found is None:
            found = self._by_symbol[symbol] = tuple(series for series, _ in self._slots if series.symbol_index == symbol)
        return found

    def _open_time_at(self, moment: Moment, symbol: str) -> int:
        """Open time of the bar that a signal at a slice or session event belongs to."""
        if moment.time == _BEFORE:
            raise StrategySetupError(self.name, "signals are decided on events; there is none before the first bar")
        if moment.interval is None:
            return moment.time
        series = self._series.get((symbol, moment.interval))
        if series is not None and series._hi and series._close_time.item(series._hi - 1) == moment.time:
            return series._open_time.item(series._hi - 1)
        return moment.time - moment.interval.duration_ns

    # For the thread that runs the strategy.

    def open_desk(self, account: Account, sizing: Sizing | None, terms: TradingTerms) -> Desk:
        """Have the strategy trade on an account from now on."""
        lots = [entry.lot for entry in terms.instruments]
        self._desk = Desk(account, self.symbols, lots, self._series_for, sizing, terms.bars_per_year)
        return self._desk

    def seal(self) -> None:
        """Setup is over: subscriptions are fixed."""
        self._open = False

    def slot_of(self, symbol: str, interval: Interval) -> int:
        """Number of a stream among `slots`."""
        return self._slot_number[symbol, interval]

    def slots(self) -> Sequence[tuple[BarSeries, Slot]]:
        """The streams in the order in which they were asked for."""
        return self._slots

    def attach(self, hub: IndicatorHub | None) -> None:
        """Have indicators computed by the hub from now on; without one, by an engine of this strategy's own."""
        self._handles.attach(hub)

    @property
    def handles(self) -> Handles:
        """The strategy's indicators."""
        return self._handles

    def advance(self, frame: Frame, last_end: NDArray[np.int64]) -> None:
        """Before a window runs: read from `frame`, and compute what is not the hub's for the rows that it makes visible.

        Args:
            last_end: int64[slots], one past the newest row (relative to the frame) of each slot; -1 where there is none.
        """
        handles = self._handles
        self._last_end = last_end
        if frame is self._frame and not handles.computes:
            return
        handles.catch_up()
        if frame is not self._frame:
            self._frame = frame
            for series, _ in self._slots:
                series.take_frame(frame)
            handles.advance(frame)
        handles.compute_own()

    def _shown_until(self, series: BarSeries) -> int:
        """The absolute row up to which the window that runs shows a series."""
        number = self._slot_number[series.symbol, series.interval]
        end = int(self._last_end[number]) if number < len(self._last_end) else 0
        return series._base + max(end, series._hi)

    def _series_of(self, stream: StreamInfo) -> BarSeries:
        return self.bars(stream.symbol, stream.interval)

    def _stream_of(self, symbol: str, interval: str) -> StreamInfo:
        series = self.bars(symbol, interval)
        return self._market.streams[series.symbol, str(series.interval)]

    def _must_know(self, symbol: str) -> int:
        """Index of a symbol in the session.

        Raises:
            DataError: the session does not list it.
        """
        number = self._symbol_index.get(symbol)
        if number is None:
            near = nearest(symbol, self.symbols)
            meant = f"; did you mean {near}?" if near else f"; it has {', '.join(self.symbols[:20])}"
            raise DataError(f"the session has no symbol {symbol!r}{meant}")
        return number

    def _must_be_open(self, what: str) -> None:
        if not self._open:
            raise StrategySetupError(self.name, f"{what} is called in setup; the session is running")

    def _add(self, symbols: str | Iterable[str], interval: Interval | str, kind: int, lookback: int) -> tuple[str, ...]:
        self._must_be_open("subscribe" if kind == NOTIFY else "watch")
        try:
            exact = Interval(interval)
        except ValueError as error:
            raise StrategySetupError(self.name, str(error)) from error
        if exact not in self.intervals:
            offered = ", ".join(map(str, self.intervals))
            raise StrategySetupError(
                self.name, f"the session has no {exact} bars (it has {offered}); add {exact.minutes} to derived_intervals"
            )
        if not 0 <= lookback <= self._market.history_bars:
            raise StrategySetupError(
                self.name,
                f"lookback {lookback} is not within 0 and history_bars ({self._market.history_bars}); raise history_bars",
            )
        patterns = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        matched = tuple(symbol for symbol in self.symbols if any(_matches(symbol, pattern) for pattern in patterns))
        for pattern in patterns:
            if not any(_matches(symbol, pattern) for symbol in self.symbols):
                near = nearest(pattern, self.symbols)
                hint = f"; did you mean {near}?" if near else f"; it has {', '.join(self.symbols[:20])}"
                raise StrategySetupError(self.name, f"the session has no symbol that matches {pattern!r}{hint}")
        k = self.intervals.index(exact)
        for symbol in matched:
            known = self._series.get((symbol, exact))
            if known is None:
                s = self._symbol_index[symbol]
                series = BarSeries(symbol, exact, s, k, self._market.history_bars)
                self._series[symbol, exact] = series
                self._slot_number[symbol, exact] = len(self._slots)
                self._slots.append((series, Slot(k, s, kind, lookback)))
            elif kind == NOTIFY:
                number = self._slot_number[symbol, exact]
                old = self._slots[number][1]
                self._slots[number] = (known, Slot(old.interval_index, old.symbol_index, NOTIFY, max(lookback, old.lookback)))
        return matched


def _matches(symbol: str, pattern: str) -> bool:
    """Whether a symbol is meant by a name with `*` and `?` in it. Square brackets stand for themselves."""
    return fnmatchcase(symbol, pattern.replace("[", "[[]"))
