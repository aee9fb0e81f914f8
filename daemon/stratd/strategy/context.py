"""StrategyContext: everything a strategy can reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from stratd.core.names import nearest
from stratd.data.calendars import CalendarTable, session_at
from stratd.data.series import BarSeries
from stratd.data.session_data import Frame
from stratd.data.subscription import NOTIFY, WATCH, Slot
from stratd.errors import DataError, NotSubscribed, StrategySetupError
from stratd.indicators.base import Indicator
from stratd.indicators.handle import IndicatorHandle
from stratd.model import MINUTE_NS, Instrument, Interval, Side, Signal
from stratd.strategy.signals import SignalFields

_BEFORE: Final = -(2**62)


@dataclass(frozen=True, slots=True)
class Market:
    """What a session offers to its strategies: shared, read-only.

    Attributes:
        history_bars: rows of each stream that a strategy can look back.
        calendars: the tables in use; `calendar_of` gives a symbol's index among them.
    """

    symbols: tuple[str, ...]
    intervals: tuple[Interval, ...]
    instruments: Mapping[str, Instrument]
    calendars: tuple[CalendarTable, ...]
    calendar_of: Mapping[str, int]
    history_bars: int

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
        self._handles: dict[tuple[Indicator, str, Interval], IndicatorHandle] = {}
        self._handles_by_slot: list[list[IndicatorHandle]] = []
        self._computed: list[int] = []  # slots that have indicators
        self._frame: Frame | None = None
        self._columns: list[list[tuple[IndicatorHandle, tuple[NDArray[np.float64], ...]]]] = []
        self._signals: list[SignalFields] = []
        self._open = True  # setup is still running
        self._moment = Moment()
        self._current: BarSeries | Moment = self._moment

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

    def indicator(self, indicator: Indicator, symbol: str, interval: Interval | str) -> IndicatorHandle:
        """A handle on an indicator of a subscribed or watched stream. Asking twice gives the same handle.

        Raises:
            NotSubscribed: the stream is not visible to this strategy.
            StrategySetupError: it looks back further than `history_bars`, or setup is over.
        """
        self._must_be_open("indicator")
        series = self.bars(symbol, interval)
        key = (indicator, symbol, series.interval)
        handle = self._handles.get(key)
        if handle is None:
            history = self._market.history_bars
            if indicator.reach >= history:
                raise StrategySetupError(
                    self.name,
                    f"{indicator.label} looks back {indicator.reach} bars, the session holds {history}: raise history_bars",
                )
            handle = IndicatorHandle(indicator, series, history, self.instruments[symbol].tick)
            self._handles[key] = handle
            number = self._slot_number[symbol, series.interval]
            if not self._handles_by_slot[number]:
                self._computed.append(number)
            self._handles_by_slot[number].append(handle)
        return handle

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
    ) -> None:
        """Emit a signal, decided at the event being handled. See `Signal` for the arguments.

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
        self._signals.append(
            (now, open_time, number, side, strength, reason, target_weight, limit_price, stop_price, take_profit_price)
        )

    def emit(self, signal: Signal) -> None:
        """Emit a signal, decided at the event being handled. Errors as for `signal`."""
        self.signal(
            signal.symbol,
            signal.side,
            strength=signal.strength,
            reason=signal.reason,
            target_weight=signal.target_weight,
            limit_price=signal.limit_price,
            stop_price=signal.stop_price,
            take_profit_price=signal.take_profit_price,
        )

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

    def seal(self) -> None:
        """Setup is over: subscriptions are fixed."""
        self._open = False

    def slot_of(self, symbol: str, interval: Interval) -> int:
        """Number of a stream among `slots`."""
        return self._slot_number[symbol, interval]

    def slots(self) -> Sequence[tuple[BarSeries, Slot]]:
        """The streams in the order in which they were asked for."""
        return self._slots

    def advance(self, frame: Frame, last_end: NDArray[np.int64]) -> None:
        """Before a window runs: read from `frame`, and compute indicators for the rows that it makes visible.

        Args:
            last_end: int64[slots], one past the newest row (relative to the frame) of each slot; -1 where there is none.
        """
        moved = frame is not self._frame
        if moved:
            self._frame = frame
            for series, _ in self._slots:
                series.take_frame(frame)
            self._columns = [
                [
                    (handle, tuple(self._slots[n][0]._whole_column(field) for field in handle.indicator.fields))
                    for handle in handles
                ]
                for n, handles in enumerate(self._handles_by_slot)
            ]
        if not self._computed:
            return
        ends = last_end.tolist()
        for number in self._computed:
            series = self._slots[number][0]
            end = ends[number]
            if end > series._hi or moved:
                for handle, columns in self._columns[number]:
                    handle.advance(columns, series._base, series._hi, max(end, series._hi))

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
                self._handles_by_slot.append([])
            elif kind == NOTIFY:
                number = self._slot_number[symbol, exact]
                old = self._slots[number][1]
                self._slots[number] = (known, Slot(old.interval_index, old.symbol_index, NOTIFY, max(lookback, old.lookback)))
        return matched


def _matches(symbol: str, pattern: str) -> bool:
    """Whether a symbol is meant by a name with `*` and `?` in it. Square brackets stand for themselves."""
    return fnmatchcase(symbol, pattern.replace("[", "[[]"))
