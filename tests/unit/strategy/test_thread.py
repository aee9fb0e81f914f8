from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest

from stratd.core.states import State
from stratd.data.calendars import table_from_sessions, utc_table
from stratd.indicators import SMA
from stratd.indicators.user import PythonIndicator
from stratd.model import MINUTE_NS, Interval, Side
from stratd.strategy.base import Strategy, StrategyParams
from stratd.strategy.manager import audit_hash
from stratd.strategy.thread import StrategyThread, ThreadPolicy
from stratd.testing.bars import BarRow, bars, nanoseconds, series

from ...support.spine import Spine, lines, market
from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

DEADLINE = 20.0
NOON = nanoseconds("2024-01-02T12:00")
Event = tuple[Any, ...]


def minute(count: int) -> int:
    return NOON + count * MINUTE_NS


def both(count: int) -> list[BarRow]:
    """So many minutes of AAA and BBB."""
    closes = [100.0 + i % 5 for i in range(count)]
    return sorted(series(closes) + series(closes, symbol="BBB"), key=lambda row: (row.open_time, row.symbol))


class Params(StrategyParams):
    raises: tuple[int, ...] = ()  # numbers of the calls that raise
    error: str = "ValueError"


ERRORS: dict[str, BaseException] = {
    "ValueError": ValueError("odd bar"),
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
    "MemoryError": MemoryError(),
}


class Bars(Strategy[Params]):
    """Records bars of every symbol at 1m, and raises where it is told to."""

    Params = Params

    def setup(self, ctx: Any) -> None:
        self.seen: list[Event] = []
        self.torn_down = 0
        ctx.subscribe(self.params.symbols, "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.seen.append((symbol, str(interval), self.ctx.now))
        if len(self.seen) in self.params.raises:
            raise ERRORS[self.params.error]
        self.ctx.signal(symbol, Side.BUY)

    def teardown(self) -> None:
        self.torn_down += 1


class Slices(Bars):
    """Records slices alone."""

    on_bars = Strategy.on_bars  # type: ignore[assignment]

    def on_slice(self, interval: Interval, close_time: int, missing: tuple[str, ...]) -> None:
        self.seen.append((str(interval), close_time, missing))
        self.ctx.signal("AAA", Side.SELL)


def spine(**options: Any) -> Spine:
    return Spine(market(history=20), **options)


def seen(thread: StrategyThread) -> list[Event]:
    found: list[Event] = thread.strategy.seen
    return found


# Errors.


@pytest.mark.parametrize("error", ERRORS)
def test_run_whatever_a_strategy_raises_is_survived_counted_and_logged_with_its_bar(error: str) -> None:
    parts = spine()
    thread = parts.thread(Bars, raises=(3, 8), error=error)
    healthy = parts.thread(Bars, "healthy")
    parts.run(both(10))
    assert (thread.errors, thread.state, thread.ended_by) == (2, State.STOPPED, "end of the log")
    assert seen(thread) == seen(healthy)
    assert len(seen(thread)) == 20
    assert thread.durations.count == 20
    assert thread.signals.count == 18
    said = lines(thread).of("strategy raised")
    assert [line["at"] for line in said] == ["AAA 1m closing at 2024-01-02T12:02:00Z", "BBB 1m closing at 2024-01-02T12:04:00Z"]
    assert [line["errors"] for line in said] == [1, 2]
    assert all("Traceback" in line["exception"] and error in line["exception"] for line in said)
    assert thread.last_error is not None
    assert thread.last_error.startswith(error)
    assert (healthy.errors, healthy.last_error) == (0, None)


def test_run_signals_before_an_exception_count() -> None:
    class Late(Bars):
        def on_bars(self, symbol: str, interval: Interval) -> None:
            self.ctx.signal(symbol, Side.BUY)
            raise ValueError

    parts = spine()
    thread = parts.thread(Late)
    parts.run(series([100.0] * 5))
    assert (thread.signals.count, thread.errors) == (5, 5)


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("allowed", [0, 3])
def test_run_one_error_more_than_allowed_quarantines_and_harms_nobody_else(window: int, allowed: int) -> None:
    calls = tuple(range(5, 40, 2))
    parts = spine(window=window)
    thread = parts.thread(Bars, "bad", ThreadPolicy(max_errors=allowed, keep_signals=True), raises=calls)
    healthy = parts.thread(Bars, "healthy")
    parts.run(both(30))
    last = calls[allowed]
    assert (thread.state, thread.errors) == (State.QUARANTINED, allowed + 1)
    assert len(seen(thread)) == last
    assert thread.strategy.torn_down == 1
    assert thread.signals.count == last - allowed - 1
    assert thread.durations.count == thread.subscription.notified == last
    assert thread.ended_by == f"quarantined after {allowed + 1} errors: ValueError: odd bar"
    assert lines(thread).of("strategy is quarantined") == [{"errors": allowed + 1, "max_errors": allowed}]
    assert thread.subscription.detached
    assert (healthy.state, len(seen(healthy))) == (State.STOPPED, 60)
    assert parts.timed_out == []


def test_run_quarantine_hashes_what_was_given_whatever_the_window() -> None:
    found = set()
    for window, block in ((1, 1), (4, 7), (64, 100)):
        parts = spine(window=window, block=block)
        thread = parts.thread(Bars, policy=ThreadPolicy(max_errors=1), raises=(4, 9))
        parts.run(both(30))
        found.add(audit_hash(thread))
    assert len(found) == 1


def test_run_only_the_first_errors_are_logged_and_all_are_counted() -> None:
    parts = spine()
    thread = parts.thread(Bars, policy=ThreadPolicy(max_errors=100), raises=tuple(range(1, 41)))
    parts.run(both(20))
    assert thread.errors == 40
    assert len(lines(thread).of("strategy raised")) == 10


@pytest.mark.parametrize("error", [ValueError("cannot let go"), SystemExit(1)])
def test_teardown_that_raises_is_logged_and_counted(error: BaseException) -> None:
    class Clings(Bars):
        def teardown(self) -> None:
            raise error

    parts = spine()
    thread = parts.thread(Clings)
    parts.run(both(3))
    assert (thread.state, thread.errors) == (State.STOPPED, 1)
    (said,) = lines(thread).of("teardown raised")
    assert type(error).__name__ in said["exception"]
    assert thread.subscription.detached


# Strategies that hang.


class Hangs(Bars):
    """Does not come back from its third call until it is let go."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def on_bars(self, symbol: str, interval: Interval) -> None:
        super().on_bars(symbol, interval)
        if len(self.seen) == 3:
            self.reached.set()
            assert self.go_on.wait(DEADLINE)
            self.ctx.signal(symbol, Side.SELL)


def test_abandon_hung_strategy_is_left_behind_and_the_others_go_on() -> None:
    parts = spine(window=2, timeout=0.4)
    hung = parts.thread(Hangs, "hung")
    healthy = parts.thread(Bars, "healthy")
    parts.run(both(30))
    assert parts.timed_out == ["hung"]
    assert (hung.state, hung.ended_by) == (State.QUARANTINED, "quarantined: no progress for 0.4 s")
    assert hung.last_error == hung.ended_by
    assert (healthy.state, len(seen(healthy))) == (State.STOPPED, 60)
    assert hung.signals.count == 3
    hung.strategy.go_on.set()
    assert hung.join(DEADLINE)
    assert len(seen(hung)) == 3  # nothing more was given to it
    assert hung.signals.count == 3  # and what it signalled afterwards does not count
    assert hung.state is State.QUARANTINED
    assert hung.strategy.torn_down == 1


class HangsBeforeItsSlice(Hangs):
    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.slices = 0

    def on_slice(self, interval: Interval, close_time: int, missing: tuple[str, ...]) -> None:
        self.slices += 1


def test_abandon_before_a_slice_gives_no_slice() -> None:
    parts = spine(window=64)
    thread = parts.thread(HangsBeforeItsSlice, symbols=("AAA",))
    processor = parts.build_rows(both(30))
    parts.strategies.start()
    processor.start()
    assert thread.strategy.reached.wait(DEADLINE)
    thread.abandon(State.STOPPED, "aborted")
    thread.strategy.go_on.set()
    assert thread.join(DEADLINE)
    assert processor.join(DEADLINE)
    assert len(seen(thread)) == 3
    assert thread.strategy.slices == 2


def test_abandon_by_hand_ends_after_the_callback_that_it_is_in() -> None:
    parts = spine(window=64)
    thread = parts.thread(Hangs)
    processor = parts.build_rows(both(30))
    parts.strategies.start()
    processor.start()
    assert thread.strategy.reached.wait(DEADLINE)
    thread.abandon(State.STOPPED, "aborted")
    assert processor.join(DEADLINE)  # nobody waits for it
    thread.strategy.go_on.set()
    assert thread.join(DEADLINE)
    assert (thread.state, thread.ended_by, len(seen(thread)), thread.errors) == (State.STOPPED, "aborted", 3, 0)


# Slices.


def test_on_slice_names_the_symbols_that_gave_no_bar() -> None:
    rows = bars(
        """
        AAA 12:00 100
        BBB 12:00 100
        AAA 12:01 100
        BBB 12:02 100
        AAA 12:04 100
        BBB 12:04 100
        """
    )
    parts = spine()
    thread = parts.thread(Slices)
    parts.run(rows)
    assert seen(thread) == [
        ("1m", minute(1), ()),
        ("1m", minute(2), ("BBB",)),
        ("1m", minute(3), ("AAA",)),
        ("1m", minute(5), ()),
    ]


def test_on_slice_symbol_whose_calendar_is_closed_is_not_missing() -> None:
    day = nanoseconds("2024-01-02")
    corners = np.array([[day + (720 + at) * MINUTE_NS for at in (0, 0, 1, 1, 2, 2)]])  # 12:00 to 12:02
    tables = (utc_table(), table_from_sessions("XTST", corners, False))
    parts = Spine(market(tables=tables, calendar_of={"AAA": 0, "BBB": 1}, history=20))
    thread = parts.thread(Slices)
    parts.run([*bars("BBB 12:00 100"), *series([100.0] * 3, start="2024-01-02T12:01")])
    assert seen(thread) == [
        ("1m", minute(1), ("AAA",)),
        ("1m", minute(2), ("BBB",)),
        ("1m", minute(3), ()),
        ("1m", minute(4), ()),
    ]


def test_on_slice_bar_that_is_held_back_is_among_the_missing() -> None:
    rows = [*bars("AAA 12:00 nan 1 1 1"), *bars("BBB 12:00 100"), *both(3)[2:]]
    parts = spine()
    thread = parts.thread(Slices, policy=ThreadPolicy(min_quality=0.6))
    parts.run(rows)
    # AAA: 0 of 1 minutes, then 1 of 2 (held back), then 2 of 3.
    assert seen(thread) == [("1m", minute(1), ("AAA",)), ("1m", minute(2), ("AAA",)), ("1m", minute(3), ())]
    assert thread.subscription.held_back == 1
    assert lines(thread).of("notifications are held back: quality is below min_quality") == [{"min_quality": 0.6}]


# Signals.


class Everything(Bars):
    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        ctx.subscribe("AAA", "2m")

    def on_slice(self, interval: Interval, close_time: int, missing: tuple[str, ...]) -> None:
        for symbol in ("AAA", "BBB"):
            self.ctx.signal(symbol, Side.SELL, reason=f"slice {interval}")

    def on_session_open(self, calendar: str, open_time: int, close_time: int) -> None:
        self.ctx.signal("BBB", Side.FLAT, reason="open")

    def on_session_close(self, calendar: str, open_time: int, close_time: int) -> None:
        self.ctx.signal("BBB", Side.FLAT, reason="close")


def test_signals_say_the_event_and_the_open_time_of_its_bar() -> None:
    parts = spine()
    thread = parts.thread(Everything)
    late = nanoseconds("2024-01-02T23:58")
    parts.run(series([100.0] * 3, start="2024-01-02T23:58") + bars("BBB 2024-01-03T00:01 100"))

    def at(count: int) -> int:
        return late + count * MINUTE_NS

    day = nanoseconds("2024-01-02")
    found = [(r.time, r.open_time, r.symbol, r.reason or "bar") for r in thread.signals.kept]
    assert found == [
        (day, day, 1, "open"),
        (at(1), at(0), 0, "bar"), (at(1), at(0), 0, "slice 1m"), (at(1), at(0), 1, "slice 1m"),
        (at(2), at(1), 0, "bar"), (at(2), at(1), 0, "slice 1m"), (at(2), at(1), 1, "slice 1m"),
        (at(2), at(0), 0, "bar"), (at(2), at(0), 0, "slice 2m"), (at(2), at(0), 1, "slice 2m"),
        (at(2), at(2), 1, "close"), (at(2), at(2), 1, "open"),
        (at(3), at(2), 0, "bar"), (at(3), at(2), 0, "slice 1m"), (at(3), at(2), 1, "slice 1m"),
        (at(4), at(3), 1, "bar"), (at(4), at(3), 0, "slice 1m"), (at(4), at(3), 1, "slice 1m"),
        (at(4), at(2), 0, "bar"), (at(4), at(2), 0, "slice 2m"), (at(4), at(2), 1, "slice 2m"),
    ]  # fmt: skip
    assert thread.signals.count == len(found)


# Visibility and counting.


class Looks(Bars):
    """Compares what it sees with the event it is in."""

    def setup(self, ctx: Any) -> None:
        self.seen = []
        ctx.subscribe("*", "1m", lookback=3)
        ctx.watch("*", "2m")
        self.torn_down = 0

    def on_bars(self, symbol: str, interval: Interval) -> None:
        ctx = self.ctx
        lengths = tuple(ctx.bars(name, at).count for at in ("1m", "2m") for name in ctx.symbols)
        newest = max(int(ctx.bars(name, at).close_time[-1]) for at in ("1m",) for name in ctx.symbols)
        assert newest == ctx.now
        self.seen.append((symbol, *lengths))


@pytest.mark.parametrize(("window", "block"), [(1, 1), (8, 5), (64, 100)])
def test_run_strategy_sees_rows_up_to_its_event_and_begins_with_its_lookback(window: int, block: int) -> None:
    parts = spine(window=window, block=block)
    thread = parts.thread(Looks)
    parts.run(both(40))
    assert thread.errors == 0
    expected = []
    for count in range(3, 41):
        before = (count - 1) // 2  # 2m bars come behind the 1m bars of their step
        expected += [("AAA", count, count - 1, before, before), ("BBB", count, count, before, before)]
    assert seen(thread) == expected
    assert thread.durations.count == thread.subscription.notified == len(expected)


def test_run_on_a_core_of_its_own() -> None:
    import os

    class Where(Bars):
        def on_bars(self, symbol: str, interval: Interval) -> None:
            self.seen.append((tuple(os.sched_getaffinity(0)),))

    core = min(os.sched_getaffinity(0))
    parts = spine()
    thread = parts.thread(Where, policy=ThreadPolicy(core=core))
    parts.run(both(2))
    assert set(seen(thread)) == {((core,),)}


class Sessions(Bars):
    """Asks for the session in every callback."""

    def ask(self, what: str) -> None:
        self.seen.append((what, self.ctx.now, self.ctx.session("AAA")))

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.ask("bars")

    def on_session_open(self, calendar: str, open_time: int, close_time: int) -> None:
        self.ask("open")

    def on_session_close(self, calendar: str, open_time: int, close_time: int) -> None:
        self.ask("close")


def test_session_in_any_callback_is_the_one_that_the_event_belongs_to() -> None:
    parts = spine()
    thread = parts.thread(Sessions)
    parts.run(series([100.0] * 2, start="2024-01-02T23:59"))
    first, second = (nanoseconds(f"2024-01-0{day}") for day in (2, 3))
    days = (first, second), (second, nanoseconds("2024-01-04"))
    assert seen(thread) == [
        ("open", first, days[0]),
        ("bars", second, days[0]),
        ("close", second, days[0]),
        ("open", second, days[1]),
        ("bars", second + MINUTE_NS, days[1]),
    ]


class Broken(PythonIndicator):
    """A user's own indicator, which fails at one row."""

    def __init__(self) -> None:
        self.rows = 0

    def update(self, close: float) -> float:
        self.rows += 1
        if self.rows == 10:
            raise ZeroDivisionError("in the indicator")
        return float(self.rows)


class WithIndicator(Bars):
    """Reads it at every bar of AAA."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.own = ctx.indicator(Broken(), "AAA", "1m")
        self.values: list[float] = []

    def on_bars(self, symbol: str, interval: Interval) -> None:
        super().on_bars(symbol, interval)
        if symbol == "AAA":
            self.values.append(self.own.value)


class NeverReads(WithIndicator):
    on_bars = Bars.on_bars


@pytest.mark.parametrize("window", [1, 8])
def test_run_indicator_that_raises_is_an_error_of_its_strategy_at_its_bar(window: int) -> None:
    parts = spine(window=window)
    broken, healthy = parts.thread(WithIndicator, "broken"), parts.thread(Bars, "healthy")
    parts.run(both(30))
    assert (broken.state, broken.errors) == (State.STOPPED, 1)
    assert broken.last_error == "ZeroDivisionError: in the indicator"
    assert broken.strategy.values == [*range(1, 10), *range(11, 31)]
    assert (healthy.state, len(seen(healthy))) == (State.STOPPED, 60)
    assert broken.strategy.torn_down == 1
    assert broken.indicator_errors() == [("Broken on AAA 1m", "1 times")]


def test_run_indicator_that_raises_and_is_never_read_is_said() -> None:
    parts = spine()
    thread = parts.thread(NeverReads)
    parts.run(both(30))
    assert (thread.state, thread.errors) == (State.STOPPED, 0)
    assert thread.indicator_errors() == [("Broken on AAA 1m", "1 times")]


def test_signals_that_are_kept_note_named_indicators_and_change_nothing() -> None:
    class Names(Bars):
        def setup(self, ctx: Any) -> None:
            super().setup(ctx)
            self.own = ctx.indicator(Broken(), "AAA", "1m", name="own")
            self.mean = ctx.indicator(SMA(3), "AAA", "1m", name="mean")

    found = []
    for keep in (False, True):
        parts = spine()
        thread = parts.thread(Names, "one", ThreadPolicy(keep_signals=keep))
        parts.run(both(30))
        assert (thread.errors, thread.signals.count) == (0, 60)
        found.append(thread.signals.digest())
    assert found[0] == found[1]
    noted = [dict(record.indicators or ()) for record in thread.signals.kept]
    assert [set(one) for one in noted] == [{"own", "mean"}, set()] * 30  # of the signal's symbol only
    assert [one["own"] for one in noted[::2]][:9] == list(range(1, 10))
    assert math.isnan(noted[18]["own"])


def test_fault_lets_go_of_the_hubs_columns() -> None:
    class Exits(PythonIndicator):
        def update(self, close: float) -> float:
            raise SystemExit

    class NeverReadsIt(Bars):
        def setup(self, ctx: Any) -> None:
            super().setup(ctx)
            ctx.indicator(Exits(), "AAA", "1m")
            ctx.indicator(SMA(3), "AAA", "1m")

    parts = spine()
    bad, good = parts.thread(NeverReadsIt, "bad"), parts.thread(Bars, "good")
    parts.run(both(30))
    assert (bad.state, good.state, len(seen(good))) == (State.FAULTED, State.STOPPED, 60)
    assert {one.columns for one in parts.hub.stats()} == {0}


def test_abandon_lets_go_of_the_hubs_columns() -> None:
    class Asks(Bars):
        def setup(self, ctx: Any) -> None:
            super().setup(ctx)
            self.mean = ctx.indicator(SMA(3), "AAA", "1m")

    class AlsoAsks(Asks):
        def on_bars(self, symbol: str, interval: Interval) -> None:
            super().on_bars(symbol, interval)
            self.ctx.indicator(SMA(4), symbol, "1m")

    parts = spine()
    parts.thread(AlsoAsks, "bad", ThreadPolicy(max_errors=0), raises=(20,))
    good = parts.thread(Asks, "good")
    parts.run(both(40))
    columns = {one.label: (one.columns, one.users) for one in parts.hub.stats()}
    assert columns == {"SMA(3)": (1, 1), "SMA(4)": (0, 0)}
    assert good.strategy.mean.ready


def test_teardown_may_signal() -> None:
    class Leaves(Bars):
        def teardown(self) -> None:
            self.ctx.signal("AAA", Side.FLAT)

    parts = spine()
    thread = parts.thread(Leaves)
    parts.run(both(3))
    assert (thread.signals.count, thread.signals.kept[-1].time) == (7, minute(3))
