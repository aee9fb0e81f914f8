"""Many strategies that ask for the same indicators, read them and let go of them at random: nobody waits for ever, nobody sees a wrong value."""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import numpy as np
import pytest

from stratd import EMA, Strategy
from stratd.core.states import State
from stratd.indicators.user import PythonIndicator
from stratd.strategy.thread import StrategyThread, ThreadPolicy
from stratd.testing.bars import nanoseconds
from tests.support.holders import SPECS, outputs_of
from tests.support.row_feed import RowFeed
from tests.support.spine import Spine, market
from tests.support.tight import tight_memory  # noqa: F401 - a fixture for all tests here
from tests.support.visible import Stream, World, close_enough, walk

SYMBOLS = ("BBB", "AAA", "CCC")
HISTORY = 25
DEADLINE = 60.0
BARRIER = 2.0  # seconds; long enough for a machine that is busy with other things
STREAMS: tuple[Stream, ...] = tuple((symbol, interval) for symbol in SYMBOLS for interval in ("1m", "5m"))
ROWS = walk(6, SYMBOLS, nanoseconds("2024-01-02T22:17"), 260, hole=(150, 160))
WORLD = World(ROWS, SYMBOLS, (1, 5))
ON_1M = [*("sma", "ema", "ema3", "rsi", "atr", "highest", "obv", "vwap", "boll", "macd", "sma of rsi")]
CROSSED = ["close BBB", "rsi CCC", "ema BBB 5m", "correlation CCC", "close CCC by BBB"]
OPTIONS: tuple[dict[str, Any], ...] = ({}, {}, {"lazy": True}, {"private": True}, {"lazy": True, "private": True})


class Shown(NamedTuple):
    """The newest values that a handle showed, and of which rows they are."""

    spec: str
    output: str
    stream: Stream
    begins: tuple[tuple[Stream, int], ...]
    stop: int
    values: tuple[float, ...]


class Member(Strategy[Any]):
    """At random bars asks, reads a few handles, and lets go of some; what it does depends on its number alone."""

    number = 0
    crossed_late = False  # whether it asks in callbacks for inputs of other streams, too
    released: threading.Event  # ends what hangs

    def setup(self, ctx: Any) -> None:
        self.random = np.random.default_rng(self.number)
        self.calls = 0
        self.shown: list[Shown] = []
        self.held: list[tuple[str, Stream, dict[Stream, int], Any]] = []
        for stream in STREAMS[self.number % 3 :: 2]:
            ctx.subscribe(*stream)
        for stream in STREAMS:
            ctx.watch(*stream)
        for _ in range(8):
            self.ask({})

    def ask(self, begins: dict[Stream, int]) -> None:
        crossed = self.random.random() < 0.3 and (self.crossed_late or not begins)
        spec = str(self.random.choice(CROSSED if crossed else ON_1M))
        stream = ("AAA", "1m") if crossed else STREAMS[int(self.random.integers(0, len(STREAMS)))]
        options = OPTIONS[int(self.random.integers(0, len(OPTIONS)))]
        handle = self.ctx.indicator(SPECS[spec], *stream, **options)
        if all(handle is not other for *_, other in self.held):  # asking twice gives the same
            self.held.append((spec, stream, begins, handle))

    def on_bars(self, symbol: str, interval: Any) -> None:
        self.calls += 1
        if self.random.random() < 0.15:
            self.ask({stream: self.ctx.bars(*stream).first_held for stream in STREAMS})
        if self.held and self.random.random() < 0.15:
            *_, handle = self.held.pop(int(self.random.integers(0, len(self.held))))
            self.ctx.release(handle)
            assert math.isnan(handle.value)
        for at in self.random.integers(0, max(1, len(self.held)), 4) if self.held else ():
            spec, stream, begins, handle = self.held[int(at)]
            stop = self.ctx.bars(*stream).count
            for output, one in outputs_of(handle):
                self.shown.append(Shown(spec, output, stream, tuple(begins.items()), stop, tuple(one[-4:].tolist())))
        self.misbehave()

    def misbehave(self) -> None:
        """Most do not."""

    def teardown(self) -> None:
        for *_, handle in self.held:
            self.ctx.release(handle)
        self.held.clear()


class Crossed(Member):
    crossed_late = True


class Raising(Member):
    def misbehave(self) -> None:
        if self.calls % 3 == 0:
            raise ValueError(f"call {self.calls}")


class Breaking(Member):
    """Past its errors in the middle of the session."""

    def misbehave(self) -> None:
        if self.calls > 90:
            raise ValueError(f"call {self.calls}")


class Hanging(Member):
    """Hangs; when it is let go it goes on to ask and to release, although the session has long left it behind."""

    def misbehave(self) -> None:
        if self.calls == 70:
            assert self.released.wait(DEADLINE)
            try:
                for _ in range(5):
                    self.ask({})
            finally:
                self.released_late = True


class HangingInIndicator(Member):
    """Its own indicator never comes back."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        released = self.released

        class Endless(PythonIndicator):
            rows = 0

            def update(self, close: float) -> float:  # type: ignore[override]
                self.rows += 1
                assert self.rows < 50 or released.wait(DEADLINE)
                return close

        ctx.indicator(Endless(), "AAA", "1m")


def counts(spine: Spine) -> dict[tuple[str, str], tuple[int, int]]:
    return {(one.label, one.interval): (one.columns, one.users) for one in spine.hub.stats() if one.columns or one.users}


def wrong_values(member: Member) -> list[str]:
    wrong = []
    for one in member.shown:
        begins = dict(one.begins)
        begin = begins.get(one.stream, 0)
        column = WORLD.values(one.spec, one.stream, begin, one.stop, begins)[one.output]
        expected = np.concatenate([np.full(begin, np.nan), column])[max(0, one.stop - HISTORY) :][-4:]
        if not close_enough(np.array(one.values), expected):
            wrong.append(f"{one}: not {expected}")
    return wrong


def play(
    kinds: dict[str, tuple[type[Member], int]], seed: int, window: int, block: int, errors: int
) -> tuple[Spine, dict[str, StrategyThread]]:
    """Play all rows to strategies, given by name with their numbers; lets go of what hangs when the feed is at its end."""
    released = threading.Event()
    spine = Spine(market(SYMBOLS, ("1m", "5m"), HISTORY, tick=0.25), window=window, block=block, timeout=BARRIER)
    for name, (kind, number) in kinds.items():
        made = type(kind.__name__, (kind,), {"number": 1000 * seed + number, "released": released})
        spine.thread(made, name, ThreadPolicy(max_errors=10**6 if kind is Raising else errors))
    spine.build(RowFeed(ROWS))
    spine.strategies.start()
    spine.processor.start()
    try:
        assert spine.processor.join(DEADLINE)
        assert spine.strategies.join(DEADLINE) == []
    finally:
        released.set()
    for thread in spine.threads:
        assert thread.join(DEADLINE), f"{thread.name} does not end"
    spine.rejects.close()
    assert spine.processor.error is None
    return spine, {thread.name: thread for thread in spine.threads}


@pytest.mark.parametrize(
    ("seed", "window", "block", "kind"),
    [
        *((0, 1, 1, Member), (1, 3, 2, Member), (2, 64, 3, Member), (3, 64, 4096, Member), (4, 4096, 7, Member)),
        *((5, 1, 1, Crossed), (6, 64, 3, Crossed)),
    ],
)
def test_hub_twenty_strategies_that_ask_and_release_at_random_see_right_values_and_leave_nothing(
    seed: int, window: int, block: int, kind: type[Member]
) -> None:
    spine, threads = play({f"member {number}": (kind, number) for number in range(20)}, seed, window, block, 0)
    assert spine.timed_out == []
    assert {(thread.errors, thread.last_error) for thread in threads.values()} == {(0, None)}
    assert min(len(thread.strategy.shown) for thread in threads.values()) > 200
    assert [one for thread in threads.values() for one in wrong_values(thread.strategy)] == []
    assert counts(spine) == {}


@pytest.mark.parametrize(("seed", "window", "block"), [(5, 2, 1), (6, 64, 3), (7, 4096, 50)])
def test_hub_strategies_that_hang_or_raise_stall_nobody_and_spoil_nothing(seed: int, window: int, block: int) -> None:
    kinds: dict[str, tuple[type[Member], int]] = {f"member {number}": (Member, number) for number in range(15)}
    kinds |= {"hanging": (Hanging, 15), "raising": (Raising, 16), "breaking": (Breaking, 17)}
    kinds |= {"hanging inside": (HangingInIndicator, 18)}
    spine, threads = play(kinds, seed, window, block, 5)
    alone, unharmed = play({name: kind for name, kind in kinds.items() if "member" in name}, seed, window, block, 0)
    del alone
    # With a window of all steps nobody waits for those that hang before the end.
    assert sorted(spine.timed_out) == ["hanging", "hanging inside"]
    for name, thread in threads.items():
        found = {"hanging": State.QUARANTINED, "hanging inside": State.QUARANTINED, "breaking": State.QUARANTINED}
        assert (name, thread.state) == (name, found.get(name, State.STOPPED))
        assert (name, wrong_values(thread.strategy)) == (name, [])
    for name, thread in unharmed.items():
        assert (thread.errors, threads[name].errors) == (0, 0)
        assert [one._replace(values=()) for one in threads[name].strategy.shown] == [
            one._replace(values=()) for one in thread.strategy.shown
        ]
        ours, theirs = (np.concatenate([one.values for one in run.strategy.shown]) for run in (threads[name], thread))
        assert ours.tobytes() == theirs.tobytes()
    assert threads["breaking"].errors == 6
    assert counts(spine) == {}


def test_hub_requests_of_a_strategy_that_was_abandoned_add_no_columns() -> None:
    """It wakes when the session is over."""
    spine, threads = play({"hanging": (Hanging, 1), "member": (Member, 2)}, 8, 64, 3, 0)
    assert spine.timed_out == ["hanging"]
    assert threads["hanging"].strategy.released_late
    assert wrong_values(threads["member"].strategy) == []
    assert counts(spine) == {}


def test_hub_request_and_release_from_many_threads_at_once_end_with_nothing_in_use() -> None:
    """Not at bars: threads that do nothing but ask and let go, against a writer that appends."""
    asked = 0

    class Busy(Member):
        def on_bars(self, symbol: str, interval: Any) -> None:
            nonlocal asked
            for period in range(2, 12):
                handle = self.ctx.indicator(EMA(period), "AAA", "1m", lazy=period % 2 == 0)
                assert math.isnan(handle.value) or handle.value > 0
                asked += 1
                self.ctx.release(handle)

    kinds: dict[str, tuple[type[Member], int]] = {f"busy {number}": (Busy, number) for number in range(8)}
    spine, threads = play(kinds, 9, 16, 5, 0)
    assert {(thread.errors, thread.last_error) for thread in threads.values()} == {(0, None)}
    assert asked > 8 * 1000
    assert counts(spine) == {}
