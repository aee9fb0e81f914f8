from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.data.session_data import SessionData
from stratd.indicators import EMA, SMA, Highest, Indicator, handle
from stratd.indicators.handle import IndicatorHandle
from stratd.model import MINUTE_NS, Interval
from stratd.strategy.context import StrategyContext

from ...support.spine import market
from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

HISTORY = 12
INTERVALS = (Interval("1m"),)


class Player:
    """A writer, and a context that follows it window by window as its thread would."""

    def __init__(self, indicators: list[Indicator], closes: list[float], behind: int = 0) -> None:
        self.closes = closes
        self.behind = behind
        self.data = SessionData(("AAA",), INTERVALS, HISTORY + behind + 1)
        self.context = StrategyContext("one", market(("AAA",), ("1m",), HISTORY, tick=0.01))
        self.context.subscribe("AAA", "1m")
        self.handles = [self.context.indicator(one, "AAA", "1m") for one in indicators]
        self.context.seal()
        self.series = self.context.bars("AAA", "1m")

    def write(self, rows: int) -> None:
        start = int(self.data.count[0, 0])
        self.data.make_room(np.array([[rows]]))
        at = slice(start - int(self.data.frame.base[0, 0]), start + rows - int(self.data.frame.base[0, 0]))
        self.data.frame.floats[0, :, 0, at] = self.closes[start : start + rows]
        self.data.frame.times[0, 1, 0, at] = (np.arange(start, start + rows) + 1) * MINUTE_NS
        self.data.count[0, 0] += rows

    def window(self, stop: int) -> int:
        """What the thread does before it runs a window that ends with row `stop` (absolute). Returns where it begins."""
        frame = self.data.frame
        self.context.advance(frame, np.array([stop - int(frame.base[0, 0])]))
        return self.series.count

    def cursor(self, count: int) -> None:
        self.series._hi = count - self.series._base


def in_one(indicator: Indicator, closes: list[float]) -> list[float]:
    out = np.empty(len(closes))
    column = np.array(closes)
    indicator.advance((column,) * len(indicator.fields), 0, len(closes), indicator.new_state(0.01), out)
    return out.tolist()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 100), st.integers(0, 2**32), st.integers(1, 8), st.integers(0, 5))
def test_handle_any_windows_and_compactions_give_the_values_of_one_go(
    monkeypatch: pytest.MonkeyPatch, rows: int, seed: int, spare: int, behind: int
) -> None:
    monkeypatch.setattr(handle, "_SPARE", spare)  # so that the column moves, too
    random = np.random.default_rng(seed)
    closes = (random.integers(1, 4000, rows) / 100).tolist()
    indicators: list[Indicator] = [SMA(3), EMA(4), Highest(5), SMA(1)]
    expected = [in_one(one, closes) for one in indicators]
    player = Player(indicators, closes, behind)
    read = 0
    while read < rows:
        written = int(player.data.count[0, 0])
        # The writer may run ahead; the reader may get a window of a frame that has moved, without a row of its own.
        more = min(int(random.integers(0, 9)), rows - written, max(0, read + behind - written) if read < written else rows)
        player.write(more)
        written += more
        stop = int(random.choice([read, written, (read + written) // 2]))
        assert player.window(stop) == read
        for count in range(read, stop + 1):
            player.cursor(count)
            for one, values in zip(player.handles, expected, strict=True):
                np.testing.assert_array_equal(one.values, values[max(0, count - HISTORY) : count])
                newest = values[count - 1] if count else math.nan
                assert one.value == newest or (math.isnan(one.value) and math.isnan(newest))
                assert one.ready == (count >= one.indicator.warmup)
        read = stop


def test_handle_before_the_first_bar_is_not_a_number() -> None:
    player = Player([SMA(2)], [1.0, 2.0, 3.0])
    (one,) = player.handles
    assert math.isnan(one.value)
    assert (one.ready, len(one), one.values.tolist()) == (False, 0, [])
    with pytest.raises(IndexError):
        one[-1]


def test_handle_reads_like_a_list_of_the_visible_values() -> None:
    closes = [float(i) for i in range(30)]
    player = Player([SMA(2)], closes)
    for first in range(0, 30, 5):
        player.write(5)
        player.window(first + 5)
        player.cursor(first + 5)
    (one,) = player.handles
    assert one.value == one[-1] == 28.5
    assert type(one.value) is float
    assert type(one[-1]) is float
    assert one[-3:].tolist() == [26.5, 27.5, 28.5]
    assert one[-2] == 27.5
    assert len(one) == len(one.values) == HISTORY
    assert one[0] == one[-HISTORY]
    with pytest.raises(IndexError):
        one[-HISTORY - 1]
    assert repr(one) == "SMA(2) of AAA 1m = 28.5"


def test_handle_shows_nothing_beyond_the_cursor() -> None:
    player = Player([SMA(1)], [float(i) for i in range(10)], behind=6)
    player.write(10)
    player.window(10)  # computed ahead for the whole window
    player.cursor(4)
    (one,) = player.handles
    assert one.value == 3.0
    assert one.values.max() == one[-1] == one[:][-1] == 3.0
    assert one[4:].size == 0


def test_handle_view_is_read_only_and_keeps_its_values() -> None:
    player = Player([SMA(1)], [float(i) for i in range(40)])
    (one,) = player.handles
    player.write(10)
    player.window(10)
    player.cursor(10)
    view = one.values
    before = view.tolist()
    with pytest.raises(ValueError):
        view[0] = 1.0
    for first in range(10, 40, 10):
        player.write(10)
        player.window(first + 10)
        player.cursor(first + 10)
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
