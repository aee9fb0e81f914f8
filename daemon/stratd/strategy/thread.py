"""StrategyThread, LOOP TWO: one strategy, in a thread of its own."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from stratd.core.clock import perf_ns, utc_text
from stratd.core.cores import pin_this_thread
from stratd.core.states import State
from stratd.data.calendars import Grid, grid_of
from stratd.data.event_log import EventLog
from stratd.data.session_data import SessionData
from stratd.data.subscription import NOTIFY, SLICE_ONLY, WATCH, Slot, StreamSubscription
from stratd.errors import StratdError
from stratd.execution.account import Account
from stratd.execution.account_journal import Past
from stratd.execution.records import TOLD, Event
from stratd.execution.rules import AccountRules
from stratd.execution.terms import TradingTerms
from stratd.indicators.handle import IndicatorHandle
from stratd.model import MINUTE_NS, Fill, Interval, Refusal
from stratd.portfolio.cells import BY_HALT, C_TIME, FILL
from stratd.portfolio.sizing import Sizing
from stratd.risk.limits import RiskLimits
from stratd.strategy.base import Strategy
from stratd.strategy.catch_up import SKIPPED, CatchUp
from stratd.strategy.context import Market, Moment, StrategyContext
from stratd.strategy.desk import SETTLE, Desk
from stratd.strategy.kept_state import KeptState
from stratd.strategy.signals import SignalLog
from stratd.strategy.thread_metrics import Durations

_SETTLE: Final = -1 - SETTLE  # as `_other` is given it
_LOGGED_ERRORS: Final = 10  # after these, errors are only counted


@dataclass(frozen=True, slots=True)
class ThreadPolicy:
    """How a strategy is run.

    Attributes:
        max_errors: exceptions survived; one more quarantines the strategy.
        min_quality: streams below this quality are held back.
        keep_signals: whether signals are kept for a file, or only counted and hashed.
        core: CPU core to run on; None leaves it to the system.
    """

    max_errors: int = 10
    min_quality: float = 0.0
    keep_signals: bool = False
    core: int | None = None


@dataclass(frozen=True, slots=True)
class Trading:
    """What a strategy's account is made from.

    Attributes:
        terms: of the session's instruments; shared.
        sizing: how its signals become orders; None where they are only recorded.
        prefix: of client order ids.
        keep: whether everything that happens is kept in memory.
        durable: whether what is decided is on the disk before anybody acts on it.
    """

    terms: TradingTerms
    rules: AccountRules = field(default_factory=AccountRules)
    limits: RiskLimits = field(default_factory=RiskLimits)
    sizing: Sizing | None = None
    prefix: str = "stratd"
    keep: bool = False
    durable: bool = False


class _Abandoned(Exception):
    """Ends the window of a strategy that was abandoned while it was in a callback."""


class StrategyThread:
    """Runs one strategy: takes windows of events from its subscription and calls it back for each.

    Whatever the strategy raises stays here: it is logged with its bar, counted, and survived up to `max_errors`.

    Thread safety: the strategy, its context and everything below them belong to this thread once `start` was called.
    Others read plain counters (`errors`, `state`, `durations`, `signals.count`), and may call `abandon` and `join`.
    """

    def __init__(
        self,
        strategy: Strategy[Any],
        context: StrategyContext,
        market: Market,
        data: SessionData,
        log: EventLog,
        policy: ThreadPolicy,
        trading: Trading | None = None,
    ) -> None:
        self.name = context.name
        self.strategy = strategy
        self.state = State.READY
        self.errors = 0
        self.last_error: str | None = None
        self.ended_by = ""
        self.durations = Durations()
        self.signals = SignalLog(policy.keep_signals)
        self.started = threading.Event()
        self._policy = policy
        self._context = context
        self._data = data
        self._log = log
        self._held_said = False
        self._abandoned = False
        self._fenced = False  # nothing that it signals counts any more
        self.last_event_ns = -1  # close time of the newest event that it was given; within a window, of the one before
        self.gave_up = False  # it has ended for errors: its account is left as it was at that event
        self.catch_up: CatchUp | None = None  # after a restart
        self._kept = KeptState()
        self._moment = Moment()
        self._slots = context.slots()
        context.note_indicators = policy.keep_signals
        self._withheld: dict[int, int] = {}  # by slot: close time of the last bar that was withheld from a slice
        self._grids: dict[tuple[int, int], Grid] = {}
        self._market = market
        kind = type(strategy)
        bars = len(market.intervals) * len(market.symbols)
        wants_bars, wants_slices = kind.on_bars is not Strategy.on_bars, kind.on_slice is not Strategy.on_slice
        slots = [
            slot if slot.kind != NOTIFY or wants_bars else Slot(slot.interval_index, slot.symbol_index, SLICE_ONLY, slot.lookback)
            for _, slot in context.slots()
        ]
        self._sliced_symbols: list[tuple[str, ...]] = [
            tuple(
                market.symbols[slot.symbol_index]
                for slot in sorted(slots, key=lambda slot: slot.symbol_index)
                if slot.interval_index == k and slot.kind in (NOTIFY, SLICE_ONLY)
            )
            for k in range(len(market.intervals))
        ]
        sessions: list[int] = []
        for number in sorted({market.calendar_of[series.symbol] for series, _ in context.slots()}):
            if kind.on_session_close is not Strategy.on_session_close:
                sessions.append(bars + 2 * number)
            if kind.on_session_open is not Strategy.on_session_open:
                sessions.append(bars + 2 * number + 1)
        self.subscription = StreamSubscription(
            self.name,
            log,
            slots,
            bars + 2 * len(market.calendars),
            len(market.symbols),
            [wants_slices and bool(symbols) for symbols in self._sliced_symbols],
            sessions,
            policy.min_quality,
            # An account is matched on 1m bars, whatever its strategy is notified of.
            sorted({slot.symbol_index for slot in slots}) if trading is not None else (),
        )
        self.account: Account | None = None
        self._desk: Desk | None = None
        if trading is not None:
            self.account = self._make_account(trading, slots, bars)
            self._desk = context.open_desk(self.account, trading.sizing, trading.terms)
        # What the hot loop needs of a slot: one lookup, one unpacking.
        self._entries = [(series, series.symbol, series.interval) for series, _ in context.slots()]
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._main, name=f"strategy-{self.name}", daemon=True)

    def _make_account(self, trading: Trading, slots: list[Slot], bars: int) -> Account:
        if type(self.strategy).on_fill is not Strategy.on_fill:
            self._context.events.subscribe(Fill, self.strategy.on_fill)
        own = np.zeros(trading.terms.streams, np.uint8)
        for slot, stream in zip(slots, self.subscription.streams, strict=False):
            own[stream] = slot.kind != WATCH and stream < bars
        return Account(
            self.name,
            f"{trading.prefix}-{self.name}",
            trading.rules,
            trading.limits,
            trading.terms,
            sorted({slot.symbol_index for slot in slots}),
            own,
            self.subscription,
            keep=trading.keep,
            # What is durable is committed between two events, so such an account stops its strategy at every step in which it acts.
            told=tuple(TOLD[kind] for kind in self._context.events.listened()) or ((FILL,) if trading.durable else ()),
        )

    def start(self) -> None:
        """Begin to take windows."""
        self.state = State.RUNNING
        self._thread.start()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread to end. False if it has not in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def abandon(self, state: State, reason: str) -> None:
        """Do not let the strategy handle another event, and let nobody wait for it. Callable by any thread.

        The callback that it is in, if any, is not interrupted here; when it returns, the thread ends. What it was notified
        of and signalled until now counts; what it may still signal does not.
        """
        self._abandoned = True
        self.state = state
        self.last_error = self.last_error or reason
        self.ended_by = reason
        self._entries.clear()  # the hot loop looks every event up here: the next look-up fails and the loop ends
        if threading.current_thread() is not self._thread:
            self._count()
            with self._counting:
                self.durations.settle()
        self.subscription.detach()
        self._context.handles.close()

    def indicator_errors(self) -> list[tuple[str, str]]:
        """What indicators that are computed here have raised: where, and what. Callable by any thread."""
        return self._context.handles.errors()

    def named_indicators(self) -> list[IndicatorHandle]:
        """Handles that the strategy's author has named. Callable by any thread."""
        return self._context.handles.named()

    def _main(self) -> None:
        if self._policy.core is not None:
            pin_this_thread(self._policy.core)
        self.started.set()
        try:
            reason = self.run()
        except BaseException as error:
            # Not from a callback: an indicator of the user's own, a closed log. This strategy ends, and nobody waits for it.
            self._note(error)
            reason = f"faulted: {self.last_error}"
            if self.state is State.RUNNING:
                self.state = State.FAULTED
                self._safely(partial(self._leave_account, self.last_event_ns, reason))
        finally:
            self.subscription.detach()
        self.ended_by = self.ended_by or reason
        if self.state is State.RUNNING:
            self.state = State.STOPPED
        self._safely(self._end_account)
        self._guard("teardown", self.strategy.teardown)
        if self.state is not State.STOPPED:
            self._context.handles.close()
        self._count()
        self.durations.settle()

    def run(self) -> str:
        """Loop two: take a window, run it, say so. Returns why it stopped."""
        subscription, context = self.subscription, self._context
        while (window := subscription.take(self._data)) is not None:
            frame, slots, ends = window
            context.advance(frame, subscription.last_end)
            rest = iter(slots)
            events = zip(rest, ends, strict=True)
            self._begin_window(slots, rest)
            undelivered = self._run_window(events)
            if not self._abandoned:
                self._end_window(len(slots))
            if self._abandoned:
                self._cut_window(len(slots) - undelivered - sum(1 for _ in events))
                return self.ended_by
            subscription.done()
        return "end of the log"

    def _begin_window(self, slots: list[int], rest: Iterator[int]) -> None:
        times = self.subscription.event_time
        if slots and self.account is not None and self.account.scorecard.first_time < 0:
            self.account.scorecard.first_time = times.item(0)
        first = 0
        if self.catch_up is not None and not (self.catch_up.done and self.catch_up.first_bar_ns >= 0):
            first = self._catch_up(self.catch_up, slots)
        if self._desk is not None:
            self._desk.begin_window(slots, rest, first)

    def _end_window(self, events: int) -> None:
        """The strategy has been given a window's events: what it decided is recorded, and its account comes to the window's end."""
        if events:
            self.last_event_ns = max(self.last_event_ns, self.subscription.event_time.item(events - 1))
        desk, account = self._desk, self.account
        if desk is None or account is None:
            return
        *_, whole = self.subscription.account_window()
        if whole:
            # Else it may end in mid-step, and a checkpoint would claim the rest of the step: it is made before the next one.
            self._commit(self.last_event_ns)
        if self._abandoned:
            return
        desk.end_window(self.last_event_ns)
        if account.journal is not None and not account.journal.durable:
            self._record_by(account.journal.flush, self.last_event_ns)

    def _cut_window(self, given: int) -> None:
        """The strategy ends within a window, of which it was given so many events."""
        self.subscription.cut_window(given)
        if given and not self.gave_up:
            self.last_event_ns = max(self.last_event_ns, self.subscription.event_time.item(given - 1))

    def _run_window(self, events: Iterator[tuple[int, int]]) -> int:
        """Run the events of one window; what they raise is survived here.

        Returns:
            How many events were taken from `events` and not given to the strategy: one, if it was abandoned meanwhile.
        """
        context, entries, on_bars = self._context, self._entries, self.strategy.on_bars
        subscription = self.subscription
        stamps = subscription.stamps = [perf_ns()]
        stamp = stamps.append
        undelivered = 0
        while True:
            try:
                for slot, end in events:
                    if slot >= 0:
                        series, symbol, interval = entries[slot]
                        series._hi = end
                        context._current = series
                        on_bars(symbol, interval)
                        stamp(perf_ns())
                    elif self._other(-1 - slot, end):
                        stamp(perf_ns())
                break
            except BaseException as error:
                # SystemExit and KeyboardInterrupt too: what a strategy raises must end nobody else, and not the process.
                if self._abandoned and isinstance(error, (_Abandoned, IndexError)):
                    undelivered = 1
                    break
                stamp(perf_ns())
                if self._failed(error) or self._abandoned:
                    break
        self._count()
        if not self._held_said and subscription.held_back:
            self._held_said = True
            context.log.warning("notifications are held back: quality is below min_quality", min_quality=self._policy.min_quality)
        return undelivered

    def _count(self) -> None:
        """Add what the window came to. Once for each window: by this thread, or by whoever abandoned it for good."""
        with self._counting:
            stamps, self.subscription.stamps = self.subscription.stamps, []
            self.durations.take(stamps)
            signals, self._context._signals = self._context._signals, []
            if signals and not self._fenced:
                self.signals.take(signals)
            self._fenced = self._abandoned

    def _other(self, code: int, end: int) -> bool:
        """An event that is not a notified bar (see `select`). Returns whether the strategy was called."""
        slots = len(self._slots)
        if code < slots:
            self._entries[code][0]._hi = end
            return False
        if self._abandoned:
            raise _Abandoned
        if code == _SETTLE:
            return self._settle(end)
        if code == -1 - SKIPPED:
            return False
        code -= slots
        intervals, calendars = len(self._market.intervals), len(self._market.calendars)
        if code >= intervals + 2 * calendars:
            slot = code - intervals - 2 * calendars
            series = self._entries[slot][0]
            series._hi = end
            self._withheld[slot] = series._close_time.item(end - 1)
            return False
        context, moment = self._context, self._moment
        moment.time = self.subscription.event_time.item(end)
        value = self.subscription.event_value.item(end)
        context._current = moment
        if code < intervals:
            moment.interval = interval = self._market.intervals[code]
            moment.minute = moment.time - MINUTE_NS
            symbols = self._sliced_symbols[code]
            missing = () if value == len(symbols) else self._missing(code, interval, moment.time, symbols)
            self.strategy.on_slice(interval, moment.time, missing)
            return True
        code -= intervals
        opens = code % 2 == 1
        moment.interval = None
        moment.minute = moment.time if opens else moment.time - MINUTE_NS
        table = self._market.calendars[code // 2]
        callback = self.strategy.on_session_open if opens else self.strategy.on_session_close
        callback(table.name, int(table.session_open[value]), int(table.session_close[value]))
        return True

    def _settle(self, end: int) -> bool:
        """The strategy has to hear of fills before the event that really stands here. Returns whether it was called."""
        desk, moment, context = self._desk, self._moment, self._context
        assert desk is not None  # it planted this
        index, slot = desk.settle()
        self._commit(desk.handled_before(index, self.subscription.event_time))
        if self._abandoned:
            raise _Abandoned
        moment.time = time = self.subscription.event_time.item(index)
        moment.interval, moment.minute = None, time - MINUTE_NS
        desk.bring_to(time)
        told = 0
        for event in desk.untold():
            context._current = moment
            told += 1
            self._tell(event)
        desk.go_on(time)
        if slot < 0:
            return self._other(-1 - slot, end) or told > 0
        series, symbol, interval = self._entries[slot]
        series._hi = end
        context._current = series
        self.strategy.on_bars(symbol, interval)
        return True

    def _tell(self, event: Event) -> None:
        """Publish what happened. What a handler raises must not cost the strategy its next fill, or the bar after it."""
        try:
            self._context.events.publish(event)
        except BaseException as error:
            for one in error.exceptions if isinstance(error, ExceptionGroup) else (error,):
                if self._failed(one) or self._abandoned:
                    raise _Abandoned from error

    def resume(self, past: Past, how: str) -> None:
        """Before `start`: go on where a journal ends. Events that were handled then only become visible again.

        Args:
            how: "resume" goes on; "flatten" closes everything first, and the strategy begins anew; "hold" keeps everything and lets no
                new order through.

        Raises:
            JournalError: its checkpoint cannot be read.
        """
        assert self.account is not None  # there is a journal
        assert self._desk is not None  # made with the account
        state = self.account.resume(past)
        self._desk.resume_after(past.time)
        self.last_event_ns = past.time
        market = self._market
        symbols = {slot.symbol_index for _, slot in self._slots}
        calendars = {market.calendar_of[market.symbols[symbol]] for symbol in symbols}
        self.catch_up = CatchUp(past.time, symbols, [market.calendars[number] for number in sorted(calendars)])
        if how == "flatten":
            self.account.flatten()
            return
        if how == "hold":
            self.account.closed_by = Refusal.HALTED
        self._kept.take(state)
        self.strategy.restore_state(state)

    @property
    def awaits_ns(self) -> int:
        """Up to when (close time, ns UTC) it had handled events before a restart, if it has not come there again; -1 else."""
        return -1 if self.catch_up is None else self.catch_up.awaits_ns

    def _catch_up(self, catch_up: CatchUp, slots: list[int]) -> int:
        """Of a window's events, those that were handled before a restart are not notified again. Returns how many they are."""
        segment, start, published, *_ = self.subscription.account_window()
        if catch_up.look(segment, start, published):
            self._context.log.error(
                "bars are missing: the feed begins behind where the strategy had come before the restart; its orders were not matched there",
                handled_up_to=utc_text(catch_up.until),
                first_bar=utc_text(catch_up.first_bar_ns),
                minutes=catch_up.missing_minutes,
            )
        others = len(self._market.intervals) + 2 * len(self._market.calendars)
        return catch_up.skip(slots, self.subscription.event_time[: len(slots)], len(self._slots), others)

    def _commit(self, handled: int) -> None:
        """Where the session's journal is durable, what the strategy has decided is on the disk before anybody sees it.

        Args:
            handled: close time of the last event that the strategy has handled.
        """
        account = self.account
        if account is None or account.journal is None or not account.has_news:
            return
        if not account.journal.durable:
            return
        try:
            self._save()
        except BaseException as error:
            if self._failed(error):
                return  # recorded at its end
        self._record_by(partial(account.commit, handled, self._kept.value), handled)

    def _save(self) -> None:
        """Ask the strategy what it wants to keep. What it kept last stays, if it cannot say."""
        self._kept.take(self.strategy.save_state())

    def _leave_account(self, time: int, reason: str) -> None:
        """The strategy ends for errors, at the event at `time`: its orders are cancelled, and what it holds is left as it is then."""
        self.gave_up = True
        self.last_event_ns = max(self.last_event_ns, time)
        account = self.account
        if account is not None:
            account.gave_up = reason
            account.stop_trading(max(time, account.count(C_TIME)) if account.active else time, BY_HALT, Refusal.HALTED)

    def _end_account(self) -> None:
        """The log has ended: the last fills are told, positions closed where the rules say so, and all of it is recorded."""
        account = self.account
        if account is None or not account.active or self.awaits_ns >= 0:
            return
        if self.gave_up:
            self._record(self.last_event_ns)
            return
        if self._abandoned:
            # In mid-step: a checkpoint here would lose the step's other events after a restart. Records are kept where nothing restarts.
            account.settle_all()
            if account.journal is not None and not account.journal.durable:
                account.journal.flush()
            return
        if not self._log.complete:
            # Stopped: what is not told yet comes before the next event, which the next run has.
            self._record(self.last_event_ns)
            return
        account.finish()
        self._moment.time = account.count(C_TIME)
        for event in account.untold():
            self._context._current = self._moment
            self._guard("on_fill", partial(self._context.events.publish, event))
        account.settle_all()
        self._record(self.last_event_ns)

    def _record(self, handled: int) -> None:
        """Record all that is left, with a last checkpoint."""
        account = self.account
        assert account is not None  # asked before
        if account.journal is not None:
            self._guard("save_state", self._save)
            self._record_by(partial(account.commit, handled, self._kept.value), handled)

    def _record_by(self, call: Callable[[], str | None], time: int) -> None:
        """Have something recorded. Where that fails, whatever it is, nothing is decided any more: it would not be on record."""
        try:
            failure = call()
        except BaseException as error:
            failure = _said(error)
        self._halt_if(failure, time)

    def _safely(self, call: Callable[[], None]) -> None:
        """Do something with the account when the strategy has ended. What it raises is no error of the strategy's, and ends the run as one that
        could not be recorded."""
        try:
            call()
        except BaseException as error:
            assert self.account is not None  # else there is nothing to do
            self.account.stopped_by = self.account.stopped_by or _said(error)
            trace = "".join(traceback.format_exception(error))
            self._context.log.error("the strategy's account could not be brought to its end", exception=trace)

    def _halt_if(self, failure: str | None, time: int) -> None:
        """Trade no more if what was decided cannot be recorded."""
        assert self.account is not None  # asked before
        if failure is not None and self.account.stopped_by is None:
            self.account.stopped_by = failure
            self._context.log.error("trading is halted: decisions cannot be recorded", reason=failure)
            self.account.stop_trading(time, BY_HALT, Refusal.JOURNAL)

    def _missing(self, k: int, interval: Interval, time: int, symbols: tuple[str, ...]) -> tuple[str, ...]:
        """Symbols that had a bucket to close at `time` and gave no bar, or whose bar was withheld from the strategy."""
        absent = []
        for symbol in symbols:
            slot = self._context.slot_of(symbol, interval)
            series = self._slots[slot][0]
            seen = series._hi > 0 and series._close_time.item(series._hi - 1) == time
            if seen:
                if self._withheld.get(slot) == time:
                    absent.append(symbol)
            elif self._closes_at(self._market.calendar_of[symbol], k, time):
                absent.append(symbol)
        return tuple(absent)

    def _closes_at(self, calendar: int, k: int, time: int) -> bool:
        """Whether a calendar has a bucket of interval k that closes at `time`."""
        grid = self._grids.get((calendar, k))
        if grid is None:
            grid = self._grids[calendar, k] = grid_of(self._market.calendars[calendar], self._market.intervals[k])
        bucket = grid.bucket(time - MINUTE_NS)
        return bucket is not None and bucket[1] == time

    def _failed(self, error: BaseException) -> bool:
        """Count and log an exception. Returns whether it was one too many."""
        self._note(error)
        current = self._context._current
        now = current.time if isinstance(current, Moment) else self._context.now
        where = f"{current.symbol} {current.interval} closing at {utc_text(now)}" if now > 0 else "before the first event"
        if self.errors <= _LOGGED_ERRORS:
            # Without the first entry, which is this file.
            below = error.__traceback__.tb_next if error.__traceback__ is not None else None
            trace = "".join(traceback.format_exception(type(error), error, below))
            self._context.log.error("strategy raised", at=where, errors=self.errors, exception=trace)
        if self.errors <= self._policy.max_errors:
            return False
        self._context.log.error("strategy is quarantined", errors=self.errors, max_errors=self._policy.max_errors)
        reason = f"quarantined after {self.errors} errors: {self.last_error}"
        self._leave_account(now, reason)
        self.abandon(State.QUARANTINED, reason)
        return True

    def _note(self, error: BaseException) -> None:
        self.errors += 1
        self.last_error = "".join(traceback.format_exception_only(error)).strip()

    def _guard(self, what: str, call: Callable[[], object]) -> None:
        """Call a life-cycle method; what it raises is logged and counted."""
        try:
            call()
        except BaseException as error:
            self._note(error)
            self._context.log.error(f"{what} raised", exception="".join(traceback.format_exception(error)))


def _said(error: BaseException) -> str:
    """An error for a person to read."""
    return str(error) if isinstance(error, StratdError) else f"{type(error).__name__}: {error}"
