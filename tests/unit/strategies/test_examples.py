"""Each shipped example on hand-made bars whose signals are known."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stratd.data.calendars import table_from_sessions
from stratd.model import Bar, Interval, Side
from stratd.strategy.base import Strategy
from stratd.strategy.plugin import discover_strategies, load_strategy, unload
from stratd.system.calendars import load_calendar
from tests.support.fake_strategy import START_NS, FakeContext, Said, bar, play
from tests.support.paths import repo_root

FIVE = Interval("5m")
MINUTE = 60_000_000_000
NAMES = [
    "cross_sectional_momentum",
    "donchian_breakout",
    "opening_range_breakout",
    "rsi_mean_reversion",
    "simple_ma_cross",
]


@pytest.fixture(scope="module")
def kinds() -> Iterator[dict[str, type[Strategy[Any]]]]:
    loaded = {name: load_strategy(f"strategies.examples.{name}", root=repo_root(), unique_name=name) for name in NAMES}
    yield loaded
    for kind in loaded.values():
        unload(kind)


def said(context: FakeContext) -> list[tuple[int, str, Side]]:
    return [(one.at, one.symbol, one.side) for one in context.said]


# --- all -----------------------------------------------------------------------------------------------------------


def test_examples_are_discovered_with_a_summary_and_without_errors() -> None:
    found = {one.module.rpartition(".")[2]: one for one in discover_strategies(repo_root()) if ".examples." in one.module}
    assert set(NAMES) <= set(found)
    for name in NAMES:
        assert found[name].error is None
        assert found[name].summary


@pytest.mark.parametrize("name", NAMES)
def test_example_states_hypothesis_and_risks_and_bounds_and_search_space(name: str) -> None:
    kind = load_strategy(f"strategies.examples.{name}", root=repo_root(), unique_name=name)
    source = (repo_root() / "strategies" / "examples" / f"{name}.py").read_text()
    assert "\nHypothesis: " in source
    assert "\nRisks: " in source
    properties = kind.Params.model_json_schema()["properties"]
    own = {key: value for key, value in properties.items() if key not in Strategy.Params.model_fields}
    assert any("search" in value for value in own.values())
    for key, value in own.items():
        assert value.get("description"), key
        if value["type"] in ("integer", "number"):
            assert {"minimum", "exclusiveMinimum"} & set(value), key
            assert {"maximum", "exclusiveMaximum"} & set(value), key
    kind.Params()
    unload(kind)


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("simple_ma_cross", {"fast_period": 20, "slow_period": 20}, r"slow_period \(20\) must be above fast_period \(20\)"),
        ("simple_ma_cross", {"fast_period": 0}, "greater than or equal to 1"),
        ("rsi_mean_reversion", {"oversold": 50, "recovered": 50}, r"recovered \(50\) must be above oversold \(50\)"),
        ("opening_range_breakout", {"range_minutes": 12}, r"range_minutes \(12\) must be a multiple of interval \(5m\)"),
        ("opening_range_breakout", {"interval": "15m"}, r"exit_minutes \(10\) must be at least one interval \(15m\)"),
        ("cross_sectional_momentum", {"topp": 2}, "Extra inputs are not permitted"),
    ],
)
def test_example_with_wrong_parameters_says_why(
    kinds: dict[str, type[Strategy[Any]]], name: str, config: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        kinds[name].Params(**config)


# --- simple_ma_cross -----------------------------------------------------------------------------------------------


def cross_by_fractions(closes: list[int], fast: int, slow: int) -> list[tuple[int, Side]]:
    """The rule, written from its description, in exact arithmetic."""
    signals, before, long = [], None, False
    for k in range(slow - 1, len(closes)):
        now = Fraction(sum(closes[k - fast + 1 : k + 1]), fast) - Fraction(sum(closes[k - slow + 1 : k + 1]), slow)
        if before is not None and before <= 0 < now and not long:
            long = True
            signals.append((k, Side.BUY))
        elif before is not None and now < 0 <= before and long:
            long = False
            signals.append((k, Side.FLAT))
        before = now
    return signals


def test_ma_cross_buys_and_leaves_at_the_bars_of_the_crosses(kinds: dict[str, type[Strategy[Any]]]) -> None:
    closes = [10.0, 9.0, 8.0, 9.0, 10.0, 11.0, 10.0, 8.0, 7.0]
    context = play(kinds["simple_ma_cross"], {"AAA": closes}, fast_period=2, slow_period=3)
    # Differences from bar 2: -0.5, -0.17, +0.5, +0.5, +0.17, -0.67, -0.83
    assert said(context) == [(4, "AAA", Side.BUY), (7, "AAA", Side.FLAT)]
    assert context.lookback == {"AAA": 3}


def test_ma_cross_already_above_at_the_first_bar_waits_for_a_cross(kinds: dict[str, type[Strategy[Any]]]) -> None:
    closes = [1.0, 2.0, 3.0, 4.0, 3.0, 1.0, 1.0, 3.0]
    context = play(kinds["simple_ma_cross"], {"AAA": closes}, fast_period=2, slow_period=3)
    assert said(context) == [(7, "AAA", Side.BUY)]


def test_ma_cross_through_exact_ties_signals_once(kinds: dict[str, type[Strategy[Any]]]) -> None:
    closes = [0.3, 0.2, 0.1, 0.4, 0.1, 0.3, 0.2, 0.1, 0.1]
    cents = [round(close * 100) for close in closes]
    context = play(kinds["simple_ma_cross"], {"AAA": closes}, fast_period=1, slow_period=3)
    assert [(one.at, one.side) for one in context.said] == cross_by_fractions(cents, 1, 3)


def test_ma_cross_on_a_random_walk_equals_the_rule_in_fractions(kinds: dict[str, type[Strategy[Any]]]) -> None:
    steps = np.random.default_rng(11).integers(-2, 3, (2, 300))
    cents = 500 + np.cumsum(steps, axis=1)
    bars = {symbol: (row / 100).tolist() for symbol, row in zip(("AAA", "BBB"), cents, strict=True)}
    context = play(kinds["simple_ma_cross"], bars, fast_period=3, slow_period=7)
    for symbol, row in zip(bars, cents.tolist(), strict=True):
        expected = cross_by_fractions(row, 3, 7)
        assert len(expected) > 10
        assert [(one.at, one.side) for one in context.said if one.symbol == symbol] == expected


def test_ma_cross_trades_matched_symbols_only(kinds: dict[str, type[Strategy[Any]]]) -> None:
    closes = [10.0, 9.0, 8.0, 9.0, 10.0, 11.0]
    context = play(kinds["simple_ma_cross"], {"AAA": closes, "BTC": closes}, fast_period=2, slow_period=3, symbols=("B*",))
    assert said(context) == [(4, "BTC", Side.BUY)]


# --- donchian_breakout ---------------------------------------------------------------------------------------------


def test_donchian_buys_above_the_channel_of_the_bars_before_and_leaves_below(kinds: dict[str, type[Strategy[Any]]]) -> None:
    interval = Interval("15m")
    rows: list[Bar | float | None] = [bar(k, 10.0, interval, high=11.0, low=9.0) for k in range(4)]
    rows += [
        bar(4, 11.0, interval, high=11.0, low=10.0),  # at the channel's top is not above it
        bar(5, 11.5, interval, high=12.0, low=10.5),  # above 11: buy
        bar(6, 11.0, interval, high=13.0, low=10.5),
        bar(7, 10.5, interval, high=11.0, low=10.5),  # at the low of two bars is not below it
        bar(8, 10.0, interval, high=10.5, low=9.0),  # below 10.5: leave
        bar(9, 10.4, interval, high=10.5, low=10.0),
    ]
    params: dict[str, Any] = {"entry_period": 3, "exit_period": 2, "atr_period": 2, "stop_atr": 2.0}
    context = play(kinds["donchian_breakout"], {"AAA": rows}, **params)
    # True ranges from bar 1: 2, 2, 2, 1, 1.5; Wilder over 2: 2, 2, 1.5, 1.5. Stop: 11.5 - 2 x 1.5.
    assert context.said == [Said(5, "AAA", Side.BUY, stop_price=8.5), Said(8, "AAA", Side.FLAT)]
    assert context.reasons[0] == "close 11.5 above 11, the high of 3 bars"
    assert context.lookback == {"AAA": 4}


def test_donchian_with_a_stop_below_zero_asks_for_none(kinds: dict[str, type[Strategy[Any]]]) -> None:
    interval = Interval("15m")
    rows = [bar(k, 1.0, interval, high=1.9, low=0.1) for k in range(4)] + [bar(4, 2.0, interval, low=1.0)]
    context = play(kinds["donchian_breakout"], {"AAA": rows}, entry_period=3, exit_period=2, atr_period=2, stop_atr=5)
    assert context.said == [Said(4, "AAA", Side.BUY, stop_price=None)]


# --- rsi_mean_reversion --------------------------------------------------------------------------------------------


def test_rsi_buys_the_fall_in_a_rising_market_and_sells_the_recovery(kinds: dict[str, type[Strategy[Any]]]) -> None:
    closes = [10.0, 11.0, 12.0, 13.0, 14.0, 13.5, 13.0, 12.9, 14.5]
    params: dict[str, Any] = {"rsi_period": 2, "oversold": 40, "recovered": 60, "trend_period": 8, "atr_period": 2}
    context = play(kinds["rsi_mean_reversion"], {"AAA": closes}, **params)
    # Bar 7 is the first notified, already below 40 (35): no crossing seen, no purchase.
    assert said(context) == []
    context = play(kinds["rsi_mean_reversion"], {"AAA": [9.0, 9.5, *closes]}, **params)
    # RSI(2) as TA-Lib has it: 66 at bar 7, 39 at bar 8 (close 13, average 12), 34 at bar 9, 88 at bar 10.
    assert said(context) == [(8, "AAA", Side.BUY), (10, "AAA", Side.FLAT)]


def test_rsi_below_the_trend_does_not_buy(kinds: dict[str, type[Strategy[Any]]]) -> None:
    closes = [20.0, 19.0, 18.0, 17.0, 18.0, 18.5, 17.0, 16.0, 15.0]
    context = play(
        kinds["rsi_mean_reversion"], {"AAA": closes}, rsi_period=2, oversold=40, recovered=60, trend_period=6, atr_period=2
    )
    assert said(context) == []


def test_rsi_that_does_not_recover_leaves_after_max_bars(kinds: dict[str, type[Strategy[Any]]]) -> None:
    closes = [9.0, 9.5, 10.0, 11.0, 12.0, 13.0, 14.0, 13.5, 13.0, 12.9, 12.8, 12.7, 12.6]
    params: dict[str, Any] = {"rsi_period": 2, "oversold": 40, "recovered": 60, "trend_period": 8, "max_bars": 3, "atr_period": 2}
    context = play(kinds["rsi_mean_reversion"], {"AAA": closes}, **params)
    assert said(context) == [(8, "AAA", Side.BUY), (11, "AAA", Side.FLAT)]


# --- opening_range_breakout ----------------------------------------------------------------------------------------

OPEN = START_NS + 30 * MINUTE  # bars 0 to 5 are before the open
CLOSE = START_NS + 120 * MINUTE
DAY = 24 * 60 * MINUTE


# Sessions of 90 minutes, once a day.
DAYS = table_from_sessions(
    "TEST", np.array([(OPEN, OPEN, CLOSE, CLOSE, CLOSE, CLOSE)], np.int64) + DAY * np.arange(2)[:, None], extended_hours=False
)


def session(*rows: tuple[float, float, float], first: int = 6) -> list[Bar | float | None]:
    """5m bars (high, low, close) from bar `first` on; before it bars that no session holds."""
    head: list[Bar | float | None] = [bar(k, 50.0, FIVE) for k in range(min(first, 6))] + [None] * max(0, first - 6)
    return head + [bar(first + k, close, FIVE, high=high, low=low) for k, (high, low, close) in enumerate(rows)]


RANGE = [(10.5, 9.5, 10.0), (11.0, 9.8, 10.0)]  # two bars of five minutes: 9.5 to 11.0


def orb(kinds: dict[str, type[Strategy[Any]]], rows: list[Bar | float | None], **params: Any) -> list[Said]:
    kind = kinds["opening_range_breakout"]
    return play(kind, {"AAA": rows}, calendar=DAYS, **{"range_minutes": 10, **params}).said


def test_opening_range_buys_the_first_close_above_and_leaves_before_the_close(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = session(*RANGE, (11.5, 10.5, 11.0), (11.5, 11.0, 11.2), (11.2, 9.0, 9.0), *[(11.0, 10.0, 10.5)] * 13)
    # Bar 9 closes above 11.0; bar 10 below 9.5, which is the stop's business. Bar 21 ends 10 minutes before the close.
    assert orb(kinds, rows) == [Said(9, "AAA", Side.BUY, stop_price=9.5), Said(21, "AAA", Side.FLAT)]


def test_opening_range_sells_below_where_it_may(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = session(*RANGE, (10.0, 9.0, 9.4), (11.5, 9.0, 11.4))
    assert orb(kinds, rows) == [Said(8, "AAA", Side.SELL, stop_price=11.0)]
    assert orb(kinds, rows, allow_short=False) == [Said(9, "AAA", Side.BUY, stop_price=9.5)]


def test_opening_range_near_the_close_does_not_enter(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = session(*RANGE, *[(10.5, 10.0, 10.2)] * 13, (12.0, 10.0, 12.0), (13.0, 12.0, 13.0))
    assert orb(kinds, rows) == []


def test_opening_range_begun_in_the_middle_of_a_session_waits_for_the_next(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = session((11.0, 9.5, 10.0), (12.0, 11.0, 12.0), first=7)
    rows += [None] * (288 + 6 - len(rows))
    rows += [bar(294 + k, close, FIVE, high=high, low=low) for k, (high, low, close) in enumerate([*RANGE, (12.0, 11.0, 11.5)])]
    assert orb(kinds, rows) == [Said(296, "AAA", Side.BUY, stop_price=9.5)]


def test_opening_range_held_over_leaves_at_the_next_session(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = session(*RANGE, (11.5, 10.5, 11.5))  # and no bar more that day
    rows += [None] * (288 + 6 - len(rows)) + [bar(294, 10.0, FIVE)]
    assert orb(kinds, rows) == [Said(8, "AAA", Side.BUY, stop_price=9.5), Said(294, "AAA", Side.FLAT)]


def test_opening_range_without_a_bar_in_the_range_does_not_trade(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows: list[Bar | float | None] = [bar(0, 50.0, FIVE), *[None] * 7, *[bar(k, 10.0 + k, FIVE) for k in range(8, 15)]]
    assert orb(kinds, rows) == []


def test_opening_range_longer_than_a_half_day_does_not_trade_on_it(kinds: dict[str, type[Strategy[Any]]]) -> None:
    rows = session(*RANGE, *[(10.0 + k, 9.0, 10.0 + k) for k in range(16)])
    assert orb(kinds, rows, range_minutes=120) == []


def test_opening_range_of_one_price_does_not_trade(kinds: dict[str, type[Strategy[Any]]]) -> None:
    assert orb(kinds, session((10.0, 10.0, 10.0), (10.0, 10.0, 10.0), (12.0, 9.0, 11.0))) == []


def test_opening_range_over_a_change_of_the_clocks_begins_at_each_sessions_own_open(
    kinds: dict[str, type[Strategy[Any]]],
) -> None:
    calendar = load_calendar("XNYS")
    opens = [int(calendar.regular_open[k]) for k in range(len(calendar.regular_open))]
    friday, monday = ((START_NS + DAY * days) for days in (67, 70))  # 8 and 11 March; the clocks change on the 10th
    first, second = (next(at for at in opens if at >= day) for day in (friday, monday))
    assert (first % DAY, second % DAY) == (870 * MINUTE, 810 * MINUTE)
    numbers = [(at - START_NS) // (5 * MINUTE) for at in (first, second)]
    rows: list[Bar | float | None] = [None] * (numbers[1] + 3)
    for number in numbers:
        for k, (high, low, close) in enumerate([*RANGE, (12.0, 11.0, 11.5)]):
            rows[number + k] = bar(number + k, close, FIVE, high=high, low=low)
    said = play(kinds["opening_range_breakout"], {"AAA": rows}, calendar=calendar, range_minutes=10).said
    assert said == [
        Said(numbers[0] + 2, "AAA", Side.BUY, stop_price=9.5),
        Said(numbers[1], "AAA", Side.FLAT),  # held over: there was no bar to leave at
        Said(numbers[1] + 2, "AAA", Side.BUY, stop_price=9.5),
    ]


# --- cross_sectional_momentum --------------------------------------------------------------------------------------


def momentum(kinds: dict[str, type[Strategy[Any]]], bars: dict[str, list[float | None]], **params: Any) -> FakeContext:
    return play(kinds["cross_sectional_momentum"], bars, **{"lookback": 2, "rebalance_bars": 2, "top": 1, **params})


def test_momentum_holds_the_best_and_changes_at_the_next_ranking(kinds: dict[str, type[Strategy[Any]]]) -> None:
    bars: dict[str, list[float | None]] = {
        "AAA": [10, 10, 11, 11, 11, 11],
        "BBB": [10, 10, 10.5, 13, 13, 13],
        "CCC": [10, 10, 9, 9, 9, 9],
    }
    context = momentum(kinds, bars)
    # Ranked at slice 2 (the first with returns) and at slice 4; at slice 3 BBB is ahead, and nothing is done.
    assert context.said == [
        Said(2, "AAA", Side.BUY, target_weight=1.0),
        Said(4, "AAA", Side.FLAT),
        Said(4, "BBB", Side.BUY, target_weight=1.0),
    ]
    assert context.reasons[0] == "rank 1 of 3: +10.00 % in 2 bars"


def test_momentum_with_nothing_rising_holds_cash_unless_told(kinds: dict[str, type[Strategy[Any]]]) -> None:
    bars: dict[str, list[float | None]] = {"AAA": [10, 10, 9], "BBB": [10, 10, 8]}
    assert momentum(kinds, bars).said == []
    assert momentum(kinds, bars, only_rising=False).said == [Said(2, "AAA", Side.BUY, target_weight=1.0)]


def test_momentum_keeps_a_held_symbol_that_is_missing_and_ranks_no_missing_one(kinds: dict[str, type[Strategy[Any]]]) -> None:
    bars: dict[str, list[float | None]] = {
        "AAA": [10, 10, 12, 12, None, 12, 12],
        "BBB": [10, 10, 11, 11, 14, 14, 14.5],
        "CCC": [10, 10, 10, 10, 11, 11, 11],
        "DDD": [10, 10, 10, 30, None, 30, 30],
    }
    context = momentum(kinds, bars, top=2)
    # Slice 4: AAA is held and missing, so it keeps its place; DDD rose most, and is missing too; BBB takes the other place.
    # Slice 6: AAA's return over two bars of its own is 0.
    assert said(context) == [(2, "AAA", Side.BUY), (2, "BBB", Side.BUY), (6, "AAA", Side.FLAT)]


def test_momentum_with_equal_returns_takes_the_sessions_order(kinds: dict[str, type[Strategy[Any]]]) -> None:
    bars: dict[str, list[float | None]] = {name: [10, 10, 11] for name in ("BBB", "AAA", "CCC")}
    assert said(momentum(kinds, bars, top=2)) == [(2, "BBB", Side.BUY), (2, "AAA", Side.BUY)]


def test_momentum_with_too_few_symbols_is_refused_in_setup(kinds: dict[str, type[Strategy[Any]]]) -> None:
    with pytest.raises(ValueError, match=r"top \(3\) must be below the number of symbols \(2\)"):
        momentum(kinds, {"AAA": [1.0], "BBB": [1.0]}, top=3)
