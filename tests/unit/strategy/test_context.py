from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stratd.data.calendars import table_from_sessions, utc_table
from stratd.data.subscription import NOTIFY, WATCH
from stratd.errors import DataError, NotSubscribed, StrategySetupError
from stratd.indicators import SMA
from stratd.model import MINUTE_NS, Interval, Side, Signal
from stratd.strategy.context import StrategyContext
from stratd.testing.bars import nanoseconds

from ...support.spine import market

SYMBOLS = ("BTC/USD", "ETH/USD", "SPY", "ES[H4]")
INTERVALS = ("1m", "5m", "1h")


@pytest.fixture
def ctx() -> StrategyContext:
    return StrategyContext("one", market(SYMBOLS, INTERVALS, history=20))


def streams(ctx: StrategyContext) -> list[tuple[str, str, int, int]]:
    return [(series.symbol, str(series.interval), slot.kind, slot.lookback) for series, slot in ctx.slots()]


# Subscribing.


@pytest.mark.parametrize(
    ("wanted", "matched"),
    [
        ("SPY", ("SPY",)),
        ("*", SYMBOLS),
        ("*/USD", ("BTC/USD", "ETH/USD")),
        ("S?Y", ("SPY",)),
        (["SPY", "BTC/USD"], ("BTC/USD", "SPY")),
        (["SPY", "S*", "SPY"], ("SPY",)),
        ("ES[H4]", ("ES[H4]",)),
        ("ES[*", ("ES[H4]",)),
        ((name for name in ("ETH/USD",)), ("ETH/USD",)),
    ],
)
def test_subscribe_matches_names_and_wildcards_in_the_sessions_order(ctx: StrategyContext, wanted: Any, matched: Any) -> None:
    assert ctx.subscribe(wanted, "5m") == matched
    assert [series.symbol for series, _ in ctx.slots()] == list(matched)


@pytest.mark.parametrize(
    ("symbols", "interval", "lookback", "said"),
    [
        ("SPX", "1m", 0, "no symbol that matches 'SPX'; did you mean SPY"),
        (["SPY", "Q*"], "1m", 0, r"no symbol that matches 'Q\*'; it has BTC/USD, ETH/USD, SPY"),
        ("ES[HM]4", "1m", 0, "no symbol that matches"),
        ("spy", "1m", 0, "did you mean SPY"),
        ("SPY", "15m", 0, r"no 15m bars \(it has 1m, 5m, 1h\); add 15 to derived_intervals"),
        ("SPY", "soon", 0, "'soon' is not an interval"),
        ("SPY", "1m", 21, r"lookback 21 is not within 0 and history_bars \(20\)"),
        ("SPY", "1m", -1, "lookback -1"),
    ],
)
def test_subscribe_impossible_says_what_to_do_and_changes_nothing(
    ctx: StrategyContext, symbols: Any, interval: str, lookback: int, said: str
) -> None:
    with pytest.raises(StrategySetupError, match=f"strategy one: .*{said}"):
        ctx.subscribe(symbols, interval, lookback=lookback)
    assert ctx.slots() == []


def test_watch_then_subscribe_becomes_a_subscription_and_never_goes_back(ctx: StrategyContext) -> None:
    ctx.watch("SPY", "1m")
    assert streams(ctx) == [("SPY", "1m", WATCH, 0)]
    ctx.subscribe("*", "1m", lookback=5)
    ctx.watch("SPY", "1m")
    ctx.subscribe("SPY", "1m", lookback=3)
    assert streams(ctx)[0] == ("SPY", "1m", NOTIFY, 5)
    assert [symbol for symbol, *_ in streams(ctx)] == ["SPY", "BTC/USD", "ETH/USD", "ES[H4]"]


@pytest.mark.parametrize("what", ["subscribe", "watch"])
def test_setup_over_nothing_more_can_be_asked_for(ctx: StrategyContext, what: str) -> None:
    ctx.subscribe("SPY", "1m")
    ctx.seal()
    calls: dict[str, Any] = {
        "subscribe": lambda: ctx.subscribe("SPY", "5m"),
        "watch": lambda: ctx.watch("SPY", "5m"),
    }
    with pytest.raises(StrategySetupError, match=f"{what} is called in setup"):
        calls[what]()


# Reading.


def test_bars_any_spelling_of_an_interval_gives_the_one_series(ctx: StrategyContext) -> None:
    ctx.subscribe("SPY", "1h")
    found = ctx.bars("SPY", "1h")
    assert ctx.bars("SPY", "60m") is found
    assert ctx.bars("SPY", Interval("1h")) is found
    assert ctx.bars("SPY", "60m") is found


@pytest.mark.parametrize(
    ("symbol", "interval"), [("SPY", "5m"), ("BTC/USD", "1m"), ("NONE", "1m"), ("SPY", "soon"), ("SPY", "15m")]
)
def test_bars_of_another_stream_is_an_error_that_says_what_there_is(ctx: StrategyContext, symbol: str, interval: str) -> None:
    ctx.subscribe("SPY", "1m")
    with pytest.raises(NotSubscribed, match=r"ctx\.subscribe") as caught:
        ctx.bars(symbol, interval)
    assert (caught.value.symbol, caught.value.interval) == (symbol, interval)
    if interval != "soon":
        assert "SPY 1m" in str(caught.value)


def test_indicator_of_a_stream_that_is_not_visible_or_too_far_back_is_refused(ctx: StrategyContext) -> None:
    with pytest.raises(NotSubscribed, match="It has: nothing"):
        ctx.indicator(SMA(3), "SPY", "1m")
    ctx.watch("SPY", "1m")
    assert ctx.indicator(SMA(20), "SPY", "1m").indicator == SMA(20)
    with pytest.raises(StrategySetupError, match=r"SMA\(21\) looks back 21 bars, the session holds 20: raise history_bars"):
        ctx.indicator(SMA(21), "SPY", "1m")


def test_instruments_cannot_be_changed(ctx: StrategyContext) -> None:
    with pytest.raises(TypeError):
        ctx.instruments["SPY"] = None  # type: ignore[index]


# Acting.


def test_emit_before_the_first_event_is_refused(ctx: StrategyContext) -> None:
    with pytest.raises(StrategySetupError, match="none before the first bar"):
        ctx.signal("SPY", Side.BUY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "hold"}, {"strength": 1.5}, {"strength": float("nan")}, {"reason": 5}, {"reason": None}, {"target_weight": float("inf")},
        {"limit_price": 0.0}, {"stop_price": -1.0}, {"take_profit_price": float("nan")},
    ],
)  # fmt: skip
@pytest.mark.parametrize("price", [{}, {"limit_price": 10.0}])
def test_signal_that_a_signal_cannot_be_is_refused_where_it_is_made(ctx: StrategyContext, wrong: Any, price: Any) -> None:
    ctx._moment.time = MINUTE_NS
    values: dict[str, Any] = {"side": Side.BUY, **price, **wrong}
    with pytest.raises((ValueError, TypeError)):
        ctx.signal("SPY", **values)
    assert ctx._signals == []


def test_signal_and_emit_keep_the_same() -> None:
    records = []
    for way in ("signal", "emit"):
        ctx = StrategyContext("one", market(SYMBOLS, INTERVALS))
        ctx._moment.time = MINUTE_NS
        values: dict[str, Any] = {
            "strength": 0.5, "reason": "because", "target_weight": -0.1, "limit_price": 10.0, "stop_price": 9.0, "take_profit_price": 12.0,
        }  # fmt: skip
        for some in ({}, values):
            ctx.signal("SPY", "sell", **some) if way == "signal" else ctx.emit(Signal("SPY", Side.SELL, **some))  # type: ignore[arg-type]
        records.append(list(ctx._signals))
    assert records[0] == records[1]
    assert [record[:3] for record in records[0]] == [(MINUTE_NS, MINUTE_NS, SYMBOLS.index("SPY"))] * 2
    assert records[0][1][3:] == (Side.SELL, *values.values(), None)


@pytest.mark.parametrize("call", ["emit", "session"])
def test_symbol_that_the_session_does_not_have_is_an_error_with_the_nearest(ctx: StrategyContext, call: str) -> None:
    with pytest.raises(DataError, match="no symbol 'SPX'; did you mean SPY"):
        ctx.emit(Signal("SPX", Side.BUY)) if call == "emit" else ctx.session("SPX")


def test_session_is_that_of_the_minute_before_now() -> None:
    day = nanoseconds("2024-01-02")
    # Pre-market from 00:10, regular 00:12 to 00:20, post-market to 00:22.
    corners = np.array([[day + minute * MINUTE_NS for minute in (10, 12, 16, 16, 20, 22)]])
    tables = (utc_table(), table_from_sessions("XTST", corners, True))
    ctx = StrategyContext("one", market(("BTC", "SPY"), tables=tables, calendar_of={"BTC": 0, "SPY": 1}))
    found = {}
    for minute in (1, 10, 12, 13, 20, 21, 22, 23):
        ctx._moment.time, ctx._moment.minute = day + minute * MINUTE_NS, day + (minute - 1) * MINUTE_NS
        assert ctx.now == day + minute * MINUTE_NS
        assert ctx.session("BTC") == (day, day + 1440 * MINUTE_NS)
        found[minute] = ctx.session("SPY")
    regular = (day + 12 * MINUTE_NS, day + 20 * MINUTE_NS)
    assert found == {1: None, 10: None, 12: None, 13: regular, 20: regular, 21: None, 22: None, 23: None}


def test_session_before_the_first_event_is_none(ctx: StrategyContext) -> None:
    assert ctx.session("SPY") is None
