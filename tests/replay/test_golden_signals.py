"""Ledgers by hand: what signals do to positions that are held, to the orders that protect them, and what a refusal leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from stratd.execution.rules import AccountRules
from stratd.model import Fill, Instrument, Interval, RiskRefused, Side
from stratd.portfolio.sizing import Sizing, TargetWeightSizing, UnitsSizing, VolatilityTargetSizing
from stratd.risk.limits import Policy, RiskLimits
from stratd.strategy.base import Strategy
from stratd.strategy.context import StrategyContext
from stratd.strategy.thread import StrategyThread
from stratd.system.calendars import load_calendar
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.ledgers import AAA, rows_of
from tests.support.spine import Spine, lines, market

Act = Callable[[StrategyContext], object]
FLAT = "\n".join(f"12:{minute:02} 100" for minute in range(10))
DROP = "12:00 100\n12:01 100\n12:02 100\n12:03 100\n12:04 100\n12:05 90\n12:06 80\n12:07 70"
UNITS = UnitsSizing(units=10)
SIZES = ((4096, 4096), (1, 1), (2, 3))


class Signalling(Strategy[Any]):
    """Acts at its n-th bar."""

    acts: ClassVar[Mapping[int, Sequence[Act]]] = {}

    def setup(self, ctx: StrategyContext) -> None:
        self.bars, self.said = 0, []
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        for act in self.acts.get(self.bars, ()):
            self.said.append(act(self.ctx))
        self.bars += 1


class Told(Signalling):
    """Hears of its fills, so that it is stopped for them."""

    def on_fill(self, fill: Fill) -> None:
        pass


def signal(side: Side, **words: Any) -> Act:
    return lambda ctx: ctx.signal("AAA", side, **words)


def held(ctx: StrategyContext) -> object:
    return ctx.position("AAA").quantity


def stops(ctx: StrategyContext) -> object:
    return [one.stop_price for one in ctx.orders()]


def play(
    text: str | Sequence[BarRow],
    acts: Mapping[int, Sequence[Act]],
    sizing: Sizing,
    limits: RiskLimits | None = None,
    **rules: Any,
) -> tuple[list[object], StrategyThread]:
    """What the strategy was answered, refusals as their reason; the same for every window and whether it hears of fills or not."""
    found = []
    for kind in (Told, Signalling):
        for window, block in SIZES:
            offered = replace(market(["AAA"], ["1m"]), instruments={"AAA": AAA})
            spine = Spine(offered, window=window, block=block)
            thread = spine.thread(
                type("Planned", (kind,), {"acts": acts}),
                rules=AccountRules(**rules),
                limits=RiskLimits() if limits is None else limits,
                sizing=sizing,
            )
            spine.run(rows_of(text, ["AAA"]) if isinstance(text, str) else text)
            assert thread.errors == 0, lines(thread).kept
            strategy = thread.strategy
            assert isinstance(strategy, Signalling)
            said = [str(one.reason) if isinstance(one, RiskRefused) else one for one in strategy.said]
            found.append((said, thread.account.ledger_hash(), thread.account.final.equity, thread))
    assert [one[:3] for one in found[1:]] == [found[0][:3]] * (len(found) - 1)
    return found[0][0], found[0][3]


# A refusal leaves everything as it was.


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (RiskLimits(max_order_quantity=15), "order_quantity"),
        (RiskLimits(max_order_notional=1_500), "order_notional"),
        (RiskLimits(max_orders_per_minute=1), "order_rate"),
    ],
)
def test_flip_that_is_refused_leaves_the_position_its_stop(limits: RiskLimits, reason: str) -> None:
    rate = reason == "order_rate"
    flip: list[Act] = [lambda ctx: ctx.order("AAA", "buy", 1, kind="limit", limit_price=50.0)] if rate else []
    acts = {
        0: [signal(Side.BUY, stop_price=95.0)],
        2: [held, *flip, signal(Side.SELL, stop_price=105.0), stops],
        6: [held],
    }
    said, thread = play(DROP, acts, UNITS, limits)
    refusal, left = said[-3], said[-2]
    assert refusal == reason
    assert 95.0 in left  # type: ignore[operator]
    assert said[-1] == 0  # the stop has sold at 90: over a gap
    assert thread.account.final.realised_pnl == -100


def test_flip_that_is_let_through_takes_the_old_stop_away_and_brings_its_own() -> None:
    acts = {0: [signal(Side.BUY, stop_price=95.0)], 2: [signal(Side.SELL, stop_price=105.0), stops], 6: [held, stops]}
    said, _ = play(DROP, acts, UNITS)
    assert said[2:] == [[None, 105.0], -10, [105.0]]


def test_exit_is_let_through_however_small_orders_have_to_be() -> None:
    limits = RiskLimits(max_order_quantity=10, max_orders_per_minute=1)
    buy: Act = lambda ctx: ctx.order("AAA", "buy", 10)  # noqa: E731
    limit: Act = lambda ctx: ctx.order("AAA", "buy", 1, kind="limit", limit_price=50.0)  # noqa: E731
    said, thread = play(FLAT, {0: [buy], 1: [buy], 4: [limit, signal(Side.FLAT), stops], 6: [held]}, UNITS, limits)
    assert said[-1] == 0
    assert said[-2] == [None]  # only the order that leaves; the limit order is cancelled with it
    assert thread.account.refusals == {}


def test_flat_said_twice_in_one_event_leaves_the_first_exit_alone() -> None:
    acts = {0: [signal(Side.BUY, stop_price=95.0)], 2: [signal(Side.FLAT), signal(Side.FLAT)], 4: [held, stops]}
    said, _ = play(FLAT, acts, UNITS)
    assert said[2:] == ["duplicate", 0.0, []]


def test_flip_in_an_account_that_may_only_reduce_leaves_the_position() -> None:
    text = "12:00 100\n12:01 100\n12:02 100\n12:03 97\n12:04 97\n12:05 90\n12:06 80"
    acts = {0: [signal(Side.BUY, stop_price=80.0)], 4: [lambda ctx: str(ctx.trading_state), signal(Side.SELL)], 6: [held, stops]}
    limits = RiskLimits(drawdown_fraction=0.0001, drawdown_policy=Policy.REDUCE)
    said, thread = play(text, acts, UNITS, limits)
    assert said[1] == "reducing"
    assert said[3:] == [0.0, []]
    assert thread.account.final.realised_pnl == -100  # bought at 100, sold at the next open: 90


# Orders that reduce cannot do more than that.


def test_smaller_target_weight_whose_stop_fills_first_does_not_go_short() -> None:
    text = "12:00 100\n12:01 100\n12:02 100\n12:03 90\n12:04 110\n12:05 130"
    acts = {
        0: [signal(Side.BUY, target_weight=0.1, stop_price=95.0)],
        2: [held, signal(Side.SELL, target_weight=0.05)],
        3: [held, stops],
        5: [held],
    }
    said, thread = play(text, acts, TargetWeightSizing())
    assert said[1] == 100
    assert said[3:] == [0.0, [], 0.0]  # the gap to 90 takes the stop for all of it
    assert thread.account.final.realised_pnl == -1_000


def test_target_of_nothing_with_only_an_entry_that_waits_takes_it_back() -> None:
    acts = {0: [signal(Side.BUY, target_weight=0.1, limit_price=50.0)], 2: [signal(Side.BUY, target_weight=0.0), stops]}
    said, thread = play(FLAT, acts, TargetWeightSizing())
    assert said[1:] == ["nothing is held", []]
    assert thread.account.refusals == {}


# Entries are counted when they fill or wait.


def test_entry_that_was_cancelled_does_not_count() -> None:
    def cancel(ctx: StrategyContext) -> object:
        return [ctx.cancel(one.id) for one in ctx.orders()]

    acts = {
        0: [signal(Side.BUY)],
        2: [signal(Side.BUY, limit_price=50.0), signal(Side.BUY)],
        3: [cancel],
        5: [signal(Side.BUY)],
        7: [signal(Side.BUY), held],
    }
    said, _ = play(FLAT, acts, UnitsSizing(units=10, max_entries=2))
    assert said == [1, 2, "all of max_entries are in", [True], 3, "all of max_entries are in", 20.0]


# Volatility.

XNYS = load_calendar("XNYS", False)


class Sized(Strategy[Any]):
    """Buys once, sized by the volatility of the last 20 bars of its interval."""

    interval: ClassVar[str] = "1d"
    at: ClassVar[int] = 21

    def setup(self, ctx: StrategyContext) -> None:
        self.bars = 0
        self.closes: Any = None
        ctx.subscribe("AAA", self.interval)

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.bars += 1
        if self.bars == self.at:
            self.closes = self.ctx.bars("AAA", self.interval).close[-20:].copy()
            self.ctx.signal("AAA", Side.BUY)


def sized(interval: str, rows: list[BarRow], calendar: str, per_year: float) -> tuple[float, float]:
    """What was bought, and what 10 % of volatility a year come to."""
    instrument = Instrument("AAA", tick=0.01, calendar=calendar)
    words = {} if calendar == "24/7" else {"tables": [XNYS], "calendar_of": {"AAA": 0}}
    offered = replace(market(["AAA"], ["1m", interval], **words), instruments={"AAA": instrument})
    spine = Spine(offered, window=64, block=64)
    kind = type("Sized", (Sized,), {"interval": interval})
    sizing = VolatilityTargetSizing(annual_volatility=0.10, lookback=20)
    thread = spine.thread(kind, rules=AccountRules(leverage=100.0), limits=RiskLimits(), sizing=sizing)
    spine.run(rows)
    assert thread.errors == 0, lines(thread).kept
    closes = thread.strategy.closes  # type: ignore[attr-defined]
    deviation = float(np.std(np.diff(np.log(closes)), ddof=1))
    (position,) = thread.account.final.open_positions
    return position.quantity, 0.10 / (deviation * per_year**0.5) * 100_000 / closes[-1]


def swinging(times: Sequence[int], every: int) -> list[BarRow]:
    """Bars that open at these times; the price goes up and down by 1 % every so many."""
    rows = []
    for at, time in enumerate(times):
        price = 100.0 if (at // every) % 2 else 101.0
        rows.append(BarRow("AAA", time, price, price, price, price, 1e6))
    return rows


@pytest.mark.parametrize(("interval", "per_session"), [("1d", 1), ("1h", 7), ("5m", 78)])
def test_volatility_target_of_a_stock_counts_the_bars_of_its_sessions(interval: str, per_session: int) -> None:
    first = int(np.searchsorted(XNYS.session_open, nanoseconds("2024-01-02T12:00")))
    times: list[int] = []
    for session in range(first, first + 25):
        times += range(int(XNYS.session_open[session]), int(XNYS.session_close[session]), 60_000_000_000)
    quantity, wanted = sized(
        interval, swinging(times, 390 // per_session if per_session == 1 else 60 if per_session == 7 else 5), "XNYS", 1
    )
    # Half days make the average year a little shorter than 252 whole sessions: by less than one bar in a hundred.
    assert quantity == pytest.approx(wanted / (252 * per_session) ** 0.5, rel=0.006, abs=1)


def test_volatility_target_around_the_clock_counts_every_minute_of_the_year() -> None:
    start = nanoseconds("2024-01-02T00:00")
    quantity, wanted = sized("5m", swinging([start + 60_000_000_000 * at for at in range(200)], 5), "24/7", 105_120)
    assert quantity == pytest.approx(wanted, abs=1)
