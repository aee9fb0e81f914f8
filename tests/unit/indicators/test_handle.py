from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.data.session_data import SessionData
from stratd.errors import IndicatorError, NotSubscribed, StrategySetupError
from stratd.indicators.base import Indicator, On
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.macd import MACD
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.handle import HandleGroup, IndicatorHandle
from stratd.indicators.hub import IndicatorHub
from stratd.indicators.user import PythonIndicator
from stratd.model import MINUTE_NS, Interval
from stratd.strategy.context import StrategyContext

from ...support.spine import market
from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

HISTORY = 12


class Player:
    """A writer with a hub, and strategies' contexts that follow window by window as their threads would."""

    def __init__(self, closes: list[float], behind: int = 0, symbols: tuple[str, ...] = ("AAA",), history: int = HISTORY) -> None:
        self.closes = np.array(closes)
        self.market = market(symbols, ("1m",), history, tick=0.01)
        self.data = SessionData(symbols, (Interval("1m"),), history + behind + 1)
        self.hub = IndicatorHub(self.data, lambda symbol, interval: self.market.streams[symbol, interval])
        self.readers: list[Reader] = []

    def reader(self, *, shared: bool = True) -> Reader:
        made = Reader(self, shared)
        self.readers.append(made)
        return made

    @property
    def written(self) -> int:
        return int(self.data.count[0, 0])

    def write(self, rows: int) -> None:
        start, symbols = self.written, len(self.data.symbols)
        self.data.make_room(np.full((1, symbols), rows))
        base = int(self.data.frame.base[0, 0])
        at = slice(start - base, start + rows - base)
        for s in range(symbols):
            self.data.frame.floats[0, :, s, at] = self.closes[start : start + rows] * (s + 1)
            self.data.frame.times[0, 0, s, at] = np.arange(start, start + rows) * MINUTE_NS
            self.data.frame.times[0, 1, s, at] = (np.arange(start, start + rows) + 1) * MINUTE_NS
        self.data.count[0] += rows
        self.hub.advance()


class Reader:
    """One strategy's context."""

    def __init__(self, player: Player, shared: bool) -> None:
        self.player = player
        self.context = StrategyContext("one", player.market)
        self.context.subscribe("*", "1m")
        self.series = [self.context.bars(symbol, "1m") for symbol in player.market.symbols]
        self.shared = shared

    def ask(self, indicator: Indicator, symbol: str = "AAA", **options: object) -> IndicatorHandle:
        handle: IndicatorHandle = self.context.indicator(indicator, symbol, "1m", **options)  # type: ignore[arg-type]
        return handle

    def begin(self) -> None:
        self.context.seal()
        self.context.attach(self.player.hub if self.shared else None)

    def window(self, stop: int) -> int:
        """What the thread does before it runs a window that ends with row `stop` (absolute). Returns where it begins."""
        frame = self.player.data.frame
        self.context.advance(frame, np.full(len(self.series), stop - int(frame.base[0, 0])))
        return self.series[0].count

    def cursor(self, count: int) -> None:
        for series in self.series:
            series._hi = count - series._base

    def play(self, stop: int) -> None:
        """Write up to row `stop`, show it, go there."""
        self.player.write(stop - self.player.written)
        self.window(stop)
        self.cursor(stop)


def in_one(indicator: Indicator, closes: list[float]) -> list[float]:
    column = np.array(closes)
    values = indicator.compute(dict.fromkeys(("open", "high", "low", "close", "volume"), column), tick=0.01)
    return values[indicator.outputs[0]].tolist()


def same(value: float, expected: float) -> bool:
    return value == expected or (math.isnan(value) and math.isnan(expected))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 100), st.integers(0, 2**32), st.integers(0, 5), st.booleans())
def test_handle_any_windows_and_compactions_give_the_values_of_one_go(rows: int, seed: int, behind: int, shared: bool) -> None:
    random = np.random.default_rng(seed)
    closes = (random.integers(1, 4000, rows) / 100).tolist()
    indicators: list[Indicator] = [SMA(3), EMA(4), SMA(1), SMA(3).of(EMA(2))]
    expected = [in_one(one, closes) for one in indicators]
    player = Player(closes, behind)
    reader = player.reader(shared=shared)
    handles = [reader.ask(one, lazy=lazy) for one in indicators for lazy in (False, True)]
    expected = [values for values in expected for _ in range(2)]
    handles += [reader.ask(one, private=True) for one in indicators]
    expected += [in_one(one, closes) for one in indicators]
    reader.begin()
    read = 0
    while read < rows:
        written = player.written
        # The writer may run ahead; the reader may get a window of a frame that has moved, without a row of its own.
        more = min(int(random.integers(0, 9)), rows - written, max(0, read + behind - written) if read < written else rows)
        player.write(more)
        written += more
        stop = int(random.choice([read, written, (read + written) // 2]))
        assert reader.window(stop) == read
        for count in range(read, stop + 1):
            reader.cursor(count)
            for one, values in zip(handles, expected, strict=True):
                if one is not handles[1] or count % 3 == 0:  # a lazy one is not read at every bar
                    np.testing.assert_array_equal(one.values, values[max(0, count - HISTORY) : count])
                    assert same(one.value, values[count - 1] if count else math.nan)
                    assert one.ready == (count >= one.indicator.warmup)
        read = stop


def test_handle_before_the_first_bar_is_not_a_number() -> None:
    player = Player([1.0, 2.0, 3.0])
    reader = player.reader()
    for options in ({}, {"lazy": True}, {"private": True}):
        one = reader.ask(SMA(2), **options)
        assert math.isnan(one.value)
        assert (one.ready, len(one), one.values.tolist()) == (False, 0, [])
        with pytest.raises(IndexError):
            one[-1]
    reader.begin()
    assert math.isnan(one.value)


def test_handle_reads_like_a_list_of_the_visible_values() -> None:
    player = Player([float(i) for i in range(30)])
    reader = player.reader()
    one = reader.ask(SMA(2))
    reader.begin()
    for stop in range(5, 31, 5):
        reader.play(stop)
    assert one.value == one[-1] == 28.5
    assert type(one.value) is float
    assert type(one[-1]) is float
    assert one[-3:].tolist() == [26.5, 27.5, 28.5]
    assert one[-2] == 27.5
    assert len(one) == len(one.values) == len(list(one)) == HISTORY
    assert one[0] == one[-HISTORY]
    with pytest.raises(IndexError):
        one[-HISTORY - 1]
    assert repr(one) == "SMA(2) of AAA 1m = 28.5"
    assert (one.symbol, one.interval) == ("AAA", "1m")


def test_handle_shows_nothing_beyond_the_cursor() -> None:
    player = Player([float(i) for i in range(10)], behind=6)
    reader = player.reader()
    one, lazy = reader.ask(SMA(1)), reader.ask(SMA(1), lazy=True)
    reader.begin()
    player.write(10)
    reader.window(10)  # computed ahead for the whole window
    reader.cursor(4)
    for handle in (one, lazy):
        assert handle.value == 3.0
        assert handle.values.max() == handle[-1] == handle[:][-1] == 3.0
        assert handle[4:].size == 0


@pytest.mark.parametrize("options", [{}, {"lazy": True}])
def test_handle_view_cannot_be_written_and_keeps_its_values(options: dict[str, bool]) -> None:
    player = Player([float(i) for i in range(40)])
    reader = player.reader()
    one = reader.ask(SMA(1), **options)
    reader.begin()
    reader.play(10)
    view = one.values
    before = view.tolist()
    with pytest.raises(ValueError):
        view[0] = 1.0
    with pytest.raises(ValueError):
        view.flags.writeable = True  # the memory itself is mapped for reading only
    for stop in range(20, 41, 10):
        reader.play(stop)
    assert view.tolist() == before


def test_indicator_asked_for_twice_is_one_handle() -> None:
    context = StrategyContext("one", market(("AAA",), ("1m", "5m"), HISTORY))
    context.subscribe("AAA", "1m")
    context.watch("AAA", "5m")
    first = context.indicator(SMA(3), "AAA", "1m")
    assert isinstance(first, IndicatorHandle)
    assert context.indicator(SMA(3), "AAA", "1m") is first
    assert context.indicator(SMA(4), "AAA", "1m") is not first
    assert context.indicator(SMA(3), "AAA", "5m") is not first


def test_indicator_with_several_outputs_gives_a_handle_for_each() -> None:
    closes = (100 + np.cumsum(np.random.default_rng(2).normal(0, 1, 90))).round(2).tolist()
    player = Player(closes, history=60)
    reader = player.reader()
    spec = MACD(3, 6, 4)
    group: HandleGroup = reader.ask(spec, name="trend")  # type: ignore[assignment]
    reader.begin()
    expected = spec.compute({"close": closes}, tick=0.01)
    for stop in range(1, 91):
        reader.play(stop)
        assert group.ready == (stop >= 9)
        for output in ("macd", "signal", "histogram"):
            assert same(getattr(group, output).value, expected[output][stop - 1])
    assert group.value == group.macd.value == group[-1]
    assert group.signal.name == "trend.signal"
    shown = {(f"trend.{output}", "AAA", "1m"): expected[output][-1] for output in spec.outputs}
    assert reader.context.snapshot() == shown
    assert [handle.name for handle in reader.context.handles.named("AAA")] == [name for name, _, _ in shown]
    assert reader.context.handles.named("BBB") == []
    with pytest.raises(AttributeError, match="has the outputs macd, signal, histogram, not 'sigal'"):
        group.sigal  # noqa: B018


def test_indicator_of_another_symbol_is_as_it_stood_when_the_event_came() -> None:
    player = Player([1.0, 2.0, 4.0, 8.0], symbols=("AAA", "BBB"))
    reader = player.reader()
    behind = reader.ask(On("close", "AAA"), "BBB")
    ahead = reader.ask(On("close", "BBB"), "AAA")
    reader.begin()
    for stop, mine in enumerate([1.0, 2.0, 4.0, 8.0], 1):
        reader.play(stop)
        assert behind.value == mine  # AAA comes first, its bar of the same minute is there
        assert same(ahead.value, 2 * [math.nan, 1.0, 2.0, 4.0][stop - 1])  # BBB's is not, yet


def test_indicator_of_a_stream_that_is_not_visible_is_refused() -> None:
    context = StrategyContext("one", market(("AAA", "BBB"), ("1m",), HISTORY))
    context.subscribe("AAA", "1m")
    with pytest.raises(NotSubscribed):
        context.indicator(SMA(2), "BBB", "1m")
    with pytest.raises(NotSubscribed):
        context.indicator(SMA(2).of(On("close", "BBB")), "AAA", "1m")
    with pytest.raises(IndicatorError, match="is the stream itself"):
        context.indicator(SMA(2).of(On("close", "AAA")), "AAA", "1m")


def test_indicator_that_looks_back_too_far_says_what_to_raise() -> None:
    context = StrategyContext("one", market(("AAA",), ("1m",), HISTORY))
    context.subscribe("AAA", "1m")
    for spec in (SMA(13), EMA(2).of(SMA(13)), MACD(2, 3, 4, SMA(13))):
        with pytest.raises(StrategySetupError, match="looks back 13 bars, the session holds 12: raise history_bars"):
            context.indicator(spec, "AAA", "1m")
    context.indicator(SMA(12), "AAA", "1m")


def test_indicator_name_can_be_taken_once() -> None:
    context = StrategyContext("one", market(("AAA",), ("1m",), HISTORY))
    context.subscribe("AAA", "1m")
    one = context.indicator(SMA(3), "AAA", "1m", name="fast")
    assert context.indicator(SMA(3), "AAA", "1m", name="fast") is one
    with pytest.raises(StrategySetupError, match="another indicator named 'fast'"):
        context.indicator(SMA(4), "AAA", "1m", name="fast")


@pytest.mark.parametrize(("given", "message"), [("SMA", "is no indicator"), (SMA, "is no indicator")])
def test_indicator_that_is_none_says_so(given: object, message: str) -> None:
    context = StrategyContext("one", market(("AAA",), ("1m",), HISTORY))
    context.subscribe("AAA", "1m")
    with pytest.raises(StrategySetupError, match=message):
        context.indicator(given, "AAA", "1m")  # type: ignore[arg-type]
    with pytest.raises(StrategySetupError, match="dtype is float64 or float32, not 'f4'"):
        context.indicator(SMA(2), "AAA", "1m", dtype="f4")  # type: ignore[arg-type]


def test_indicator_kept_as_float32_is_rounded_to_24_bits() -> None:
    closes = (100 + np.cumsum(np.random.default_rng(2).normal(0, 1, 50))).round(2).tolist()
    player = Player(closes)
    reader = player.reader()
    wide, narrow = reader.ask(SMA(3)), reader.ask(SMA(3), dtype="float32")
    reader.begin()
    for stop in range(3, 51):
        reader.play(stop)
        assert narrow.values.dtype == np.float32
        assert narrow.value == np.float32(wide.value)
        assert abs(narrow.value / wide.value - 1) < 6e-8


def test_indicator_in_plain_python_of_another_one_is_refused() -> None:
    class Inner(PythonIndicator):
        def update(self, close: float) -> float:
            return close

    class Outer(PythonIndicator):
        inputs = (Inner(),)

        def update(self, value: float) -> float:
            return value

    reader = Player([1.0, 2.0]).reader()
    with pytest.raises(IndicatorError, match="plain Python"):
        reader.ask(Outer())
    with pytest.raises(IndicatorError, match="cannot be computed from compiled parts|plain Python"):
        reader.ask(SMA(3).of(Inner()))
